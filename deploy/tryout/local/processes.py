"""Supervised child processes, each with a session and a log file of its own. They die with the launcher at the
latest."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import deploy

_ROOT = Path(deploy.__file__).parent.parent
Result = TypeVar("Result")
_PR_SET_PDEATHSIG = 1
_SHELL_GRACE = 5.0
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Account:
    """The system user that a child runs as."""

    uid: int
    gid: int


@dataclass
class Child:
    """One process under supervision. Start it from a thread that outlives it (see `_bind_to_parent`)."""

    name: str
    command: Sequence[str]
    log: Path
    env: Mapping[str, str] | None = None
    folder: Path | None = None
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    grace: float = 10.0
    listens: bool = False
    """Whether it reads its standard input, which `tell` writes."""
    expected_end: bool = field(default=False, init=False)
    _process: asyncio.subprocess.Process | None = field(default=None, init=False)

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def returncode(self) -> int | None:
        """Exit status; negative for a signal; None while running or never started."""
        return self._process.returncode if self._process is not None else None

    async def start(self) -> None:
        """Start the process; its output is appended to the log."""
        if self.running:
            raise RuntimeError(f"{self.name} runs already")
        self.expected_end = False
        identity: dict[str, object] = {}
        if self.account is not None:
            identity = {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.PIPE if self.listens else asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env=dict(self.env) if self.env is not None else None,
                cwd=self.folder,
                start_new_session=True,
                preexec_fn=_bind_to_parent(self.death_signal),
                **identity,  # type: ignore[arg-type]
            )

    async def tell(self, text: str) -> None:
        """Write this to its standard input, and end the input. Nothing happens when it has ended already."""
        assert self._process is not None
        assert self._process.stdin is not None, "it does not listen"
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(text.encode())
            await self._process.stdin.drain()
        self._process.stdin.close()

    async def wait(self) -> int:
        """Wait for its end and give the exit status."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask the process to end, and kill it if it has not ended after `grace` seconds."""
        self.expected_end = True
        if not self.running:
            return
        self._signal(self.stop_signal)
        try:
            await asyncio.wait_for(self.wait(), timeout=self.grace)
        except TimeoutError:
            self.kill()
            await self.wait()

    def kill(self) -> None:
        """SIGKILL the process and its group. Await `wait()` to be sure that it is gone."""
        self.expected_end = True
        self._signal(signal.SIGKILL)

    async def run(self) -> int:
        """Run the process to its end and give the exit status. When cancelled, nothing of it stays."""
        await self.start()
        try:
            return await self.wait()
        finally:
            self.kill()
            await self.wait()

    def tail(self, lines: int = 15) -> str:
        """Give the last lines of its log."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.running:
            _signal_group(self._process.pid, number)


def module(
    name: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], *, listens: bool = False
) -> Child:
    """A Python module of ours as a process of a launch, with its log in the run folder."""
    return Child(
        name=name,
        command=[sys.executable, "-m", *arguments],
        log=folder / "logs" / f"{name}.log",
        env=environment,
        folder=_ROOT,
        listens=listens,
    )


async def run_in_shell(command: str, environment: Mapping[str, str]) -> int:
    """Run a user's command on our terminal and give its exit status. Nothing that the command began stays.

    It has a session, and so a group, of its own: Ctrl-C comes to us alone, and we end it.
    """
    shell = await asyncio.create_subprocess_shell(
        command,
        env=dict(environment),
        start_new_session=True,
        preexec_fn=_bind_to_parent(signal.SIGTERM),
    )
    try:
        return await shell.wait()
    except asyncio.CancelledError:
        _signal_group(shell.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(shell.wait(), timeout=_SHELL_GRACE)
        raise
    finally:
        # Kill also what the command left in the background. No other process can have this number before the group is
        # empty, and it is not given out again soon after.
        _signal_group(shell.pid, signal.SIGKILL)
        await to_the_end(shell.wait())


async def to_the_end(work: Awaitable[Result]) -> Result:
    """Await this to its end, even if it is cancelled meanwhile. The cancellation is passed on afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from (None if task.cancelled() else task.exception())
    return task.result()


def _signal_group(leader: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def own_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Give this process's environment without any SHUANGCHENG_ variable, plus `extra`: children are told everything.

    Nor are they told of the user's PostgreSQL, of other projects' packages, or of a narrow encoding for their logs.
    """
    foreign = ("SHUANGCHENG_", "PG", "PYTHONPATH", "PYTHONIOENCODING")
    base = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return base | {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"} | dict(extra)


def _bind_to_parent(number: signal.Signals) -> Callable[[], None] | None:
    """Make the kernel signal the child when the *thread* that started it ends (Linux); runs after a change of user,
    which would clear it, and before exec. Does nothing that needs a lock: other threads may hold one across the fork.
    """
    if _libc is None:
        return None
    libc, parent = _libc, os.getpid()

    def in_child() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # the launcher died between fork and prctl
            os._exit(1)

    return in_child
