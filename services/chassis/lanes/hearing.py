"""Up to which moment a service has heard each channel: a wait is over only when its channels are heard to its deadline.

The clock alone must not end a wait. While a service is down, or far behind, the fact may lie unread in the log, and a
service must decide alike after a downtime, in a replay and on a file of last week. Therefore the ends of the partitions
that can bring its fact are taken once the deadline of a wait has passed. The wait is over when the positions stored in
PostgreSQL, by this process or another, have reached these ends. Nobody waits for other partitions: a partition that
does not move keeps back only the facts that it can bring. Nobody waits for a group that an operator has paused.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.chassis import channels
from services.chassis.base.clock import Clock
from services.chassis.base.database import Pool, describe
from services.chassis.base.logs import Episode, log
from services.chassis.base.persistent import persistent
from services.chassis.base.polling import Polling
from services.chassis.base.settings import Settings
from services.chassis.lanes.consuming import Lane
from services.chassis.lanes.heard import HeardPartitions, Listening
from services.chassis.log import kafka, positions
from services.chassis.service import Service, Stream

__all__ = ["Hearing"]

_LONGEST_INTERVAL: Final = 1.0
_READ_MS: Final = 500
_ENDS_SECONDS: Final = 10.0


class Hearing:
    """A ``_GroupHearing`` for each consumer group. It looks at the logs only when asked, in a task of its own.

    ``on_heard`` is called when a moment has become known, so that nobody has to ask again and again.
    """

    def __init__(
        self,
        service: Service,
        settings: Settings,
        clock: Clock,
        pool: Pool,
        lanes: Sequence[Lane],
        on_heard: Callable[[], None],
        instance: int = 0,
    ) -> None:
        self._clock = clock
        self._groups = [
            _GroupHearing(
                service,
                stream,
                settings,
                clock,
                pool,
                [lane for lane in lanes if lane.stream is stream],
                on_heard,
                instance,
            )
            for stream in service.streams
        ]
        self._read = {entry.name: (entry.partitions, group) for group in self._groups for entry in group.stream.topics}

    def heard_to(self, brought_by: str, due: datetime) -> datetime | None:
        """The moment up to which these channels are heard: all messages that lay on them at that moment are applied.

        None while no such moment is known, or only one before ``due``; then the ends of the logs are looked at. A topic
        that this service does not read brings nothing.
        """
        moments = [
            group.heard_to(TopicPartition(topic, number), due)
            for topic, only in channels.places(brought_by)
            if topic in self._read
            for partitions, group in [self._read[topic]]
            for number in (range(partitions) if only is None else (only,))
        ]
        known = [moment for moment in moments if moment is not None]
        return min(known, default=self._clock.now()) if len(known) == len(moments) else None

    @property
    def trouble(self) -> Episode | None:
        """Why some wait is not over; None while the logs are read, or nobody waits."""
        return next((group.failing for group in self._groups if group.failing.active), None)

    async def run(self) -> None:
        """Look until cancelled. A failure is tried again; a failure of one group delays no other group."""
        async with asyncio.TaskGroup() as tasks:
            for group in self._groups:
                tasks.create_task(group.run())


class _GroupHearing:
    """Hears the partitions of one group that it is asked for, each by itself."""

    def __init__(
        self,
        service: Service,
        stream: Stream,
        settings: Settings,
        clock: Clock,
        pool: Pool,
        lanes: Sequence[Lane],
        on_heard: Callable[[], None],
        instance: int,
    ) -> None:
        self.service = service
        self.instance = instance
        self.stream = stream
        self.settings = settings
        self.pool = pool
        self._lanes = lanes
        self._on_heard = on_heard
        self._heard = HeardPartitions(clock)
        self._polling = Polling(_LONGEST_INTERVAL)
        self.failing = Episode("ends of logs not read", group=stream.group)
        self._reader: AIOKafkaConsumer | None = None

    def heard_to(self, tp: TopicPartition, due: datetime) -> datetime | None:
        """The newest moment up to which this partition was heard, unless that is before ``due``."""
        asked = len(self._heard.asked)
        moment = self._heard.to(tp, due)
        if len(self._heard.asked) > asked:
            self._polling.wake.set()
        return moment

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            await persistent(self._round, self.failing)
        finally:
            await self._close()

    async def _round(self) -> None:
        await self._until_next_look()
        try:
            if await self._look():
                self._polling.found()
                self._on_heard()
        except Exception:
            await self._close()
            raise
        self.failing.over()

    async def _until_next_look(self) -> None:
        if self._heard.asked or self._heard.listening:
            return await self._polling.wait()
        await self._polling.wake.wait()
        self._polling.wake.clear()
        return self._polling.found()

    async def _look(self) -> bool:
        """Look once; gives whether a partition was heard to its end."""
        moment = self._heard.now()
        listening = self._heard.listening
        if await self._is_paused():
            heard = dict.fromkeys(self._heard.asked | listening.keys(), moment)
        elif all(lane.ready.is_set() for lane in self._lanes):  # then the log is proved to be that of the positions
            ends = await self._ends()
            if self._clock_was_set_back(listening):
                return False
            self._heard.take(ends.items(), moment)
            heard = await self._reached(dict(listening))
        else:
            return False
        if self._clock_was_set_back(listening):
            return False
        for tp, until in heard.items():
            self._heard.reached(tp, until)
        return bool(heard)

    def _clock_was_set_back(self, listening: Mapping[TopicPartition, Listening]) -> bool:
        """Whether this look began before the clock was set back: then it says nothing, and the next one begins anew."""
        self._heard.now()
        return self._heard.listening is not listening

    async def _is_paused(self) -> bool:
        if self.service.paused_groups is None:
            return False
        async with self.pool.acquire() as db:
            return self.stream.group in await self.service.paused_groups(db)

    async def _ends(self) -> dict[TopicPartition, int]:
        """The ends of what is asked for. A partition without a leader stays asked for: it would keep back the ends of
        all others."""
        if not self._heard.asked:
            return {}
        asked = kafka.led(await self._opened(), self._heard.asked)
        if not asked:
            return {}
        async with asyncio.timeout(_ENDS_SECONDS):
            return await kafka.ends(await self._opened(), asked, by_fetch=self.settings.embedded_broker)

    async def _reached(self, listening: Mapping[TopicPartition, Listening]) -> dict[TopicPartition, datetime]:
        """The partitions in which everything before the end is applied, each with the moment of its end."""
        if not listening:
            return {}
        group = self.stream.group
        behind = await positions.behind(self.pool, {(group, tp): one.end for tp, one in listening.items()})
        heard = {tp: one.moment for tp, one in listening.items() if (group, tp) not in behind}
        for (_, tp), at in behind.items():
            one = listening[tp]
            if one.at != at:
                one.at = at  # it moves
            elif one.unread_at != at:
                readable = await self._readable(tp, at, one.end)
                if readable:
                    one.unread_at = at
                elif readable is False:
                    heard[tp] = one.moment
        return heard

    async def _readable(self, tp: TopicPartition, start: int, end: int) -> bool | None:
        """Whether a message stands from ``start`` to before ``end``; None if that was not seen yet.

        The marks of transactions are no messages; bytes that cannot be read count as a message.
        """
        reader = await self._opened()
        reader.seek(tp, start)
        reader.resume(tp)
        try:
            found = (await reader.getmany(tp, timeout_ms=_READ_MS)).get(tp, [])
            if found:
                return bool(found[0].offset < end)
            return False if await reader.position(tp) >= end else None
        except Exception as error:
            log().debug("not readable", topic=tp.topic, detail=describe(error))
            return True
        finally:
            reader.pause(tp)

    async def _opened(self) -> AIOKafkaConsumer:
        if self._reader is None:
            stream = self.stream
            places = {
                TopicPartition(entry.name, number) for entry in stream.topics for number in range(entry.partitions)
            }
            client = f"{stream.group}-hearing-{self.instance}"
            self._reader = await kafka.open_reader(self.settings, client, places)
        return self._reader

    async def _close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            with contextlib.suppress(TimeoutError, KafkaError):
                await asyncio.wait_for(reader.stop(), 5)
