"""Opportunities: which message is decided by which rule, and what it is about."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from contracts.messages import opportunities as messages
from contracts.topics import OPPORTUNITIES_COMMANDS, OPPORTUNITIES_EVENTS, service_source
from services.chassis.decisions import Inbound
from services.chassis.service import Service, Stream
from services.chassis.settings import Settings
from services.opportunities.api import api
from services.opportunities.rules import leaving, publishing, signups, windows
from services.opportunities.states import project_name, shift_name, signup_name
from services.opportunities.store import OpportunitiesStore

__all__ = ["build"]

SOURCES = frozenset({service_source("bridge"), service_source("opportunities")})


def build(settings: Settings) -> Service:
    """The service as the chassis runs it."""
    return Service(
        name="opportunities",
        streams=(Stream(group="opportunities", topics=(OPPORTUNITIES_COMMANDS,), sources=SOURCES),),
        decisions={
            messages.PublishProject: publishing.publish_project,
            messages.PublishShift: publishing.publish_shift,
            messages.RequestSignup: signups.request_signup,
            messages.WithdrawSignup: signups.withdraw_signup,
            messages.ReportSignup: windows.report_signup,
            messages.CloseWaitlist: leaving.close_waitlist,
        },
        store=OpportunitiesStore(),
        subject=subject,
        locks=locks,
        migrations=Path(__file__).parent / "migrations",
        says=(OPPORTUNITIES_EVENTS,),
        api=api,
    )


def subject(inbound: Inbound) -> str:
    """The project, shift or sign-up that is decided."""
    command = inbound.data
    if isinstance(command, messages.PublishProject):
        return project_name(command.host, command.project_ref)
    if isinstance(command, messages.PublishShift):
        return shift_name(command.host, command.project_ref, command.shift.shift_ref)
    if isinstance(command, messages.CloseWaitlist):
        return shift_name(command.host, command.project_ref, command.shift_ref)
    return signup_name(command.signup_id)


def locks(inbound: Inbound) -> Iterable[str]:
    """A sign-up takes from its shift; a request is judged by its project too.

    The shift's lock covers all sign-ups of the shift: a promotion takes no new window. Whose time is taken or freed
    is locked by the store, in the second round: only the shift tells whom a cancellation concerns.
    """
    command = inbound.data
    if isinstance(command, messages.PublishProject | messages.PublishShift | messages.CloseWaitlist):
        return ()
    shift = shift_name(command.host, command.project_ref, command.shift_ref)
    if isinstance(command, messages.RequestSignup):
        return (project_name(command.host, command.project_ref), shift)
    return (shift,)
