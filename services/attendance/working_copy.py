"""One person's service records as one decision reads and changes them: which may count together, and which comes next.

Records compete only within one Shanghai day of one person, so a decision looks at the days that it touches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from heapq import heappop, heappush
from typing import Any
from uuid import UUID

from contracts.messages.attendance import ServiceConfirmed, ServiceHeld, ServiceRevoked
from contracts.messages.service import ServiceRecord, Tier
from contracts.policy import AsHost
from contracts.topics import ATTENDANCE_EVENTS
from services.attendance.days import Counted
from services.attendance.judging import misfit
from services.attendance.policy import Policy
from services.attendance.reasons import REVIEWABLE, HoldReason
from services.attendance.states import PersonDay, Presence, RecordKey, Signup, Standing, days_of_a_stay
from services.chassis.decisions import Decision, States
from services.chassis.draft import Draft

__all__ = ["WorkingCopy", "stays_of"]


class WorkingCopy:
    """The changes of one decision over the batch's states, which do not change before ``decision``."""

    def __init__(self, draft: Draft, states: States, person: UUID, policy: Policy) -> None:
        self.draft = draft
        self._states = states
        self._person = person
        self._policy = policy
        self._days: dict[date, Counted] = {}
        self._caps: dict[date, int] = {}
        """The cap of a day on which a record was confirmed."""
        self._signup: Signup | None = None
        self._visit: Presence | None = None
        self._changed: dict[RecordKey, Standing] = {}
        self._again: dict[RecordKey, Standing] = {}
        """Held records that may count now."""

    def note(self, signup: Signup) -> None:
        """Take over the new state of her sign-up."""
        self._signup = signup
        if signup.active:
            self._look_again(self._states.group(Standing, "waits_under", signup.id))

    def visit(self, presence: Presence) -> None:
        """Take over a check-in or check-out."""
        self._visit = presence
        waiting = self._states.group(Standing, "waits_under", presence.signup_id)
        self._look_again(row for row in waiting if presence.covers(row.day))

    def obstacle(self, row: Standing, record: ServiceRecord | None = None) -> HoldReason | None:
        """Why this version may not count beside all other records that count; None where it may. ``record``: its
        content, read from the row if not given.

        A version with fewer minutes, inside the time that counts already, is not compared with shift and presence: what
        lowers always arrives (promise 9)."""
        record = record or row.record()
        asked = self._policy.as_host(row.host, record.started_at)
        if not (asked is not None and row.home == row.host) and (reason := self._unsupported(row, record, asked)):
            return reason
        counted = self._counted(row.day)
        if counted.by_signup.get(row.signup_id, row.key) != row.key:
            return "duplicate"
        if counted.overlaps(row.key, record.started_at, record.ended_at):
            return "overlap"
        return None if row.lowered_by(record) else self._beyond_the_day(row, record)

    def tier_for(self, row: Standing, reason: HoldReason) -> Tier | None:
        """Who may approve a version that is held for this reason; None where nobody may."""
        if reason != "over_cap":
            return "host" if reason in REVIEWABLE else None
        record = row.record()
        cap = self._policy.day_cap(row.home, record.started_at, "parent")
        return "parent" if self._minutes_with(row, record) <= cap else "province"

    def decide(self, row: Standing, record: ServiceRecord, reason: HoldReason | None) -> None:
        """Confirm this version of a record, or hold it for ``reason``."""
        if reason is None:
            self._confirm(row, record)
        else:
            self._hold(row, record, reason)

    def revoke(self, row: Standing, record: ServiceRecord) -> None:
        """Revoke the record: no minutes of it count."""
        self._put(row.revoked())
        self._tell(ServiceRevoked, row, record, minutes=0)

    def decide_again(self) -> None:
        """Decide again the held records that may count now, in the order in which they were attested, until no more
        fits. No record is cut to fit.

        A correction that fits may free the span of its earlier version. Then records of that day that had been passed
        over are looked at once more.
        """
        line: list[tuple[datetime, RecordKey]] = []
        in_line: dict[RecordKey, Standing] = {}
        passed: dict[RecordKey, Standing] = {}
        while self._again or line:
            for key, row in self._again.items():
                if key not in in_line:
                    heappush(line, (row.attested_at, key))
                    in_line[key] = row
            self._again.clear()
            _, key = heappop(line)
            held = in_line.pop(key)
            if self.obstacle(held) is None:
                passed.pop(key, None)
                self._confirm(held, held.record())
            else:
                passed[key] = held
        for held in sorted(passed.values(), key=lambda row: (row.attested_at, row.key)):
            reason = self.obstacle(held)
            if reason is not None and reason != held.held_for:
                self._hold(held, held.record(), reason)

    def decision(self) -> Decision:
        """All changes, with the minutes that they add to the person's days."""
        added: defaultdict[date, int] = defaultdict(int)
        for row in (self._signup, self._visit):
            if row is not None:
                self.draft.change(row)
        for key, new in self._changed.items():
            self.draft.change(new)
            for record, sign in ((self._states.get(Standing, key), -1), (new, 1)):
                if record is not None and (day := record.counted_day) is not None:
                    added[day] += sign * (record.counted_minutes or 0)
        for day, minutes in added.items():
            if minutes:
                batch = self._states.get(PersonDay, (self._person, day))
                cap = self._caps.get(day, self._policy.day_cap_minutes)
                if batch is not None:
                    minutes, cap = minutes + batch.added, max(cap, batch.cap)
                self.draft.change(PersonDay(self._person, day, minutes, cap))
        return self.draft.decision()

    def _counted(self, day: date) -> Counted:
        if (counted := self._days.get(day)) is None:
            rows = self._states.group(Standing, "counts_on", (self._person, day))
            counted = self._days[day] = Counted(rows)  # ``_put`` asks for a day before it changes it
        return counted

    def _unsupported(self, row: Standing, record: ServiceRecord, asked: AsHost | None) -> HoldReason | None:
        """Why sign-up, shift, presence and evidence do not support this version."""
        signup = self._states.get(Signup, row.signup_id)
        if self._signup is not None and self._signup.id == row.signup_id:
            signup = self._signup
        if not _entitled(row, record, signup):
            return "no_signup"
        if row.lowered_by(record):
            return None
        if row.rejected_by is not None:
            return "review_rejected"
        stays = self._stays(row.signup_id, row.day)
        reason = misfit(record, row.said_at or row.attested_at, signup, stays, asked)
        return None if row.approved_by is not None and reason in REVIEWABLE else reason

    def _stays(self, signup_id: UUID, day: date) -> list[Presence]:
        """The stays of a sign-up that cover this day, and those that have no end and began before it."""
        visit = self._visit
        found = {(stay.day, stay.pair): stay for stay in stays_of(self._states, signup_id, day)}
        if visit is not None and visit.signup_id == signup_id:
            found[visit.day, visit.pair] = visit
        return [stay for stay in found.values() if stay.covers(day) or (stay.left_at is None and stay.day <= day)]

    def _beyond_the_day(self, row: Standing, record: ServiceRecord) -> HoldReason | None:
        """Why her day has no room for this version: she had to travel, or the minutes are too many."""
        asked = self._policy.as_home(row.home, record.started_at)
        span = record.started_at, record.ended_at
        near = asked is not None and self._counted(row.day).near(row.key, *span, asked.travel)
        if near and row.approved_by is None:
            return "travel"
        return "over_cap" if self._minutes_with(row, record) > self._cap(row, record) else None

    def _minutes_with(self, row: Standing, record: ServiceRecord) -> int:
        """The minutes of the record's day, if this version counted."""
        own = (row.counted_minutes or 0) if row.counted_day == row.day else 0
        return self._counted(row.day).minutes - own + record.minutes

    def _cap(self, row: Standing, record: ServiceRecord) -> int:
        """The minutes of a day that may count with this version, as it was approved."""
        return self._policy.day_cap(row.home, record.started_at, row.approved_by)

    def _confirm(self, row: Standing, record: ServiceRecord) -> None:
        self._put(row.confirmed(record))
        self._caps[row.day] = max(self._cap(row, record), self._caps.get(row.day, 0))
        policies = self._policy.versions(row.host, row.home, record.started_at)
        self._tell(ServiceConfirmed, row, record, minutes=record.minutes, approved_by=row.approved_by, **policies)

    def _hold(self, row: Standing, record: ServiceRecord, reason: HoldReason) -> None:
        self._put(replace(row, held_for=reason))
        self._tell(ServiceHeld, row, record, minutes=record.minutes, reason=reason)

    def _put(self, row: Standing) -> None:
        """Keep a record's new state. Where it counted otherwise before, other records may take the time that it
        left."""
        before = self._changed.get(row.key) or self._states.get(Standing, row.key)
        old_day, new_day = None if before is None else before.counted_day, row.counted_day
        old = None if old_day is None else self._counted(old_day)
        new = None if new_day is None else self._counted(new_day)
        self._changed[row.key] = row
        if before is not None and before.counts_as(row):
            return
        if old is not None and before is not None:
            old.remove(before)
        if new is not None:
            new.add(row)
        if old is not None and old_day is not None and before is not None:
            self._look_again(self._states.group(Standing, "waits_on", (self._person, old_day)))
            if before.counted_signup not in old.by_signup:
                self._look_again(self._states.group(Standing, "doubles", (before.counted_signup, old_day)))

    def _look_again(self, rows: Iterable[Standing]) -> None:
        for row in rows:
            if row.key not in self._changed:
                self._again[row.key] = row

    def _tell(
        self,
        event: type[ServiceConfirmed | ServiceHeld | ServiceRevoked],
        row: Standing,
        record: ServiceRecord,
        **more: Any,
    ) -> None:
        message = event(person=row.person, host=row.host, signup_id=row.signup_id, record=record, **more)
        self.draft.tell(ATTENDANCE_EVENTS, message)


def stays_of(states: States, signup_id: UUID, day: date) -> list[Presence]:
    """All stays of a sign-up that began on this day, or on an earlier day from which a stay may reach into it."""
    days = days_of_a_stay(day)
    return [stay for begun in days for stay in states.group(Presence, "signup_day", (signup_id, begun))]


def _entitled(row: Standing, record: ServiceRecord, signup: Signup | None) -> bool:
    """Whether she might serve there when this record began. A record that was confirmed under a sign-up once needs no
    right for its corrections."""
    if row.counted_signup == row.signup_id:
        return True
    return signup is not None and (signup.active or signup.was_active(record.started_at))
