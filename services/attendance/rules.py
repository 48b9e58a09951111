"""What counts of a person's service: pure decisions over her sign-ups, presence and records of all registries."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeAlias
from uuid import UUID

from contracts.messages import attendance as messages
from contracts.messages.base import Origin
from contracts.messages.service import shanghai_day
from contracts.topics import ATTENDANCE_EVENTS, OPPORTUNITIES_EVENTS
from services.attendance.policy import Policy
from services.attendance.reasons import CommandRefusal
from services.attendance.states import (
    LONGEST_STAY,
    Presence,
    Signup,
    SignupState,
    Standing,
    signup_name,
)
from services.attendance.working_copy import WorkingCopy, stays_of
from services.chassis.decisions import Channel, Decision, Inbound, Send, States, Wait
from services.chassis.draft import Draft

__all__ = ["attest", "check_in", "check_out", "ignore", "note_signup", "refused"]

PAIRS_A_DAY: Final = 3
RECORDS_A_DAY: Final = 50
"""How many records one host may have of one person's Shanghai day, in whatever state. Each of them is looked at
whenever something of that day comes free. Nobody serves so often; a host that loops has so many."""

_Command: TypeAlias = messages.RecordCheckIn | messages.RecordCheckOut | messages.AttestService


class _Refusable(Protocol):
    """Any command of attendance."""

    @property
    def person(self) -> UUID: ...

    @property
    def host(self) -> str: ...

    @property
    def signup_id(self) -> UUID: ...

    @property
    def origin(self) -> Origin: ...


def note_signup(state: SignupState, states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Keep the state of a sign-up. Where it entitles its person to serve, messages that wait for it and records that
    are held for it are decided.

    A refusal concerns one request: of two requests for one sign-up the second is refused, and the sign-up keeps its
    state. The first event of a sign-up, whatever it is, makes known the fact for which its check-ins wait. An end after
    the shift's begin takes no right to what she began to serve before it.
    """
    event = inbound.data
    before = states.get(Signup, event.signup_id)
    signup = _signup(state, event, before)
    if signup == before or (signup.state == "refused" and before is not None and before.state != "withdrawn"):
        return Decision()
    copy = WorkingCopy(Draft(inbound, now), states, event.person, policy)
    copy.note(signup)
    copy.decide_again()
    if signup.active or before is None:
        copy.draft.fact(signup_name(event.signup_id))
    return copy.decision()


def check_in(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Keep a check-in, up to three a day (rule 68). Records that are held for want of it are decided again.

    A check-in is evidence and no right to serve. The right may come later (a promotion, a window of her home that had
    lost), so a check-in is kept whatever the state of its sign-up. It is refused only where no event has named the
    sign-up.
    """
    command: messages.RecordCheckIn = inbound.data
    if states.get(Signup, command.signup_id) is None:
        return refused(command, "no_signup") if inbound.waited_out else _wait(command)
    day = shanghai_day(command.at)
    today = states.group(Presence, "signup_day", (command.signup_id, day))
    if any(row.came_at == command.at for row in today):
        return Decision()
    if len(today) == PAIRS_A_DAY:
        return refused(command, "too_many_check_ins")
    copy = WorkingCopy(Draft(inbound, now), states, command.person, policy)
    copy.visit(Presence(command.signup_id, day, len(today) + 1, command.at, came_by=command.method))
    copy.decide_again()
    return copy.decision()


def check_out(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Keep a check-out: it ends the latest stay that is open. A stay over midnight is evidence for both days.

    A check-out that is said to be long after the shift's end ends nothing: the stay counts as one without a check-out,
    until the host says an earlier moment (rule 67).
    """
    command: messages.RecordCheckOut = inbound.data
    stays = [
        row
        for row in stays_of(states, command.signup_id, shanghai_day(command.at))
        if timedelta(0) <= command.at - row.came_at <= LONGEST_STAY
    ]
    if any(row.left_at == command.at for row in stays):
        return Decision()
    stay = max((row for row in stays if row.left_at is None), key=lambda row: row.came_at, default=None)
    if stay is None:
        return refused(command, "no_check_in")
    if _is_closed(stay, states.get(Signup, command.signup_id), command, policy):
        return refused(command, "stay_closed")
    copy = WorkingCopy(Draft(inbound, now), states, command.person, policy)
    copy.visit(replace(stay, left_at=command.at, left_by=command.method))
    copy.decide_again()
    return copy.decision()


def attest(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Confirm, hold or revoke a version of a service record. Time that this frees goes to records that are held.

    Versions may come in any order: a version lower than the latest changes nothing (rule 69). A host that has
    ``RECORDS_A_DAY`` records of her day gets no further record in; the number of versions of a record has no limit.
    """
    command: messages.AttestService = inbound.data
    record = command.record
    before = states.get(Standing, (command.host, record.record_ref))
    if before is not None:
        if before.person != command.person:
            return refused(command, "other_person")
        if record.version < before.version:
            return Decision()
        if record.version == before.version:
            return Decision() if before.record() == record else refused(command, "version_conflict")
    elif len(states.group(Standing, "place", (command.host, command.person, record.day))) >= RECORDS_A_DAY:
        return refused(command, "too_many_records")
    row = _next_version(command, before, inbound.time)
    copy = WorkingCopy(Draft(inbound, now), states, command.person, policy)
    if record.revoked:
        copy.revoke(row, record)
    else:
        reason = copy.obstacle(row, record)
        if reason == "no_signup" and not inbound.waited_out:
            return _wait(command)
        copy.decide(row, record, reason)
    copy.decide_again()
    return copy.decision()


def ignore(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """The message is on a topic that attendance reads, and concerns other services only."""
    return Decision()


def _is_closed(stay: Presence, signup: Signup | None, command: messages.RecordCheckOut, policy: Policy) -> bool:
    """Whether the stay counted as one without a check-out before this moment."""
    asked = policy.as_host(command.host, stay.came_at)
    if asked is None or signup is None or signup.ends_at is None:
        return False
    return command.at > signup.ends_at + asked.check_out_within


def _signup(state: SignupState, event: Any, before: Signup | None) -> Signup:
    """The sign-up after this event. The window of a shift never moves, so a window that was told is kept."""
    starts_at, ends_at = event.starts_at, event.ends_at
    if starts_at is None and before is not None:
        starts_at, ends_at = before.starts_at, before.ends_at
    return Signup(event.signup_id, state, _served_until(state, event, before), starts_at, ends_at)


def _served_until(state: SignupState, event: Any, before: Signup | None) -> datetime | None:
    """``Signup.served_until`` after this event."""
    known = None if before is None else before.served_until
    if state != "withdrawn" or before is None or not before.active:
        return known
    ended: datetime | None = event.withdrawn_at
    begins: datetime | None = event.starts_at
    if ended is None or begins is None or ended <= begins:
        return known
    return ended if known is None else max(known, ended)


def _next_version(command: messages.AttestService, before: Standing | None, time: datetime) -> Standing:
    record = command.record
    body = record.__pydantic_serializer__.to_json(record, exclude_none=True).decode()
    if before is not None:
        return replace(
            before,
            signup_id=command.signup_id,
            version=record.version,
            body=body,
            day=record.day,
            home=command.home or before.home,
            said_at=time,
        )
    return Standing(
        command.host,
        record.record_ref,
        command.person,
        command.signup_id,
        record.version,
        None,
        body,
        attested_at=time,
        day=record.day,
        home=command.home,
        said_at=time,
    )


def _wait(command: _Command) -> Decision:
    # It waits for its own sign-up alone, so that hundreds of waiting messages are not decided again at every other
    # sign-up of hers.
    project = command.record.project_ref if isinstance(command, messages.AttestService) else command.project_ref
    of_project = Channel(OPPORTUNITIES_EVENTS, f"{command.host}:{project}")  # all events of a project's sign-ups
    return Decision(wait=Wait(signup_name(command.signup_id), brought_by=(of_project,)))


def refused(command: _Refusable, reason: CommandRefusal) -> Decision:
    """The command is not followed, and its sender is told why."""
    refusal = messages.CommandRefused(
        person=command.person,
        host=command.host,
        signup_id=command.signup_id,
        reason=reason,
        origin=command.origin,
    )
    return Decision(sends=(Send(ATTENDANCE_EVENTS, refusal),))
