"""Up to when a service has heard everything: no wait is over before what was said in its time has been applied.

The clock alone must not end a wait: while a service is down, or far behind, the fact may lie unread in the log, and
downtime, replay and a file of last week shall decide alike (DESIGN §5). So once a wait's time is up the ends of all
logs are taken, and the wait is over when the positions stored in PostgreSQL, this process's or another instance's,
have reached them. Groups that an operator holds are not waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.chassis import kafka, positions
from services.chassis.clock import Clock
from services.chassis.consuming import Lane
from services.chassis.database import Pool, describe
from services.chassis.logs import log
from services.chassis.positions import Place
from services.chassis.service import Service
from services.chassis.settings import Settings

__all__ = ["Hearing"]

_PAUSE: Final = 0.25
_READ_MS: Final = 500


class Hearing:
    """Looks at the logs only when asked, in a task of its own, so that nothing else waits for a broker.

    ``on_heard`` is called when a moment has become known, so that nobody need ask again and again meanwhile.
    """

    def __init__(
        self,
        service: Service,
        settings: Settings,
        clock: Clock,
        pool: Pool,
        lanes: Sequence[Lane],
        on_heard: Callable[[], None],
    ) -> None:
        self.service = service
        self.settings = settings
        self.clock = clock
        self.pool = pool
        self._lanes = lanes
        self._on_heard = on_heard
        self._client = f"{service.name}-hearing-{settings.instance}"
        self._places = [
            (stream.group, TopicPartition(entry.name, number))
            for stream in service.streams
            for entry in stream.topics
            for number in range(entry.partitions)
        ]
        self._moment: datetime | None = None
        self._asked = asyncio.Event()
        self._reader: AIOKafkaConsumer | None = None

    def since(self, due: datetime) -> datetime | None:
        """A moment not before ``due`` such that whatever stood in the logs at it has been applied.

        None while no such moment is known; then one is looked for.
        """
        if self._moment is not None and self._moment >= due:
            return self._moment
        self._asked.set()
        return None

    async def run(self) -> None:
        """Answer until cancelled; failures are tried again."""
        try:
            while True:
                await self._asked.wait()
                self._asked.clear()
                try:
                    self._moment = await self._listen()
                    self._on_heard()
                except Exception as error:
                    log().warning("ends of logs not read", detail=describe(error))
                    await self._close()
                    await asyncio.sleep(1)
        finally:
            await self._close()

    async def _listen(self) -> datetime:
        """Return once everything is applied that stood in the logs at the moment given."""
        for lane in self._lanes:
            await lane.ready.wait()  # it has proved that the stored positions speak of this log
        moment = self.clock.now()
        reader = await self._opened()
        logs = await kafka.ends(reader, {tp for _, tp in self._places}, by_fetch=self.settings.embedded_broker)
        ends = {place: logs[place[1]] for place in self._places}
        held = self.service.held
        before: dict[Place, int] = {}
        unread: dict[Place, int] = {}
        while True:
            async with self.pool.acquire() as db:
                silent = () if held is None else await held(db)
            ends = {place: end for place, end in ends.items() if place[0] not in silent}
            if not (behind := await positions.behind(self.pool, ends)):
                return moment
            for place, at in behind.items():
                if before.get(place) != at or unread.get(place) == at:
                    continue  # it moves, or is known to have something to move to
                if await self._readable(reader, place[1], at, ends[place]):
                    unread[place] = at
                else:
                    del ends[place]
            before = behind
            await asyncio.sleep(_PAUSE)

    async def _readable(self, reader: AIOKafkaConsumer, tp: TopicPartition, start: int, end: int) -> bool:
        """Whether a message stands from ``start`` to before ``end``. What transactions leave behind is none."""
        reader.seek(tp, start)
        reader.resume(tp)
        try:
            found = (await reader.getmany(tp, timeout_ms=_READ_MS)).get(tp, [])
            if found:
                return bool(found[0].offset < end)
            return bool(await reader.position(tp) < end)
        finally:
            reader.pause(tp)

    async def _opened(self) -> AIOKafkaConsumer:
        if self._reader is None:
            self._reader = await kafka.open_reader(self.settings, self._client, {tp for _, tp in self._places})
        return self._reader

    async def _close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            with contextlib.suppress(TimeoutError, KafkaError):
                await asyncio.wait_for(reader.stop(), 5)
