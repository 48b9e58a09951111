"""The health of a process: whether it can do its work, why not, and figures. All is read at the moment of the question.

Ready means that each part has moved while there was something to move. A fault of an outside system is no fault of this
process: the service tells what it knows of the system (``Service.figures``), and stays ready.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from services.chassis.aside import quarantine
from services.chassis.aside.reentry import Reentry
from services.chassis.base.database import Pool, describe
from services.chassis.base.logs import Episode
from services.chassis.base.metrics import Figure, exposition
from services.chassis.batch.reasons import SAID_OTHERWISE, AsideReason
from services.chassis.jobs.scheduling import Scheduler
from services.chassis.lanes.consuming import Lane
from services.chassis.lanes.hearing import Hearing
from services.chassis.log.probe import BrokerProbe
from services.chassis.outgoing.relay import Relay
from services.chassis.restoring.restored import Restoring
from services.chassis.service import Service

__all__ = ["Health"]

GRACE: Final = 2.0
"""Seconds for which a part may fail before it counts as standing: a failure that the second try ends is no trouble."""
PATIENCE: Final = 60.0
"""Seconds for which a lane may stand without an error while it should move: longer than a batch may take."""
_SECONDS: Final = 3.0
_REASONS: Final = get_args(AsideReason)
"""Reasons whose number is told even while no message is set aside for them."""

_OUTBOX: Final = """SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT 1000000) AS counted) AS rows,
(SELECT extract(epoch FROM now() - made_at)::float8 FROM outbox ORDER BY id LIMIT 1) AS age,
(SELECT count(*) FROM (SELECT FROM said_since WHERE NOT again LIMIT 1000000) AS counted) AS not_said_again"""
# At most a million are counted: a count that takes seconds would look like a database that is away.


@dataclass
class _Found:
    """The state for health, the figures for metrics, and the sentences that say what is wrong."""

    state: dict[str, Any] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    why: list[str] = field(default_factory=list)


class Health:
    """Reads the health of a process when somebody asks. ``ended`` gives why the process stops; None while it runs."""

    def __init__(
        self,
        service: Service,
        pool: Pool,
        probe: BrokerProbe,
        parts: tuple[Sequence[Lane], Relay, Reentry, Hearing, Scheduler],
        restoring: Restoring,
        ended: Callable[[], str | None],
    ) -> None:
        self.service = service
        self.pool = pool
        self.probe = probe
        self.lanes, self.relay, self.reentry, self.hearing, self.scheduler = parts
        self.restoring = restoring
        self._ended = ended
        self._reasons: set[str] = set(_REASONS)
        self._reading = asyncio.Lock()
        self._next: asyncio.Task[_Found] | None = None

    async def state(self) -> dict[str, Any]:
        """Whether it can do its work (``ready``), why not (``why``), and the figures that say so."""
        return (await self._shared()).state

    async def exposition(self) -> bytes:
        """The metrics, in Prometheus' text format."""
        return exposition((await self._shared()).figures)

    async def _shared(self) -> _Found:
        """One reading at a time, begun after it was asked for. All callers who wait share the next reading.

        Anybody may ask. Otherwise a stranger who asks often would occupy the sessions that decide messages.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._after_the_one_under_way())
        return await asyncio.shield(self._next)

    async def _after_the_one_under_way(self) -> _Found:
        async with self._reading:
            self._next = None
            return await self._found()

    async def _found(self) -> _Found:
        found = _Found({"service": self.service.name})
        if (ended := self._ended()) is not None:
            found.why.append(ended)
        if (restoring := self.restoring.why) is not None:
            found.why.append(restoring)
        found.state["broker"] = await self.probe.answers()
        found.figures.append(Figure("broker_answers", float(found.state["broker"])))
        if not found.state["broker"]:
            found.why.append("the broker does not answer")
        self._of_lanes(found)
        self._of_parts(found)
        await self._of_database(found)
        found.state |= {"ready": not found.why, "why": found.why}
        found.figures.append(Figure("ready", float(not found.why)))
        return found

    def _of_lanes(self, found: _Found) -> None:
        waiting = [lane.member for lane in self.lanes if not lane.ready.is_set()]
        found.state |= {"lanes_waiting": waiting, "lag": sum(lane.lag() for lane in self.lanes), "groups": {}}
        found.why += [f"{member} does not know its partitions yet" for member in waiting]
        for stream in self.service.streams:
            lanes = [lane for lane in self.lanes if lane.stream is stream]
            lag = sum(lane.lag() for lane in lanes)
            # A lane that has nothing to apply, or is paused, does not stand still.
            silent = max((lane.movement.silent() for lane in lanes if lane.lag()), default=0.0)
            found.state["groups"][stream.group] = {"lag": lag, "paused": any(lane.movement.paused for lane in lanes)}
            found.figures.append(Figure("lag_messages", lag, (("group", stream.group),)))
            self._stands(found, stream.group, [lane.trouble for lane in lanes], silent, f"{lag} messages behind")

    def _of_parts(self, found: _Found) -> None:
        relay = self.relay
        found.state["relay"] = "leading" if relay.leading else "standing by" if relay.alive else "down"
        self._stands(found, "relay", [relay.interrupted], relay.silent(), str(found.state["relay"]))
        found.state["stuck"] = relay.trouble
        for place in relay.trouble:
            if place["seconds"] > GRACE:
                where = place["topic"] if place["partition"] is None else f"{place['topic']}/{place['partition']}"
                found.why.append(f"{where} takes no rows for {place['seconds']:.0f} s: {place['reason']}")
        if not relay.alive and not relay.interrupted.active and self.restoring.why is None:
            found.why.append("the relay has not begun")
        self._stands(found, "re-entry", [self.reentry.trouble], 0.0, "")
        self._stands(found, "hearing", [self.hearing.trouble], 0.0, "")
        self._stands(found, "schedule", [self.scheduler.interrupted], 0.0, "")
        for name, failed in self.scheduler.troubles.items():
            self._stands(found, f"job {name}", [failed], 0.0, "")
        for episode in self.service.episodes:
            self._stands(found, str(episode.told.get("name", episode.event)), [episode], 0.0, "")

    def _stands(
        self, found: _Found, part: str, troubles: Collection[Episode | None], silent: float, beside: str
    ) -> None:
        """Tell that a part stands: with an error, or ``silent`` for so many seconds without an error."""
        worst = max((one for one in troubles if one is not None), key=lambda one: one.seconds, default=None)
        seconds = 0.0 if worst is None else worst.seconds
        if worst is not None and seconds > GRACE:
            found.why.append(f"{part} stands for {seconds:.0f} s: {worst.detail} ({worst.count} times)")
        elif silent > PATIENCE:
            seconds = silent
            found.why.append(f"{part} has not moved for {silent:.0f} s, {beside}")
        found.figures.append(Figure("stands_seconds", round(seconds, 1), (("part", part),)))

    async def _of_database(self, found: _Found) -> None:
        try:
            async with self.pool.acquire(timeout=_SECONDS) as db:
                outbox = await db.fetchrow(_OUTBOX, timeout=_SECONDS)
                aside = await quarantine.counts(db, timeout=_SECONDS)
                late = await self.scheduler.late(db)
                own = None if self.service.figures is None else await self.service.figures(db)
        except Exception as error:
            # Figures that cannot be read now are left out, since readers would believe an old figure.
            found.state["database"] = describe(error)
            found.why.append(f"the database does not answer: {describe(error)}")
            found.figures.append(Figure("database_answers", 0.0))
            return
        assert outbox is not None
        age = outbox["age"] or 0.0
        found.state |= {"database": "ok", "outbox_rows": outbox["rows"], "outbox_oldest_seconds": age}
        found.state |= {"set_aside": aside, "not_said_again": outbox["not_said_again"]}
        if otherwise := aside.get(SAID_OTHERWISE):
            found.why.append(
                f"{otherwise} messages would say something else than was said under their ids before the database was "
                "restored; look at them (shuangcheng set-aside list --reason said_otherwise), settle, discard"
            )
        found.state["jobs_late_seconds"] = {name: seconds for name, seconds in late.items() if seconds}
        self._reasons |= aside.keys()
        found.figures += [
            Figure("database_answers", 1.0),
            Figure("outbox_rows", outbox["rows"]),
            Figure("outbox_oldest_seconds", age),
            *(Figure("job_late_seconds", seconds, (("job", name),)) for name, seconds in late.items()),
            *(Figure("set_aside_rows", aside.get(one, 0), (("reason", one),)) for one in sorted(self._reasons)),
        ]
        if own is not None:
            found.state |= own.state
            found.figures += own.gauges
