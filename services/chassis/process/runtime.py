"""A service as a process: settings, migrations, consumers, relay, re-entry, workers, HTTP; and an orderly stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Coroutine, Iterator
from datetime import timedelta
from typing import Any

import uvicorn
from aiokafka.errors import KafkaError

from services.chassis.aside.operations import operations
from services.chassis.aside.quarantine import Quarantine
from services.chassis.aside.reentry import Reentry
from services.chassis.base import bounds, http, logs, migrations
from services.chassis.base.clock import Clock
from services.chassis.base.configuration import ConfigurationError
from services.chassis.base.database import Pool, describe, open_pool
from services.chassis.base.failpoints import failpoint
from services.chassis.base.logs import log
from services.chassis.base.persistent import cancel_all
from services.chassis.base.reading import READERS, Reads
from services.chassis.base.settings import Settings
from services.chassis.batch import outbox
from services.chassis.batch.processing import Effects, Processor
from services.chassis.jobs import pruning
from services.chassis.jobs.scheduling import Scheduler
from services.chassis.lanes.consuming import Lane
from services.chassis.lanes.hearing import Hearing
from services.chassis.lanes.joining import Broker
from services.chassis.log import kafka
from services.chassis.log.probe import BrokerProbe
from services.chassis.outgoing.relay import Relay
from services.chassis.process import same_secret
from services.chassis.process.garbage import collect_rarely
from services.chassis.process.health import Health
from services.chassis.process.instance import Instance
from services.chassis.process.same_database import SameDatabase
from services.chassis.restoring.restored import Restoring
from services.chassis.service import Service

__all__ = ["Runtime", "run"]

_LAST_ANSWERS = 5
"""Seconds for answers that are under way when the process stops."""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the runtime handles signals; uvicorn would stop the HTTP face first and leave the rest

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:  # it would end the process, with whatever else runs in it
            place = f"{self.config.host}:{self.config.port}"
            raise ConfigurationError(f"SHUANGCHENG_HTTP_PORT: {place} cannot be had; the line above says why") from None


class Runtime:
    """One running instance of a service."""

    def __init__(self, service: Service, settings: Settings, clock: Clock | None = None) -> None:
        self.service = service
        self.settings = settings
        self.clock = clock or Clock(timedelta(seconds=settings.clock_offset))
        self.fatal: Exception | None = None
        self.stopping = asyncio.Event()
        self.begun = asyncio.Event()
        self.lanes: list[Lane] = []
        self.relay = Relay(settings, service.name, self.clock)
        self.processor = Processor(service, settings, self.clock)
        self.probe = BrokerProbe(settings, f"{service.name}-probe")
        self.instance = Instance(settings, service.name)
        self._tasks: list[asyncio.Task[Any]] = []
        self._wakes: list[asyncio.Event] = []
        self._health: Health | None = None

    async def run(self) -> None:
        """Run until ``stopping`` is set. Raises what made it stop, if it was not asked to."""
        settings = self.settings
        failpoint("P9")
        dsn, name = settings.database.get_secret_value(), self.service.name
        self.relay.opened = self.processor.opened = opened = SameDatabase(self._fail).check
        self.pool: Pool = await open_pool(dsn, size=6, application=name, opened=opened)
        readers = await open_pool(dsn, size=READERS, application=f"{name}-reads", seconds=settings.read_seconds)
        self.reads = Reads(self.pool, readers)
        try:
            await self._check_migrated()
            await same_secret.check(self.pool, self.processor.naming)
            await self._check_log()
            self.relay.instance = number = await self.instance.take()
            logs.about(instance=number)
            broker = self._broker()
            hearing = Hearing(self.service, settings, self.clock, self.pool, self.lanes, self._heard, number)
            self.reentry = Reentry(self.processor, self.pool, self.relay.wake, hearing.heard_to)
            jobs = (*pruning.JOBS, *self.service.schedule)
            self.scheduler = Scheduler(self.processor, self.pool, jobs, self.relay.wake)
            parts = (self.lanes, self.relay, self.reentry, hearing, self.scheduler)
            restoring = Restoring(self.service, settings, self.clock, self.pool, number)
            self._health = Health(self.service, self.pool, self.probe, parts, restoring, self._why_it_ends)
            server = self._server()
            serving = self._start(server.serve())
            self._start(self.instance.keep())
            if await self._may_begin(restoring):
                await self._begin(broker, hearing)
            await self.stopping.wait()
            await self._stop(broker, server, serving)
        finally:
            await cancel_all(self._tasks)
            await self.probe.close()
            await _within(2, readers.close())
            await _within(2, self.pool.close())
            await self.instance.close()
        if self.fatal is not None:
            raise self.fatal

    async def _may_begin(self, restoring: Restoring) -> bool:
        """Wait until a restored database has been replayed. False if the process stops before that."""
        looking = asyncio.create_task(restoring.run())
        stopping = asyncio.create_task(self.stopping.wait())
        await asyncio.wait({looking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await cancel_all([stopping, looking])
        if looking.cancelled():
            return False
        if isinstance(error := looking.exception(), Exception):
            self._fail(error)
        return not self.stopping.is_set()

    async def _begin(self, broker: Broker, hearing: Hearing) -> None:
        self._start(self.relay.run())
        self._start(hearing.run())
        self._start(self.reentry.run())
        self._start(self.scheduler.run())
        for listener in self.service.listeners:
            self._start(listener(self.pool, hearing.heard_to, self.clock))
        for worker in self.service.workers:
            committed = asyncio.Event()
            self._wakes.append(committed)
            self._start(worker(self.pool, self.settings, committed))
        await broker.start()
        self.begun.set()
        lanes, profile = self.settings.lanes, self.settings.profile
        log().info("started", kind=self.service.name, lanes=lanes, profile=profile)

    async def _check_migrated(self) -> None:
        async with self.pool.acquire() as db:
            missing = await migrations.pending(db, self.service.migrations)
        if missing:
            raise ConfigurationError(
                f"the database of {self.service.name} lacks {', '.join(missing)}; "
                f"run: python -m services.{self.service.name} migrate"
            )

    async def _check_log(self) -> None:
        await kafka.wait_for_log(self.settings, (entry for stream in self.service.streams for entry in stream.topics))

    def _broker(self) -> Broker:
        broker = Broker(
            self.settings.kafka,
            client_id=self.service.name,
            graceful_timeout=15,
            logger=None,
            allow_auto_create_topics=False,
            metadata_max_age_ms=kafka.METADATA_AGE_MS,
        )
        for stream in self.service.streams:
            for number in range(self.settings.lanes):
                member = f"{stream.group}-{self.instance.number}-{number}"
                lane = Lane(self.processor, stream, member, self.pool, self._committed, self._fail)
                lane.subscribe(broker)
                self.lanes.append(lane)
        return broker

    def _server(self) -> _Server:
        tokens = http.read_tokens(self.settings.tokens_file, self.service.bearers)
        assert self._health is not None
        exposition = self._health.exposition
        app = http.create_app(self.service.name, tokens, self.health, exposition, self.stopping.is_set)
        app.include_router(operations(Quarantine(self.processor, self.reads, self.reentry.wake.set)))
        if self.service.api is not None:
            app.include_router(self.service.api(self.reads, self.settings))
        config = uvicorn.Config(
            app,
            self.settings.http_host,
            self.settings.http_port,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=_LAST_ANSWERS,
            **bounds.SERVER,
        )
        return _Server(config)

    def _start(self, work: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.ensure_future(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if self.stopping.is_set() or task.cancelled():
            return
        error = task.exception()
        self._fail(error if isinstance(error, Exception) else RuntimeError("a part of the service ended by itself"))

    def _committed(self, effects: Effects) -> None:
        if effects.rows or effects.timers:
            self.relay.wake.set()
        if effects.made_ready:
            self.reentry.wake.set()
        for wake in self._wakes:
            wake.set()

    def _heard(self) -> None:
        self.reentry.wake.set()

    def _fail(self, error: Exception) -> None:
        if self.fatal is None:
            self.fatal = error
            log().error("stopping", detail=f"{type(error).__name__}: {error}")
        self.stopping.set()

    async def _stop(self, broker: Broker, server: _Server, serving: asyncio.Task[Any]) -> None:
        """Stop in order: begin no batch, let the present batch commit, send its messages, then end all other parts."""
        log().info("stopping in order")
        failpoint("P8")
        for lane in self.lanes:
            if lane.consumer is not None:
                kafka.leave_on_stop(lane.consumer)
        try:
            await asyncio.wait_for(broker.stop(), 20)
        except (TimeoutError, KafkaError, ExceptionGroup) as error:
            log().warning("consumers not stopped in order", detail=describe(error))
        for lane in self.lanes:
            await lane.close()
        await _within(3, self._drained())
        server.should_exit = True
        # Answers under way still need the database, so it is closed after them.
        await asyncio.wait({serving}, timeout=_LAST_ANSWERS + 2)

    async def _drained(self) -> None:
        while self.relay.leading and not await outbox.is_drained(self.pool):
            self.relay.wake.set()
            await asyncio.sleep(0.05)

    async def health(self) -> dict[str, Any]:
        """Whether it can do its work, why not, and figures."""
        return {"ready": False, "why": ["it starts"]} if self._health is None else await self._health.state()

    def _why_it_ends(self) -> str | None:
        if self.fatal is not None:
            return f"it stops: {describe(self.fatal)}"
        return "it stops" if self.stopping.is_set() else None


async def _within(seconds: float, work: Coroutine[Any, Any, None]) -> None:
    """Wait for it at most so long, and ignore how it ends."""
    task = asyncio.create_task(work)
    await asyncio.wait({task}, timeout=seconds)
    await cancel_all([task])


async def run(service: Service, settings: Settings) -> None:
    """Run it until SIGTERM or SIGINT; then stop it in order.

    Raises ``CannotStart`` or ``Stopped``.
    """
    runtime = Runtime(service, settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, runtime.stopping.set)
    collecting = asyncio.create_task(collect_rarely([runtime.begun]))
    try:
        await runtime.run()
    finally:
        collecting.cancel()
