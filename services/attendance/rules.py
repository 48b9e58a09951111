"""What counts of a person's service: pure decisions over her sign-ups, presence and records of all registries."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from contracts.messages import attendance as messages
from contracts.messages.service import shanghai_day
from contracts.topics import ATTENDANCE_EVENTS, OPPORTUNITIES_EVENTS
from services.attendance.books import Books
from services.attendance.policy import Policy
from services.attendance.states import (
    DAYS_OF_A_STAY,
    LONGEST_STAY,
    CommandRefusal,
    Presence,
    Signup,
    SignupState,
    Standing,
    signup_name,
)
from services.chassis.decisions import Channel, Decision, Inbound, Send, States, Wait
from services.chassis.draft import Draft

__all__ = ["attest", "check_in", "check_out", "ignore", "note_signup"]

PAIRS_A_DAY: Final = 3
RECORDS_A_DAY: Final = 50
"""Records that one host may have of one person's Shanghai day, whatever became of them. Each is looked at whenever
something of that day comes free; nobody serves so often, a host that loops does."""

_Command: TypeAlias = messages.RecordCheckIn | messages.RecordCheckOut | messages.AttestService


def note_signup(state: SignupState, states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Keep how a sign-up stands; a right to serve releases what waits or is held for it.

    A refusal concerns one request: asked twice, the second is refused and the first stands. The first word on a
    sign-up, whatever it is, releases check-ins that wait to hear of it.
    """
    fact = inbound.data
    known = states.get(Signup, fact.signup_id)
    signup = Signup(fact.signup_id, state)
    if signup == known or (signup.state == "refused" and known is not None and known.state != "withdrawn"):
        return Decision()
    books = Books(Draft(inbound, now), states, fact.person, policy)
    books.note(signup)
    books.settle()
    if signup.active or known is None:
        books.draft.fact(signup_name(fact.signup_id))
    return books.decision()


def check_in(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Keep that she came, up to three times a day (rule 68); records held for want of it are decided again.

    Evidence says nothing about a right to serve, and the right may come later (a promotion, a window of home that had
    lost): however her sign-up stands, that she came is kept. Only one that was never heard of is refused.
    """
    command: messages.RecordCheckIn = inbound.data
    if states.get(Signup, command.signup_id) is None:
        return _refused(command, "no_signup") if inbound.waited_out else _wait(command)
    day = shanghai_day(command.at)
    today = states.group(Presence, "signup_day", (command.signup_id, day))
    if any(row.came_at == command.at for row in today):
        return Decision()
    if len(today) == PAIRS_A_DAY:
        return _refused(command, "too_many_check_ins")
    books = Books(Draft(inbound, now), states, command.person, policy)
    books.visit(Presence(command.signup_id, day, len(today) + 1, command.at))
    books.settle()
    return books.decision()


def check_out(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Keep that she left: it ends the latest stay that is open. Over midnight, both days are evidenced by it."""
    command: messages.RecordCheckOut = inbound.data
    day = shanghai_day(command.at)
    stays = [
        row
        for back in reversed(range(DAYS_OF_A_STAY))
        for row in states.group(Presence, "signup_day", (command.signup_id, day - timedelta(days=back)))
        if timedelta(0) <= command.at - row.came_at <= LONGEST_STAY
    ]
    if any(row.left_at == command.at for row in stays):
        return Decision()
    stay = max((row for row in stays if row.left_at is None), key=lambda row: row.came_at, default=None)
    if stay is None:
        return _refused(command, "no_check_in")
    books = Books(Draft(inbound, now), states, command.person, policy)
    books.visit(replace(stay, left_at=command.at))
    books.settle()
    return books.decision()


def attest(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Confirm, hold or revoke a version of a service record; what that frees goes to records that are held.

    Versions may come in any order: a lower one than known is history and changes nothing (rule 69). A host that has
    ``RECORDS_A_DAY`` of her day already gets no further one in; versions of those that are there are never too many.
    """
    command: messages.AttestService = inbound.data
    record = command.record
    known = states.get(Standing, (command.host, record.record_ref))
    if known is not None:
        if known.person != command.person:
            return _refused(command, "other_person")
        if record.version < known.version:
            return Decision()
        if record.version == known.version:
            return Decision() if known.record() == record else _refused(command, "version_conflict")
    elif len(states.group(Standing, "place", (command.host, command.person, record.day))) >= RECORDS_A_DAY:
        return _refused(command, "too_many_records")
    row = _next_version(command, known, inbound.time)
    books = Books(Draft(inbound, now), states, command.person, policy)
    if record.revoked:
        books.revoke(row, record)
    else:
        reason = books.obstacle(row, record)
        if reason == "no_signup" and not inbound.waited_out:
            return _wait(command)
        books.decide(row, record, reason)
    books.settle()
    return books.decision()


def ignore(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Travels on a topic that is read here, and concerns others."""
    return Decision()


def _next_version(command: messages.AttestService, known: Standing | None, time: datetime) -> Standing:
    record = command.record
    body = record.__pydantic_serializer__.to_json(record, exclude_none=True).decode()
    if known is not None:
        return replace(known, signup_id=command.signup_id, version=record.version, body=body, day=record.day)
    return Standing(
        command.host, record.record_ref, command.person, command.signup_id, record.version, None, body, time, record.day
    )


def _wait(command: _Command) -> Decision:
    # Nothing but its own sign-up releases it: hundreds that wait are not decided again at each other sign-up of hers.
    project = command.record.project_ref if isinstance(command, messages.AttestService) else command.project_ref
    told = Channel(OPPORTUNITIES_EVENTS, f"{command.host}:{project}")  # whatever becomes of a project's sign-ups
    return Decision(wait=Wait(signup_name(command.signup_id), brought_by=(told,)))


def _refused(command: _Command, reason: CommandRefusal) -> Decision:
    refusal = messages.CommandRefused(
        person=command.person,
        host=command.host,
        signup_id=command.signup_id,
        reason=reason,
        origin=command.origin,
    )
    return Decision(sends=(Send(ATTENDANCE_EVENTS, refusal),))
