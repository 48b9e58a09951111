"""Opportunities' table of contents: for each message its decision, its subject, its locks and its needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from contracts.messages import Message
from contracts.messages import opportunities as messages
from contracts.topics import OPPORTUNITIES_COMMANDS, OPPORTUNITIES_EVENTS, service_source
from services.chassis.base.settings import Settings
from services.chassis.decisions import Inbound
from services.chassis.reactions import Reaction
from services.chassis.service import Service, Stream
from services.opportunities.api import api
from services.opportunities.rules import leaving, publishing, signups, windows
from services.opportunities.states import ShiftKey, project_name, shift_name, signup_name
from services.opportunities.store import Needs, OpportunitiesStore, Window

__all__ = ["REACTIONS", "build"]

SOURCES = frozenset({service_source("bridge"), service_source("opportunities")})


def _project_key(inbound: Inbound) -> tuple[str, str]:
    return inbound.data.host, inbound.data.project_ref


def _shift_key(inbound: Inbound) -> ShiftKey:
    return inbound.data.host, inbound.data.project_ref, inbound.data.shift_ref


def _published_key(inbound: Inbound) -> ShiftKey:
    return inbound.data.host, inbound.data.project_ref, inbound.data.shift.shift_ref


def _project(inbound: Inbound) -> str:
    return project_name(*_project_key(inbound))


def _published(inbound: Inbound) -> str:
    return shift_name(*_published_key(inbound))


def _shift(inbound: Inbound) -> str:
    return shift_name(*_shift_key(inbound))


def _signup(inbound: Inbound) -> str:
    return signup_name(inbound.data.signup_id)


# A sign-up takes a post of its shift; a request is judged by its project too. The shift's lock covers all sign-ups of
# the shift, since a promotion takes no new window. The store locks the persons whose time is taken or freed, in the
# second round: only the locked shift says which persons a cancellation concerns.
def _of_shift(inbound: Inbound) -> Iterable[str]:
    return (_shift(inbound),)


def _of_project_and_shift(inbound: Inbound) -> Iterable[str]:
    return _project(inbound), _shift(inbound)


def _needs_project(inbound: Inbound, needs: Needs) -> None:
    needs.projects.add(_project_key(inbound))


def _needs_published(inbound: Inbound, needs: Needs) -> None:
    key, shift = _published_key(inbound), inbound.data.shift
    needs.shifts.add(key)
    needs.published[key].append(Window((shift.starts_at, shift.ends_at), shift.posts))
    if shift.state == "cancelled":
        needs.emptied[key] = True


def _needs_line(inbound: Inbound, needs: Needs) -> None:
    key = _shift_key(inbound)
    needs.shifts.add(key)
    needs.emptied.setdefault(key, False)


def _needs_signup(inbound: Inbound, needs: Needs) -> None:
    needs.shifts.add(_shift_key(inbound))
    needs.signups.add(inbound.data.signup_id)


def _needs_request(inbound: Inbound, needs: Needs) -> None:
    _needs_signup(inbound, needs)
    _needs_project(inbound, needs)
    needs.taking.add(inbound.data.person)
    needs.requested.append((inbound.data.person, _shift_key(inbound)))


def _needs_withdrawal(inbound: Inbound, needs: Needs) -> None:
    _needs_signup(inbound, needs)
    needs.freeing.add(inbound.data.person)
    needs.given_back[_shift_key(inbound)] += 1


def _needs_report(inbound: Inbound, needs: Needs) -> None:
    report: messages.ReportSignup = inbound.data
    _needs_signup(inbound, needs)
    needs.freeing.add(report.person)
    needs.reported.append((report.person, (report.starts_at, report.ends_at)))


REACTIONS: Final[Mapping[type[Message], Reaction]] = {
    messages.PublishProject: Reaction(publishing.publish_project, _project, needs=_needs_project),
    messages.PublishShift: Reaction(publishing.publish_shift, _published, needs=_needs_published),
    messages.RequestSignup: Reaction(signups.request_signup, _signup, _of_project_and_shift, _needs_request),
    messages.WithdrawSignup: Reaction(signups.withdraw_signup, _signup, _of_shift, _needs_withdrawal),
    messages.ReportSignup: Reaction(windows.report_signup, _signup, _of_shift, _needs_report),
    messages.CloseWaitlist: Reaction(leaving.close_waitlist, _shift, needs=_needs_line),
}


def build(settings: Settings) -> Service:
    """The service as the chassis runs it."""
    return Service(
        name="opportunities",
        bearers=frozenset({"registry"}),
        streams=(Stream(group="opportunities", topics=(OPPORTUNITIES_COMMANDS,), sources=SOURCES),),
        reactions=REACTIONS,
        store=OpportunitiesStore(),
        migrations=Path(__file__).parent / "migrations",
        says=(OPPORTUNITIES_EVENTS,),
        api=api,
    )
