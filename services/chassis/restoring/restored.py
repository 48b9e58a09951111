"""The start of a service: it finds out whether its database was restored, and replays before it does anything else.

One process of a service does this at a time; the others wait. Meanwhile the service is not ready, and lanes, relay and
workers do not run. If the database was not restored, this costs two questions to the broker.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.envelope import ContractError, Event, decode
from services.chassis.base.backoff import Backoff
from services.chassis.base.clock import Clock
from services.chassis.base.database import Connection, Pool, alone, transaction
from services.chassis.base.faults import CannotStart, Stopped
from services.chassis.base.logs import Episode, log
from services.chassis.base.persistent import LONGEST_BACKOFF, SHORTEST_BACKOFF
from services.chassis.base.settings import Settings
from services.chassis.outgoing import said
from services.chassis.restoring.looking import Beyond, is_later, look, mark
from services.chassis.restoring.means import PRODUCTION, Means
from services.chassis.restoring.replay import Replay
from services.chassis.restoring.spans import Spans
from services.chassis.service import Service

__all__ = ["Restoring"]

_ONE_AT_A_TIME: Final = 0x5C_06
_AT_ONCE: Final = 1000
_OUTBOX: Final = "SELECT id, topic, key, headers, value FROM outbox WHERE id > $1 ORDER BY id LIMIT $2"


class Restoring:
    """``why`` says for health what keeps the service from its work; None once it is over, and before it begins."""

    def __init__(
        self,
        service: Service,
        settings: Settings,
        clock: Clock,
        pool: Pool,
        instance: int,
        means: Means = PRODUCTION,
    ) -> None:
        self.service = service
        self.settings = settings
        self.clock = clock
        self.pool = pool
        self._means = means
        self._client = f"{service.name}-restored-{instance}"
        self._episode = Episode("whether the database was restored is not known")
        self._replay: Replay | None = None
        self._waits = True
        self._over = False

    @property
    def why(self) -> str | None:
        """A sentence that says why the service does not work yet; None if it may work."""
        if self._over:
            return None
        if self._episode.active:
            return f"it does not know whether its database was restored: {self._episode.detail}"
        if self._replay is not None:
            return f"restored: replays {self._replay.done} of {self._replay.total} messages"
        if self._waits:
            return "another process of this service looks whether the database was restored, or replays"
        return "it looks whether its database was restored"

    async def run(self) -> None:
        """Return when the service may begin. A failure is tried again, from what is committed by then.

        Raises ``CannotStart`` and ``Stopped``.
        """
        backoff = Backoff(SHORTEST_BACKOFF, LONGEST_BACKOFF)
        while True:
            try:
                await self.once()
                self._episode.over()
                self._over = True
                return
            except (CannotStart, Stopped):
                raise
            except Exception as error:
                self._episode.met(error)
                backoff.failed()
                await backoff.wait()

    async def once(self) -> None:
        """Look, and replay where the database was restored. Raises whatever database and broker raise."""
        self._replay = None
        # The lock ends with the session, or when the session goes back to the pool.
        async with self.pool.acquire() as db:
            self._waits = True
            await alone(db, _ONE_AT_A_TIME)
            self._waits = False
            places = await self._outputs()
            async with self._reader(places) as reader:
                await self._find_out(db, reader, places)

    async def _outputs(self) -> list[TopicPartition]:
        """The partitions that the service writes and does not read, of the topics that there are."""
        counts = await self._means.partition_counts(self.settings)
        names = [entry.name for entry in self.service.says]
        return [TopicPartition(name, number) for name in names for number in range(counts.get(name, 0))]

    @contextlib.asynccontextmanager
    async def _reader(self, places: Sequence[TopicPartition]) -> AsyncIterator[AIOKafkaConsumer | None]:
        """None without places: a reader that was never assigned anything hangs in its stop."""
        reader = await self._means.open_reader(self.settings, self._client, places) if places else None
        try:
            yield reader
        finally:
            if reader is not None:
                await reader.stop()

    async def _find_out(
        self, db: Connection, reader: AIOKafkaConsumer | None, places: Sequence[TopicPartition]
    ) -> None:
        beyond = await look(db, reader, places, ends_by_fetch=self.settings.embedded_broker)
        by = beyond.by
        if by is None and reader is not None and await is_later(db, reader, beyond, self.service.source):
            by = "the service: the log has words of its own that its database does not know"
            await mark(db, by)
        if by is None:
            return
        log().warning("the database was restored; what came since is replayed", detail=by)
        if not beyond.whole:
            raise RuntimeError("partitions that this service writes have no leader: what was said there is not known")
        events = [] if reader is None else await self._learn(db, reader, beyond)
        self._replay = Replay(self.service, self.settings, self.pool, self.clock, self._means)
        await self._replay.run(db, f"{self._client}-inputs")
        await self._end(db, beyond, events)

    async def _learn(self, db: Connection, reader: AIOKafkaConsumer, beyond: Beyond) -> list[Event]:
        """Keep the messages of a later life. Gives them too, if the service has a ``restored``."""
        events: list[Event] = []
        async for records in Spans(reader, beyond.spans).all():
            messages = [(record, said.of_record(record, self.service.source)) for record in records]
            own = [(record, message) for record, message in messages if message is not None]
            await said.keep(db, own)
            if self.service.restored is not None:
                for record, _ in own:
                    with contextlib.suppress(ContractError):
                        events.append(decode(record.value, record.headers))
        return events

    async def _end(self, db: Connection, beyond: Beyond, events: Sequence[Event]) -> None:
        """End the replay: drop messages that were sent before, note how far the log is written, and remove the mark."""
        after = 0
        while rows := await db.fetch(_OUTBOX, after, _AT_ONCE):
            after = rows[-1]["id"]
            await said.sift(db, rows, self.clock, self._means.storage)
        await said.sift_timers(db, self.clock, self._means.storage)
        async with transaction(db):
            await said.start_from(db, beyond.ends)
            if self.service.restored is not None:
                await self.service.restored(db, events)
            await db.execute("DELETE FROM restored")
        assert self._replay is not None
        found = await said.counts(db)
        log().warning(
            "replayed",
            count=self._replay.done,
            detail=f"of {found.since} messages that were said since, {found.again} were decided again and "
            f"{found.since - found.again} were not; {found.otherwise} would be said otherwise",
        )
