"""One batch within its transaction: lock, load, decide, save, write. ``live`` and ``reentry`` begin and commit it.

All decisions and effects of a batch take effect together, or none. The number of SQL statements does not depend on the
number of messages.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from contracts.envelope import Event
from contracts.topics import TopicEntry
from services.chassis import channels
from services.chassis.base.clock import Clock
from services.chassis.base.database import Batch, Connection, Opened, describe, open_connection
from services.chassis.base.failpoints import raise_if_asked
from services.chassis.base.faults import CannotStart
from services.chassis.base.logs import log
from services.chassis.base.settings import Settings
from services.chassis.batch import outbox
from services.chassis.batch.naming import Cause, Naming
from services.chassis.batch.outbox import OutboxRow, Thread
from services.chassis.batch.passed import PassedOver, Place, Silence
from services.chassis.batch.reasons import AsideReason
from services.chassis.batch.set_aside import Aside
from services.chassis.batch.storage import POSTGRES, Storage
from services.chassis.decisions import CancelTimer, Decision, Inbound, Send, States, Timer, Wait
from services.chassis.log.records import Record, appended_at
from services.chassis.service import Service

__all__ = ["Effects", "Processor", "Work"]

_MICROSECOND: Final = timedelta(microseconds=1)
_NOT_NAMED: Final = (
    "SHUANGCHENG_NAMING_SECRET is not set: give this database's own, the same at every start, or make one of 32 "
    'characters or more (python -c "import secrets; print(secrets.token_urlsafe(32))")'
)


class Work(NamedTuple):
    """A message to decide. ``aside``: its row, if the message was set aside before."""

    inbound: Inbound
    record: Record
    cause: Cause
    aside: Aside | None = None


@dataclass(slots=True)
class Effects:
    """All effects of a batch, collected before anything is written."""

    rows: list[OutboxRow] = field(default_factory=list)
    timers: dict[str, tuple[Timer, OutboxRow] | CancelTimer] = field(default_factory=dict)
    facts: set[str] = field(default_factory=set)
    asides: list[Aside] = field(default_factory=list)
    parked: set[str] = field(default_factory=set)
    applied: list[Work] = field(default_factory=list)
    silence: Silence | None = None
    made_ready: int = 0
    """How many messages that are set aside became ready by this batch."""


class Processor:
    """Decides messages of one service. It holds no connection. Between batches it keeps only the records that it
    decided without sending anything."""

    def __init__(self, service: Service, settings: Settings, clock: Clock, storage: Storage = POSTGRES) -> None:
        if settings.naming_secret is None:
            raise CannotStart(_NOT_NAMED)
        self.naming = Naming(settings.naming_secret.get_secret_value())
        self.service = service
        self.settings = settings
        self.clock = clock
        self.storage = storage
        self.opened: Opened | None = None
        self._passed_over = PassedOver(clock.now())

    async def session(self, application: str) -> Connection:
        """Open a session for batches alone; ``opened`` may refuse it."""
        dsn = self.settings.database.get_secret_value()
        return await open_connection(dsn, application=application, opened=self.opened)

    def takes_over(self, places: Mapping[Place, int]) -> None:
        """The process takes these partitions over. Its next message carries their positions."""
        self._passed_over.takes_over(places)

    async def paused_groups(self, db: Connection) -> Collection[str]:
        """The groups that an operator has paused."""
        return () if self.service.paused_groups is None else await self.service.paused_groups(db)

    def work(
        self, event: Event, record: Record, entry: TopicEntry, received_at: datetime, aside: Aside | None = None
    ) -> Work:
        """A message with its place in the log, and the moment at which it was seen first."""
        cause = _cause(event, record, aside)
        arrived = appended_at(record, entry, received_at)
        own_id = self.naming.own_id(cause)
        return Work(Inbound(event, entry.name, own_id, received_at, appended_at=arrived), record, cause, aside)

    async def decide(
        self,
        db: Connection,
        works: Sequence[Work],
        effects: Effects,
        heard: Mapping[str, datetime] | None = None,
    ) -> None:
        """Lock, load and decide. States are saved; all other effects are left in ``effects`` for ``write``.

        A live message whose subject is parked goes behind. A message that comes from ``set_aside`` is decided although
        its subject is parked. A wait ends when its channels are ``heard`` up to its deadline. For live messages
        ``heard`` is empty, so no wait ends, whatever the clock says.

        The clock is read under the locks, and each decision has a microsecond of its own. Therefore of two decisions
        about one row the later decision has the later moment, in all processes. A replay decides in the order of these
        moments.
        """
        if not works:
            return
        subjects, names, needs = self._ask(works)
        batch = Batch(db, self.storage.lock)
        parked = await batch.lock(names)
        states = await self.storage.load(self.service.store, batch, needs)
        blocked: set[str] = set()
        locked_at = self.clock.now()
        effects.silence = silence = self._passed_over.begin()
        for place, (work, subject) in enumerate(zip(works, subjects, strict=True)):
            now = self.moment(work, locked_at + place * _MICROSECOND)
            rows_before = len(effects.rows)
            if subject in blocked:
                if work.aside is None:
                    effects.asides.append(Aside(work.record, "behind", work.inbound.received_at, subject))
            elif work.aside is None and subject in parked:
                blocked.add(subject)
                effects.asides.append(Aside(work.record, "behind", work.inbound.received_at, subject))
            elif (aside := self._one(work, subject, states, batch, effects, now, heard)) is not None:
                blocked.add(subject)
                effects.asides.append(aside)
            if len(effects.rows) > rows_before:
                silence.speaks(now)
            elif work.aside is None:
                silence.passes(work.record)
        effects.parked |= blocked
        await self.storage.save(self.service.store, db, states)

    def _ask(self, works: Sequence[Work]) -> tuple[list[str], set[str], Any]:
        """The subject of each message, all names to lock, and all needs to load, by the row of each message."""
        subjects: list[str] = []
        names: set[str] = set()
        needs = self.service.store.needs()
        for work in works:
            reaction, inbound = self.service.reaction(work.inbound), work.inbound
            subjects.append(reaction.subject(inbound))
            names.update(reaction.locks(inbound))
            reaction.needs(inbound, needs)
        return subjects, names.union(subjects), needs

    def _one(
        self,
        work: Work,
        subject: str,
        states: States,
        batch: Batch,
        effects: Effects,
        now: datetime,
        heard: Mapping[str, datetime] | None,
    ) -> Aside | None:
        """Decide one message. If it cannot be applied, gives the row to set it aside with."""
        try:
            decision = self._decision(work, states, now, heard)
            if decision.wait is None:
                self._take(decision, work, states, batch, effects, now)
                return None
            fact = decision.wait.fact or subject
            if fact not in batch.locked:
                raise RuntimeError(f"waits for {fact!r}, which this batch did not lock")
        except Exception as error:
            detail = describe(error)
            log().error("decision raised", type=work.inbound.event.type, detail=detail)
            return self._aside(work, "raised", subject, detail=detail)
        deadline = self._deadline(decision.wait, work.inbound)
        brought_by = channels.named(decision.wait.brought_by)
        return self._aside(work, "waiting", subject, fact=fact, deadline=deadline, brought_by=brought_by)

    def _decision(self, work: Work, states: States, now: datetime, heard: Mapping[str, datetime] | None) -> Decision:
        inbound = work.inbound
        if work.aside is None:
            raise_if_asked(self.settings.raise_on, inbound.event)
        decision = self.service.decide(states, inbound, now)
        over = decision.wait is not None and heard and self._is_over(decision.wait, inbound, heard)
        if decision.wait is not None and (over or self.ends_unheard(work)):
            decision = self.service.decide(states, replace(inbound, waited_out=True), now)
            if decision.wait is not None:
                raise RuntimeError("a message that waited its time out may not wait again")
        return decision

    def moment(self, work: Work, now: datetime) -> datetime:
        """The moment of a decision: now. A replay gives the moment of the first decision."""
        return now

    def ends_unheard(self, work: Work) -> bool:
        """Whether the wait of this message ends although its channels were not heard. Only a replay returns True."""
        return False

    def _is_over(self, wait: Wait, inbound: Inbound, heard: Mapping[str, datetime]) -> bool:
        moment = heard.get(channels.named(wait.brought_by))
        return wait.fact is not None and moment is not None and self._deadline(wait, inbound) <= moment

    def _deadline(self, wait: Wait, inbound: Inbound) -> datetime:
        return wait.until or inbound.received_at + self.settings.await_facts_for

    def _take(
        self, decision: Decision, work: Work, states: States, batch: Batch, effects: Effects, now: datetime
    ) -> None:
        # A wrong decision may fail to encode. Therefore all its messages are encoded before any state changes.
        cause, inbound = work.cause, work.inbound
        told = effects.silence.told if decision.sends and effects.silence is not None else None
        rows = self.outgoing(decision.sends, cause, now, inbound, told)
        timers: dict[str, tuple[Timer, OutboxRow] | CancelTimer] = {}
        for place, timer in enumerate(decision.timers):
            if isinstance(timer, CancelTimer):
                timers[timer.name] = timer
            else:
                named = self.naming.timer_id(cause, place)
                thread = Thread.after(inbound, timer.topic)
                timers[timer.name] = timer, outbox.outgoing(timer, self.service.name, named, now, thread)
        if not batch.locked.issuperset(decision.facts):
            unlocked = sorted(set(decision.facts) - batch.locked)
            raise RuntimeError(f"makes known {unlocked}, which this batch did not lock")
        for row in decision.changes:
            states.put(row)
        for row in decision.gone:
            states.drop(row)
        effects.rows += rows
        effects.timers.update(timers)
        effects.facts.update(decision.facts)
        effects.applied.append(work)

    def outgoing(
        self,
        sends: Iterable[Send],
        cause: Cause,
        now: datetime,
        inbound: Inbound | None = None,
        told: str | None = None,
    ) -> list[OutboxRow]:
        """The outbox rows of this cause, each under the id of its place. The first message tells of passed records."""
        name, rows = self.service.name, []
        for place, send in enumerate(sends):
            id, thread = self.naming.send_id(cause, place), Thread.after(inbound, send.topic)
            rows.append(outbox.outgoing(send, name, id, now, thread, None if place else told))
        return rows

    @staticmethod
    def _aside(
        work: Work,
        reason: AsideReason,
        subject: str,
        *,
        fact: str | None = None,
        deadline: datetime | None = None,
        detail: str | None = None,
        brought_by: str | None = None,
    ) -> Aside:
        tries = work.aside.tries + 1 if work.aside else 1
        seq = work.aside.seq if work.aside else None
        received = work.inbound.received_at
        return Aside(work.record, reason, received, subject, fact, deadline, detail, tries, seq, brought_by)

    async def write(self, db: Connection, effects: Effects, origin: str | None) -> None:
        """Write the collected effects; the caller commits. The batch's own waits are written before messages become
        ready, so that a fact of this batch ends them too."""
        storage, last = self.storage, effects.timers.values()
        await storage.append(db, effects.rows, origin)
        await storage.set_timers(db, [item for item in last if not isinstance(item, CancelTimer)])
        await storage.cancel_timers(db, [item for item in last if isinstance(item, CancelTimer)])
        await storage.insert(db, [aside for aside in effects.asides if aside.seq is None])
        await storage.rewrite(db, [aside for aside in effects.asides if aside.seq is not None])
        done = [work.aside.seq for work in effects.applied if work.aside is not None and work.aside.seq is not None]
        await storage.remove(db, done)
        await storage.park(db, effects.parked)
        effects.made_ready = await storage.make_ready(db, effects.facts)
        if effects.silence is not None:
            self._passed_over.end(effects.silence)


def _cause(event: Event, record: Record, aside: Aside | None) -> Cause:
    return Cause.released(record) if aside is not None and aside.own_right else Cause.message(event, record)
