"""The launcher: a whole linkage on this machine, each service, adapter and sandbox as a process of its own, or all of
them in one process."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType

from contracts.topics import all_topics
from deploy.operate.errors import EnvironmentProblem, ProcessFailed
from deploy.operate.ports import free_port
from deploy.operate.topics import ensure_topics
from deploy.tryout.local import brokers, folders
from deploy.tryout.local.again import start_again
from deploy.tryout.local.broker import Broker
from deploy.tryout.local.health import death, wait_until_ready
from deploy.tryout.local.options import StackOptions
from deploy.tryout.local.ports import require_free, url_of
from deploy.tryout.local.postgres import Postgres
from deploy.tryout.local.processes import Child, module, own_environment, to_the_end
from deploy.tryout.local.run_files import write_files
from deploy.tryout.local.servers import postgres
from deploy.tryout.local.specs import ProcessSpec, databases, process_table
from deploy.tryout.local.steps import together, tried
from deploy.tryout.local.variables import Launch, environment, parts

LINKAGE = "linkage"
"""The process of a linkage that runs in one process."""


def _print_death(failure: ProcessFailed) -> None:
    print(failure, file=sys.stderr)


class Stack:
    """A running linkage: `async with Stack(options) as stack`. A process that dies is reported, and started again only
    if the options say so."""

    def __init__(
        self,
        options: StackOptions | None = None,
        *,
        progress: Callable[[str], None] = lambda step: None,
        on_death: Callable[[ProcessFailed], None] = _print_death,
        table: Iterable[ProcessSpec] | None = None,
    ) -> None:
        self.options = options or StackOptions()
        if table is None:
            table = process_table(self.options.kinds, instances=self.options.instances, pages=self.options.pages)
        self.specs = {spec.name: spec for spec in table}
        self.processes: dict[str, Child] = {}
        self.deaths: list[ProcessFailed] = []
        self.dsn: dict[str, str] = {}
        """Database of each process, by the database's name (`bridge`, `sandbox_gz`, …)."""
        self.tokens: Mapping[str, str] = {}
        """Tokens of `operator`, of each `registry:<code>`, and of each registry's own system (`system:<code>`)."""
        self.naming_secrets: Mapping[str, str] = {}
        """The naming secret of each database, the same for all processes on it."""
        self.passcode = secrets.token_urlsafe(9) if self.options.pages else None
        """The passcode of the pages."""
        self.broker: Broker
        self.postgres: Postgres
        self.broker_reason = ""
        self._progress, self._on_death = progress, on_death
        self._ports: dict[str, int] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._died = asyncio.Event()
        self._awaited: set[str] = set()
        self._starting_again: set[asyncio.Task[None]] = set()
        self._servers: list[Broker | Postgres] = []
        self._folder: Path | None = None
        self._kept = False

    @property
    def folder(self) -> Path:
        """The run folder: logs, registries, tokens, and the servers' data."""
        if self._folder is None:
            raise RuntimeError("the stack was not started")
        return self._folder

    async def __aenter__(self) -> Stack:
        try:
            await self._start_all()
        except BaseException as error:
            await self._stop_after(error)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.stop()
        else:
            await self._stop_after(error)

    def keep(self) -> str:
        """Keep the run folder and the databases when the stack stops. Gives their places, for people."""
        self._kept = True
        return self.postgres.keep()

    def _launch(self) -> Launch:
        return Launch(
            self.options,
            self.broker,
            self.folder,
            self.specs,
            self.dsn,
            self.tokens,
            self.naming_secrets,
            self.passcode,
            self._ports,
        )

    def port(self, name: str) -> int:
        """Give the HTTP port of a service, adapter, sandbox or page."""
        return self._ports[name]

    def url(self, name: str) -> str:
        """Give the base URL of a service, adapter, sandbox or page."""
        return url_of(self._ports[name])

    def process_of(self, name: str) -> Child:
        """Give the process in which a service, adapter, sandbox or page runs."""
        return self.processes[LINKAGE if self.options.shares(name) else name]

    def add(self, spec: ProcessSpec) -> None:
        """Add a process, for example a second instance. `start` starts it."""
        self.specs[spec.name] = spec
        self._ports[spec.name] = free_port()

    async def start(self, name: str, *, settings: Mapping[str, str] | None = None) -> None:
        """Start a process (again), and return once it is ready. `settings` hold for this start only."""
        self._awaited.add(name)
        try:
            await self.launch(name, settings=settings)
            await self._until_ready(self.processes[name])
        finally:
            self._awaited.discard(name)

    async def _until_ready(self, child: Child) -> None:
        for part in filter(self.options.shares, self.specs) if child.name == LINKAGE else [child.name]:
            await wait_until_ready(child, self.url(part), seconds=self.options.ready_seconds, part=part)

    async def launch(self, name: str, *, settings: Mapping[str, str] | None = None) -> None:
        """Start a process (again) without waiting until it is ready."""
        watcher = self._watchers.pop(name, None)
        if watcher is not None:
            await watcher  # the killed process must be gone before its port is used again
        if name == LINKAGE:
            child = await self._load()
            await child.tell(parts(self._launch(), settings or {}))
        else:
            spec = self.specs[name]
            own = own_environment(self.environment(spec, settings or {}))
            child = module(name, [spec.module], self.folder, own)
            await child.start()
        self._supervise(child)

    def _supervise(self, child: Child) -> None:
        self.processes[child.name] = child
        self._watchers[child.name] = asyncio.create_task(self._watch(child), name=f"watch {child.name}")

    async def _load(self) -> Child:
        """Start the one process. It loads its libraries, then waits until it is told its parts."""
        modules = {spec.module for name, spec in self.specs.items() if self.options.shares(name)}
        child = module(
            LINKAGE, ["deploy.tryout.local.together", *sorted(modules)], self.folder, own_environment({}), listens=True
        )
        await child.start()
        return child

    async def wait(self) -> None:
        """Wait until a process dies unasked and is not started again, and raise its ProcessFailed."""
        await self._died.wait()
        raise self.deaths[-1]

    async def stop(self) -> None:
        """Stop all processes, then broker and database, even if it is cancelled meanwhile. All stops are tried, then
        the first error is raised. The run folder is deleted, unless it is to be kept."""
        await to_the_end(self._stop_all())

    async def _stop_all(self) -> None:
        for task in self._starting_again:
            task.cancel()
        await tried(self._starting_again)
        for child in self.processes.values():
            child.expected_end = True
        results = await tried(child.stop() for child in self.processes.values())
        results += await tried(self._watchers.values())
        results += await tried(server.stop() for server in self._servers)
        if self._folder is not None and not self._kept and not self.options.keep_folder:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _stop_after(self, first: BaseException) -> None:
        """Stop because of an error. This error is told; errors of the stop become its notes.

        If the failure came after a server was started, logs and data stay in the run folder.
        """
        if isinstance(first, Exception) and self._servers:
            self._kept = True
            first.add_note(f"Logs and data of this launch stay in {self._folder}")
        try:
            await self.stop()
        except Exception as second:
            first.add_note(f"While it was stopped: {second}")

    def environment(self, spec: ProcessSpec, settings: Mapping[str, str]) -> dict[str, str]:
        """Give the SHUANGCHENG_ variables of a process. ``settings`` override all others."""
        return environment(self._launch(), spec, settings)

    async def _start_all(self) -> None:
        self._folder = await asyncio.to_thread(folders.new_run_folder)
        choice = await brokers.choose(self.options.broker, self.folder / "broker", default=self.options.default_broker)
        self.broker, self.broker_reason = choice.broker, choice.reason
        self._require_kafka()
        await self.broker.check()
        await asyncio.to_thread(self._write_files)
        self.postgres = postgres(self.folder / "postgresql")
        self._servers = [self.broker, self.postgres]
        self._progress(f"starting broker ({self.broker.kind}) and PostgreSQL")
        if self.options.one_process:
            await self._start_in_one()
            return
        await together(self._start_broker(), self._start_postgres())
        self._progress("creating tables")
        await together(*(self._migrate(spec) for spec in self.specs.values() if spec.migrates))
        self._progress(f"starting {len(self.specs)} processes")
        await together(*(self.start(name) for name in self.specs))

    def _require_kafka(self) -> None:
        if self.options.real_kafka and not self.broker.real_kafka:
            raise EnvironmentProblem(
                f"the broker is not Apache Kafka: {self.broker.kind}, {self.broker_reason}",
                todo="give --broker java, docker or the HOST:PORT of an Apache Kafka",
            )

    async def _start_in_one(self) -> None:
        """The process loads its libraries while broker and database start."""
        self._awaited.add(LINKAGE)
        child = await self._load()
        self._supervise(child)
        await together(self._start_broker(), self._start_postgres())
        apart = [spec for spec in self.specs.values() if not self.options.shares(spec.name)]
        self._progress(f"starting {len(self.specs) - len(apart)} parts in one process")
        await child.tell(parts(self._launch(), {}))
        await together(*(self._migrate(spec) for spec in apart if spec.migrates))
        await together(self._until_ready(child), *(self.start(spec.name) for spec in apart))
        self._awaited.discard(LINKAGE)

    async def _start_broker(self) -> None:
        await self.broker.start()
        self._require_kafka()  # of a broker at an address only its answers tell
        await ensure_topics(self.broker.address, all_topics(self.options.kinds))

    async def _start_postgres(self) -> None:
        await self.postgres.start()
        await together(*(self._make_database(name) for name in databases(self.specs.values())))

    async def _make_database(self, name: str) -> None:
        self.dsn[name] = await self.postgres.create_database(name)

    def _write_files(self) -> None:
        first = self.options.first_http_port
        for index, name in enumerate(self.specs):
            self._ports[name] = free_port() if first is None else require_free(first + index)
        made = write_files(self.folder, self.options, self.specs.values(), self.url)
        self.tokens, self.naming_secrets = made.tokens, made.naming

    async def _migrate(self, spec: ProcessSpec) -> None:
        own = own_environment(self.environment(spec, {}))
        job = module(f"{spec.name}.migrate", [spec.module, "migrate"], self.folder, own)
        if await job.run() != 0:
            raise death(job)

    async def _watch(self, child: Child) -> None:
        await child.wait()
        if child.expected_end:
            return
        failure = death(child)
        self.deaths.append(failure)
        if not self.options.start_again:
            self._died.set()
        if child.name in self._awaited:
            return  # `start` raises it
        self._on_death(failure)
        if self.options.start_again:
            again = start_again(partial(self.start, child.name), self._on_death)
            self._starting_again.add(asyncio.create_task(again, name=f"start {child.name} again"))
