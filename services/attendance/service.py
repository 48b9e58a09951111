"""Attendance's table of contents: for each message its decision, its subject, its locks and its needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from contracts.messages import Message, attendance, opportunities
from contracts.messages.service import shanghai_day
from contracts.topics import ATTENDANCE_COMMANDS, ATTENDANCE_EVENTS, OPPORTUNITIES_EVENTS, service_source
from services.attendance import reviewing, rules
from services.attendance.api import api
from services.attendance.policy import Policy, policy
from services.attendance.settings import AttendanceSettings
from services.attendance.states import SignupState, person_name, signup_name
from services.attendance.store import AttendanceStore, Needs, days_before
from services.chassis.decisions import Inbound
from services.chassis.reactions import Reaction
from services.chassis.service import Service, Stream

__all__ = ["REACTIONS", "build", "under"]


def _record(inbound: Inbound) -> str:
    """A review queues behind a version that waits."""
    return f"record:{inbound.data.subject}"


def _presence(inbound: Inbound) -> str:
    """Another subject than the sign-up's: an event of the sign-up must not wait behind presence that waits for it."""
    return f"presence:{inbound.data.signup_id}"


def _signup(inbound: Inbound) -> str:
    return signup_name(inbound.data.signup_id)


def _project(inbound: Inbound) -> str:
    return f"project:{inbound.data.host}:{inbound.data.project_ref}"


def _person_and_signup(inbound: Inbound) -> Iterable[str]:
    """The person, since records that compete are one person's, and the sign-up, since messages wait for it."""
    return person_name(inbound.data.person), signup_name(inbound.data.signup_id)


def _of_record(inbound: Inbound, needs: Needs) -> None:
    command: attendance.AttestService = inbound.data
    needs.signups.add(command.signup_id)
    needs.records.add((command.host, command.record.record_ref))
    needs.days.add((command.person, command.record.day))
    needs.stays.add(days_before(command.signup_id, command.record.day))


def _of_review(inbound: Inbound, needs: Needs) -> None:
    needs.signups.add(inbound.data.signup_id)
    needs.records.add((inbound.data.host, inbound.data.record_ref))


def _of_presence(inbound: Inbound, needs: Needs) -> None:
    command: attendance.RecordCheckIn | attendance.RecordCheckOut = inbound.data
    needs.signups.add(command.signup_id)
    # The stay that a check-out ends may have begun two days before, and it is evidence for all three days.
    signup, days = days_before(command.signup_id, shanghai_day(command.at))
    needs.stays.add((signup, days))
    needs.days.update((command.person, day) for day in days)


def _of_signup(inbound: Inbound, needs: Needs) -> None:
    needs.signups.add(inbound.data.signup_id)


def _of_right(inbound: Inbound, needs: Needs) -> None:
    """A sign-up that entitles its person to serve: records that are held for want of it are decided again."""
    _of_signup(inbound, needs)
    needs.entitled.add(inbound.data.signup_id)


def _right(state: SignupState) -> Reaction:
    return Reaction(partial(rules.note_signup, state), _signup, _person_and_signup, _of_right)


def _no_right(state: SignupState) -> Reaction:
    return Reaction(partial(rules.note_signup, state), _signup, _person_and_signup, _of_signup)


REACTIONS: Final[Mapping[type[Message], Reaction]] = {
    attendance.RecordCheckIn: Reaction(rules.check_in, _presence, _person_and_signup, _of_presence),
    attendance.RecordCheckOut: Reaction(rules.check_out, _presence, _person_and_signup, _of_presence),
    attendance.AttestService: Reaction(rules.attest, _record, _person_and_signup, _of_record),
    attendance.ReviewService: Reaction(reviewing.review, _record, _person_and_signup, _of_review),
    opportunities.SignupConfirmed: _right("confirmed"),
    opportunities.SignupPromoted: _right("promoted"),
    opportunities.SignupNoted: _right("noted"),
    opportunities.SignupWaitlisted: _no_right("waitlisted"),
    opportunities.SignupRefused: _no_right("refused"),
    opportunities.SignupWithdrawn: _no_right("withdrawn"),
    opportunities.CommandRefused: Reaction(rules.ignore, _project),
}


def build(settings: AttendanceSettings) -> Service:
    """The service under these settings. Raises ``ConfigurationError``."""
    return under(policy(settings))


def under(values: Policy) -> Service:
    """The service that decides by these values."""
    return Service(
        name="attendance",
        bearers=frozenset({"registry"}),
        streams=(
            Stream(
                group="attendance",
                topics=(ATTENDANCE_COMMANDS, OPPORTUNITIES_EVENTS),
                sources=frozenset({service_source("bridge"), service_source("opportunities")}),
            ),
        ),
        reactions=REACTIONS,
        store=AttendanceStore(),
        policy=values,
        migrations=Path(__file__).parent / "migrations",
        says=(ATTENDANCE_EVENTS,),
        api=api,
    )
