"""The launcher: a whole linkage on this machine, every service, adapter and sandbox as a process of its own."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType

import yaml

import deploy
from contracts.topics import all_topics
from deploy.operate.errors import EnvironmentProblem, LocalError, ProcessFailed
from deploy.operate.topics import ensure_topics
from deploy.tryout.local import brokers, folders
from deploy.tryout.local.broker import Broker
from deploy.tryout.local.health import death, wait_until_ready
from deploy.tryout.local.options import StackOptions
from deploy.tryout.local.ports import free_port, require_free, url_of
from deploy.tryout.local.postgres import Postgres
from deploy.tryout.local.processes import Child, own_environment, to_the_end
from deploy.tryout.local.registries import write_registries
from deploy.tryout.local.servers import postgres
from deploy.tryout.local.specs import ProcessSpec, databases, process_table
from deploy.tryout.local.variables import Launch, variables

_ROOT = Path(deploy.__file__).parent.parent


def _print_death(failure: ProcessFailed) -> None:
    print(failure, file=sys.stderr)


class Stack:
    """A running linkage: `async with Stack(options) as stack`. A process that dies is reported, not restarted."""

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
        self.tokens: dict[str, str] = {}
        """Tokens of `operator`, of each `registry:<code>`, and of each registry's own system (`system:<code>`)."""
        self.naming_secrets: dict[str, str] = {}
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
        """Give the HTTP port of a process."""
        return self._ports[name]

    def url(self, name: str) -> str:
        """Give the base URL of a process."""
        return url_of(self._ports[name])

    def add(self, spec: ProcessSpec) -> None:
        """Add a process, for example a second instance. `start` starts it."""
        self.specs[spec.name] = spec
        self._ports[spec.name] = free_port()

    async def start(self, name: str, *, settings: Mapping[str, str] | None = None) -> None:
        """Start a process (again), and return once it is ready. `settings` hold for this start only."""
        self._awaited.add(name)
        try:
            await self.launch(name, settings=settings)
            await wait_until_ready(self.processes[name], self.url(name), seconds=self.options.ready_seconds)
        finally:
            self._awaited.discard(name)

    async def launch(self, name: str, *, settings: Mapping[str, str] | None = None) -> None:
        """Start a process (again) without waiting until it is ready."""
        spec = self.specs[name]
        watcher = self._watchers.pop(name, None)
        if watcher is not None:
            await watcher  # the killed process must be gone before its port is used again
        child = Child(
            name=name,
            command=[sys.executable, "-m", spec.module],
            log=self.folder / "logs" / f"{name}.log",
            env=own_environment(self.environment(spec, settings or {})),
            folder=_ROOT,
        )
        await child.start()
        self.processes[name] = child
        self._watchers[name] = asyncio.create_task(self._watch(child), name=f"watch {name}")

    async def wait(self) -> None:
        """Wait until a process dies unasked, and raise its ProcessFailed."""
        await self._died.wait()
        raise self.deaths[-1]

    async def stop(self) -> None:
        """Stop all processes, then broker and database, even if it is cancelled meanwhile. All stops are tried, then
        the first error is raised. The run folder is deleted, unless it is to be kept."""
        await to_the_end(self._stop_all())

    async def _stop_all(self) -> None:
        for child in self.processes.values():
            child.expected_end = True
        results = await _tried(child.stop() for child in self.processes.values())
        results += await _tried(self._watchers.values())
        results += await _tried(server.stop() for server in self._servers)
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
        values = variables(self._launch(), spec) | dict(settings)
        return {f"SHUANGCHENG_{name}": value for name, value in values.items()}

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
        await _together(self._start_broker(), self._start_postgres())
        self._progress("creating tables")
        await _together(*(self._migrate(spec) for spec in self.specs.values() if spec.migrates))
        self._progress(f"starting {len(self.specs)} processes")
        await _together(*(self.start(name) for name in self.specs))

    def _require_kafka(self) -> None:
        if self.options.real_kafka and not self.broker.real_kafka:
            raise EnvironmentProblem(
                f"the broker is not Apache Kafka: {self.broker.kind}, {self.broker_reason}",
                todo="give --broker java, docker or the HOST:PORT of an Apache Kafka",
            )

    async def _start_broker(self) -> None:
        await self.broker.start()
        self._require_kafka()  # of a broker at an address only its answers tell
        await ensure_topics(self.broker.address, all_topics(self.options.kinds))

    async def _start_postgres(self) -> None:
        await self.postgres.start()
        for name in databases(self.specs.values()):
            self.dsn[name] = await self.postgres.create_database(name)

    def _write_files(self) -> None:
        (self.folder / "logs").mkdir()
        first = self.options.first_http_port
        for index, name in enumerate(self.specs):
            self._ports[name] = free_port() if first is None else require_free(first + index)
        called = {spec.registry: self.url(spec.name) for spec in self.specs.values() if not spec.reads_kafka}
        addresses = {code: url for code, url in called.items() if code is not None}
        chosen = self.options.capabilities
        write_registries(self.folder / "registries", self.options.kinds, addresses=addresses, capabilities=chosen)
        bearers = ["operator", *(f"registry:{code}" for code in self.options.kinds)]
        systems = {f"system:{spec.registry}" for spec in self.specs.values() if spec.registry is not None}
        self.tokens = {bearer: secrets.token_urlsafe(24) for bearer in (*bearers, *systems)}
        services = [spec for spec in self.specs.values() if spec.ours]
        self.naming_secrets = {name: secrets.token_urlsafe(32) for name in databases(services)}
        self._write_secret("tokens.yaml", {self.tokens[bearer]: bearer for bearer in bearers})
        # The secret lies beside the databases: they may be kept, and are of no use without it.
        self._write_secret("naming.yaml", self.naming_secrets)

    def _write_secret(self, name: str, content: Mapping[str, str]) -> None:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(dict(content)))

    async def _migrate(self, spec: ProcessSpec) -> None:
        job = Child(
            name=f"{spec.name} migrate",
            command=[sys.executable, "-m", spec.module, "migrate"],
            log=self.folder / "logs" / f"{spec.name}.migrate.log",
            env=own_environment(self.environment(spec, {})),
            folder=_ROOT,
        )
        if await job.run() != 0:
            raise death(job)

    async def _watch(self, child: Child) -> None:
        await child.wait()
        if child.expected_end:
            return
        failure = death(child)
        self.deaths.append(failure)
        self._died.set()
        if child.name not in self._awaited:  # otherwise `start` raises it
            self._on_death(failure)


async def _together(*steps: Awaitable[object]) -> None:
    """Run steps at the same time. The first error ends the other steps, and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(_run(step))
    except BaseExceptionGroup as errors:
        raise (errors.subgroup(LocalError) or errors).exceptions[0] from None


async def _tried(steps: Iterable[Awaitable[object]]) -> list[object]:
    return list(await asyncio.gather(*steps, return_exceptions=True))


async def _run(step: Awaitable[object]) -> None:
    await step
