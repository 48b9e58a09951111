"""Partitions that take no rows at present. Their rows stay in order, and rows of other partitions go out.

A row of such a partition is marked in the outbox once it is read, so it is not read again before the partition takes
rows. From time to time the first row of each is tried with a producer of its own. Once that row is acknowledged, all
marks of the partition are taken off in the same transaction, and its rows go out in the order of their ids. The marks
of a missing topic are taken off as soon as the topic is there: no row of it is tried, since older rows of the same key
may be marked for their partition.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.chassis.base import metrics
from services.chassis.base.backoff import Backoff
from services.chassis.base.database import Connection, describe
from services.chassis.base.logs import Episode
from services.chassis.base.persistent import cancel_all
from services.chassis.base.settings import Settings
from services.chassis.log import kafka
from services.chassis.outgoing import said
from services.chassis.outgoing.sending import WHOLE_TOPIC, Place, Row, abandon, send

__all__ = ["Stuck"]

_MARK = """UPDATE outbox SET stuck = m.partition FROM unnest($1::bigint[], $2::int[]) AS m(id, partition)
WHERE outbox.id = m.id"""
_FIRST = """SELECT first.* FROM unnest($1::text[], $2::int[]) AS place(topic, partition),
LATERAL (SELECT id, topic, stuck, key, headers, value FROM outbox
         WHERE outbox.topic = place.topic AND outbox.stuck = place.partition ORDER BY id LIMIT 1) AS first"""
_FREE = """UPDATE outbox SET stuck = NULL FROM unnest($1::text[], $2::int[]) AS place(topic, partition)
WHERE outbox.topic = place.topic AND outbox.stuck = place.partition"""
_FREE_ALL = "UPDATE outbox SET stuck = NULL WHERE stuck IS NOT NULL"
_SHORTEST_BACKOFF: Final = 1.0
_LONGEST_BACKOFF: Final = 30.0
_TRIAL_SECONDS: Final = 30.0


@dataclass
class _Trouble:
    reason: str
    since: float
    backoff: Backoff
    """From its last trial to its next."""


@dataclass
class _Trial:
    """The results of a trial by place: the row that went out, a topic that is there again, or why no row went out."""

    acknowledged: dict[Place, tuple[int, int]]
    """Id of the row that went out, and the offset behind it."""
    there: list[Place]
    reasons: dict[Place, str]


class Stuck:
    """The places that take nothing, as the relay's leader knows them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._troubles: dict[Place, _Trouble] = {}
        self._episodes: dict[str, Episode] = {}
        self._trial: asyncio.Task[_Trial] | None = None
        self._tried: list[Place] = []

    def __contains__(self, place: Place) -> bool:
        return place in self._troubles

    @property
    def troubles(self) -> list[dict[str, Any]]:
        """For health: topic, partition (none: the topic is missing), reason, and for how many seconds."""
        now = time.monotonic()
        return [
            {
                "topic": topic,
                "partition": None if partition == WHOLE_TOPIC else partition,
                "reason": trouble.reason,
                "seconds": round(now - trouble.since, 1),
            }
            for (topic, partition), trouble in sorted(self._troubles.items())
        ]

    def add(self, place: Place, reason: str) -> None:
        """This place takes nothing."""
        if place not in self._troubles:
            self._troubles[place] = _Trouble(reason, time.monotonic(), Backoff(_SHORTEST_BACKOFF, _LONGEST_BACKOFF))
            self._count(place[0])
        self._troubles[place].reason = reason
        self._troubles[place].backoff.failed()
        self._episodes.setdefault(place[0], Episode("topic takes no rows", topic=place[0])).failed(
            reason if place[1] == WHOLE_TOPIC else f"partition {place[1]}: {reason}", level="error"
        )

    async def begin(self, db: Connection) -> None:
        """Begin to lead: the former leader may have known other places, so all rows are tried."""
        await self.end()
        await db.execute(_FREE_ALL)

    async def end(self) -> None:
        """Forget all places."""
        if self._trial is not None:
            await cancel_all([self._trial])
            self._trial = None
        for place in list(self._troubles):
            self._remove(place)

    async def mark(self, db: Connection, rows: Mapping[Place, Sequence[Row]]) -> None:
        """Pass over these rows until their places take rows."""
        marks = [(row["id"], place[1]) for place, of_place in rows.items() for row in of_place]
        if marks:
            await db.execute(_MARK, *map(list, zip(*marks, strict=True)))

    async def look(self, db: Connection) -> None:
        """Take the result of a trial, or begin one that is due. Does not wait for Kafka."""
        if not self._troubles:
            return
        if self._trial is None:
            await self._begin_trial(db)
        elif self._trial.done():
            trial, self._trial = self._trial, None
            error = trial.exception()
            reasons = {place: describe(error) for place in self._tried} if error is not None else {}
            await self._take(db, trial.result() if error is None else _Trial({}, [], reasons))

    async def _begin_trial(self, db: Connection) -> None:
        self._tried = [place for place, trouble in self._troubles.items() if not trouble.backoff.left]
        if self._tried:
            rows = await db.fetch(_FIRST, *_columns(self._tried))
            firsts = {(row["topic"], row["stuck"]): row for row in rows}
            for place in self._tried:
                if place not in firsts:  # somebody deleted its rows
                    self._remove(place)
            self._tried = list(firsts)
            if firsts:
                self._trial = asyncio.create_task(_try(self._settings, firsts))

    async def _take(self, db: Connection, trial: _Trial) -> None:
        for place, reason in trial.reasons.items():
            self.add(place, reason)
        if free := [*trial.acknowledged, *trial.there]:
            async with db.transaction():
                rows = trial.acknowledged
                await said.tell(db, [id for id, _ in rows.values()], {place: end for place, (_, end) in rows.items()})
                await db.execute(_FREE, *_columns(free))
            metrics.own().relayed.inc(len(trial.acknowledged))
            for place in free:
                self._remove(place)

    def _remove(self, place: Place) -> None:
        del self._troubles[place]
        if not self._count(place[0]) and (episode := self._episodes.pop(place[0], None)) is not None:
            episode.over()

    def _count(self, topic: str) -> int:
        count = sum(place[0] == topic for place in self._troubles)
        metrics.own().relay_stuck.labels(topic).set(count)
        return count


def _columns(places: Iterable[Place]) -> tuple[list[str], list[int]]:
    topics, partitions = zip(*places, strict=True)
    return list(topics), list(partitions)


async def _try(settings: Settings, firsts: Mapping[Place, Row]) -> _Trial:
    """Send the first row of each partition that has a leader, and see which missing topics are there."""
    producer = kafka.new_producer(settings, "shuangcheng-relay-trial")
    trial = _Trial({}, [], {})
    try:
        async with asyncio.timeout(_TRIAL_SECONDS):
            await producer.start()
            leaders = await kafka.leaders(producer)
            going: dict[Place, list[Row]] = {}
            for place, row in firsts.items():
                topic, partition = place
                whole = partition == WHOLE_TOPIC
                if (reason := kafka.lacking(leaders, topic, None if whole else partition)) is not None:
                    trial.reasons[place] = reason
                elif whole:
                    trial.there.append(place)
                else:
                    going[place] = [row]
            for place, sent in (await send(producer, going)).items():
                if sent.error is None and sent.end is not None:
                    trial.acknowledged[place] = sent.acknowledged[0], sent.end
                elif sent.error is not None:
                    trial.reasons[place] = describe(sent.error)
    finally:
        await abandon(producer)
    return trial
