"""One person's service as a decision sees and changes it: what may count beside what, and who comes next."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

from contracts.messages.attendance import HoldReason, ServiceConfirmed, ServiceHeld, ServiceRevoked
from contracts.messages.service import ServiceRecord
from contracts.topics import ATTENDANCE_EVENTS
from services.attendance.states import PersonDay, Presence, RecordKey, Signup, Standing
from services.chassis.decisions import Decision, Send, States

__all__ = ["Books"]


class Books:
    """A working copy over the batch's states, of one decision; nothing is changed but by ``decision``."""

    def __init__(self, states: States, person: UUID, cap: int) -> None:
        self._states = states
        self._person = person
        self._cap = cap
        self._before = {row.key: row for row in states.group(Standing, "person", person)}
        self._now = dict(self._before)
        self._signup: Signup | None = None
        self._visit: Presence | None = None
        self._changed: dict[RecordKey, None] = {}
        self._sends: list[Send] = []

    def note(self, signup: Signup) -> None:
        """Her sign-up stands like this now."""
        self._signup = signup

    def visit(self, presence: Presence) -> None:
        """She came, or left."""
        self._visit = presence

    def obstacle(self, row: Standing, record: ServiceRecord) -> HoldReason | None:
        """Why this version may not count beside all else that counts of the person."""
        if not self._entitled(row):
            return "no_signup"
        day = record.day
        if not self._present(row.signup_id, day):
            return "no_check_in"
        overlaps = False
        worth = minutes = record.minutes
        for other in self._now.values():
            # Both or neither are there: the table checks it.
            if other.counted_from is None or other.counted_to is None or other.key == row.key:
                continue
            same_day = other.counted_day == day
            if same_day and other.counted_signup == row.signup_id:
                return "duplicate"
            if other.counted_from < record.ended_at and record.started_at < other.counted_to:
                overlaps = True
            if same_day:
                minutes += other.counted_minutes or 0
        if overlaps:
            return "overlap"
        # A lowering fits even on a day that was filled under a higher cap.
        own = (row.counted_minutes or 0) if row.counted_day == day else 0
        if minutes > self._cap and worth > own:
            return "over_cap"
        return None

    def decide(self, row: Standing, record: ServiceRecord, reason: HoldReason | None) -> None:
        """Confirm this version of a record, or hold it for what is in its way."""
        if reason is None:
            self._confirm(row, record)
        else:
            self._hold(row, record, reason)

    def revoke(self, row: Standing, record: ServiceRecord) -> None:
        """Take the record back, whatever it was worth."""
        self._put(row.revoked())
        self._tell(ServiceRevoked, row, record, minutes=0)

    def settle(self) -> None:
        """Decide what is held again, who attested first first, until nothing more fits; never cut anything to fit.

        A correction that fits at last may free the span of its earlier version, so it begins anew then.
        """
        held = sorted(
            (row for row in self._now.values() if row.held_for is not None),
            key=lambda row: (row.attested_at, row.key),
        )
        waiting = [(row, row.record()) for row in held]
        while (found := self._first_that_fits(waiting)) is not None:
            row, record = waiting.pop(found)
            self._confirm(row, record)
        for row, record in waiting:
            reason = self.obstacle(row, record)
            if reason is not None and reason != row.held_for:
                self._hold(row, record, reason)

    def decision(self, facts: tuple[str, ...] = ()) -> Decision:
        """All that was changed, with what it adds to the person's days."""
        added: defaultdict[date, int] = defaultdict(int)
        rows: list[Any] = []
        for key in self._changed:
            old, new = self._before.get(key), self._now[key]
            rows.append(new)
            for row, sign in ((old, -1), (new, 1)):
                if row is not None and (day := row.counted_day) is not None:
                    added[day] += sign * (row.counted_minutes or 0)
        for day, minutes in added.items():
            if minutes:
                batch = self._states.get(PersonDay, (self._person, day))
                total = minutes if batch is None else minutes + batch.added
                rows.append(PersonDay(self._person, day, total, self._cap))
        evidence = [row for row in (self._signup, self._visit) if row is not None]
        return Decision(changes=(*evidence, *rows), sends=tuple(self._sends), facts=facts)

    def _first_that_fits(self, waiting: list[tuple[Standing, ServiceRecord]]) -> int | None:
        return next((at for at, (row, record) in enumerate(waiting) if self.obstacle(row, record) is None), None)

    def _entitled(self, row: Standing) -> bool:
        """Whether she may serve there. What was confirmed once needs no sign-up for its corrections."""
        if row.counted_signup == row.signup_id:
            return True
        signup = self._states.get(Signup, row.signup_id)
        if self._signup is not None and self._signup.id == row.signup_id:
            signup = self._signup
        return signup is not None and signup.active

    def _present(self, signup_id: UUID, day: date) -> bool:
        visit = self._visit
        if visit is not None and visit.signup_id == signup_id and visit.covers(day):
            return True
        return any(stay.covers(day) for stay in self._states.group(Presence, "signup_id", signup_id))

    def _confirm(self, row: Standing, record: ServiceRecord) -> None:
        self._put(row.confirmed(record))
        self._tell(ServiceConfirmed, row, record, minutes=record.minutes)

    def _hold(self, row: Standing, record: ServiceRecord, reason: HoldReason) -> None:
        self._put(replace(row, held_for=reason))
        self._tell(ServiceHeld, row, record, minutes=record.minutes, reason=reason)

    def _put(self, row: Standing) -> None:
        self._now[row.key] = row
        self._changed[row.key] = None

    def _tell(
        self,
        fact: type[ServiceConfirmed | ServiceHeld | ServiceRevoked],
        row: Standing,
        record: ServiceRecord,
        **more: Any,
    ) -> None:
        message = fact(person=row.person, host=row.host, signup_id=row.signup_id, record=record, **more)
        self._sends.append(Send(ATTENDANCE_EVENTS, message))
