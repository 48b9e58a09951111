"""Attendance: presence and service records of persons, over all registries. Table of contents of the service."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from contracts.messages import Message, attendance, opportunities
from contracts.topics import ATTENDANCE_COMMANDS, ATTENDANCE_EVENTS, OPPORTUNITIES_EVENTS, service_source
from services.attendance import rules
from services.attendance.api import api
from services.attendance.states import person_name, signup_name
from services.attendance.store import AttendanceStore
from services.chassis.decisions import Decide, Inbound
from services.chassis.service import Service, Stream
from services.chassis.settings import Settings

__all__ = ["build"]


def build(settings: Settings) -> Service:
    """The service under these settings."""
    cap = settings.day_cap_minutes
    note_signup: Decide = partial(rules.note_signup, cap=cap)
    decisions: dict[type[Message], Decide] = {
        attendance.RecordCheckIn: partial(rules.check_in, cap=cap),
        attendance.RecordCheckOut: partial(rules.check_out, cap=cap),
        attendance.AttestService: partial(rules.attest, cap=cap),
        opportunities.SignupConfirmed: note_signup,
        opportunities.SignupPromoted: note_signup,
        opportunities.SignupNoted: note_signup,
        opportunities.SignupWaitlisted: note_signup,
        opportunities.SignupRefused: note_signup,
        opportunities.SignupWithdrawn: note_signup,
        opportunities.CommandRefused: rules.ignore,
    }
    return Service(
        name="attendance",
        streams=(
            Stream(
                group="attendance",
                topics=(ATTENDANCE_COMMANDS, OPPORTUNITIES_EVENTS),
                sources=frozenset({service_source("bridge"), service_source("opportunities")}),
            ),
        ),
        decisions=decisions,
        store=AttendanceStore(),
        subject=subject,
        locks=locks,
        migrations=Path(__file__).parent / "migrations",
        says=(ATTENDANCE_EVENTS,),
        api=api,
    )


def subject(inbound: Inbound) -> str:
    """What keeps its order and is parked alone: a record, the presence of a sign-up, a sign-up.

    What waits for a sign-up has another subject than the sign-up: who brings it must not stand behind who waits.
    """
    data = inbound.data
    kind = type(data)  # isinstance() of a pydantic class takes ten times as long
    if kind is attendance.AttestService:
        return f"record:{data.host}:{data.record.record_ref}"
    if kind in (attendance.RecordCheckIn, attendance.RecordCheckOut):
        return f"presence:{data.signup_id}"
    if kind is opportunities.CommandRefused:
        return f"project:{data.host}:{data.project_ref}"
    return signup_name(data.signup_id)


def locks(inbound: Inbound) -> Iterable[str]:
    """The person, since all that competes is hers, and the sign-up, since it may be waited for."""
    data = inbound.data
    return () if type(data) is opportunities.CommandRefused else (person_name(data.person), signup_name(data.signup_id))
