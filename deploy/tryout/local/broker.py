"""The interface of every kind of broker, for tests, demo and benchmarks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from deploy.operate.brokers import wait_until_answering
from deploy.operate.errors import ProcessFailed
from deploy.operate.ports import LOOPBACK
from deploy.operate.waiting import wait_until_done
from deploy.tryout.local.ports import is_served
from deploy.tryout.local.processes import Child


class Broker(ABC):
    """A Kafka broker: this process starts it, or knows its address only."""

    kind: ClassVar[str]
    idempotent: bool = True
    """Whether producers may be idempotent (not on the embedded broker)."""
    keeps_data: ClassVar[bool] = True
    """Whether topics, messages and offsets are there again after `kill()` and `restart()`."""
    real_kafka: bool = True
    """Whether it is Apache Kafka, so that limits, retention, idempotence and restart behave as in operation."""
    version: str = "unknown"
    address: str = ""

    @property
    def pid(self) -> int | None:
        """The process id of a broker that runs as a process of ours."""
        return None

    async def check(self) -> None:  # noqa: B027  (most kinds have nothing to check)
        """Raise EnvironmentProblem when this machine cannot run the broker. Cheap, and part of `start`."""

    @abstractmethod
    async def start(self) -> None:
        """Start, and return once the broker answers. Raises EnvironmentProblem when this machine cannot run it."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop, and free all that the broker uses."""

    async def kill(self) -> None:
        """SIGKILL the broker. Its data stay as they are."""
        raise NotImplementedError(f"a broker of kind '{self.kind}' cannot be killed from here")

    async def restart(self) -> None:
        """Start again after `kill()`, on the same address and (where `keeps_data`) with its data."""
        raise NotImplementedError(f"a broker of kind '{self.kind}' cannot be restarted from here")

    def describe(self) -> str:
        """Give one line for headers and reports."""
        return f"{self.kind} {self.version} at {self.address or '(not started)'}"


class ProcessBroker(Broker):
    """A broker that runs as a child process of ours on one loopback port."""

    start_seconds: ClassVar[float] = 90.0

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.address = f"{LOOPBACK}:{port}"
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._child.pid if self._child is not None else None

    @abstractmethod
    async def prepare(self) -> Child:
        """Get everything ready for the first start and give the process to run."""

    async def start(self) -> None:
        """Start and return once it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._child is None:
            await self.check()
            self._child = await self.prepare()
        await self._run(self._child)

    async def stop(self) -> None:
        """Stop the process."""
        if self._child is not None:
            await self._child.stop()

    async def kill(self) -> None:
        """SIGKILL the process, and wait until it is gone."""
        if self._child is not None and self._child.running:
            self._child.kill()
            await self._child.wait()

    async def restart(self) -> None:
        """Start again on the same port."""
        await self.stop()
        await self.start()

    async def _run(self, child: Child) -> None:
        await child.start()

        def failed(how: str) -> ProcessFailed:
            return ProcessFailed(f"the {self.kind} broker {how}", details=child.tail(), todo=f"see {child.log}")

        async def silence() -> str | None:
            if not child.running:
                raise failed(f"ended with status {child.returncode}")
            return None if await is_served(self.port) else "its port is closed"

        def late(silence: str) -> ProcessFailed:
            return failed(f"did not answer within {self.start_seconds:.0f} s: {silence}")

        try:
            await wait_until_done(silence, late, seconds=self.start_seconds, every=0.02)
        except ProcessFailed:
            await child.stop()
            raise
        await wait_until_answering(self.address, seconds=self.start_seconds, groups=True)
