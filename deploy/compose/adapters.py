"""``python -m deploy.compose.adapters``: a process for each seat that needs an adapter, started again when it ends.

``… CODE ARGUMENTS`` is one command of one seat's adapter: ``sz forget-positions TOPIC``. The seats are those of
SHUANGCHENG_REGISTRIES; SHUANGCHENG_SECRETS has a folder for each adapter's secrets.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from deploy.compose.front import server_of
from deploy.compose.variables import variable
from deploy.linkage import adapter, called_seats
from deploy.operate.errors import EnvironmentProblem
from deploy.operate.outcome import outcome
from deploy.operate.ports import LOOPBACK, free_port
from deploy.operate.registries import read_seat
from deploy.web.serving import listen
from services.chassis.base.backoff import Backoff

__all__ = ["Adapter", "supervise"]

_SHORTEST: Final = 1.0
_LONGEST: Final = 30.0
_LONGEST_LINE: Final = 4 << 20
"""Bytes of a line of an adapter's log."""
_WORKS_AFTER: Final = 60.0
"""Seconds after which a process that runs counts as started; the next backoff is the shortest again."""


class Adapter:
    """The adapter of one seat, whose process is started again when it ends."""

    def __init__(self, code: str, registries: Path, secrets: Path) -> None:
        self.process = adapter(code)
        self.port = 0
        """The loopback port of its HTTP; 0 until it is started."""
        self.why = "it is not started yet"
        """Why it does not run, in a sentence."""
        self._file = registries / f"{code}.yaml"
        self._secrets = secrets / self.process.database
        self._code = code

    def environment(self) -> dict[str, str]:
        """The container's, and the adapter's own seat, secrets and port."""
        own = {
            "REGISTRY": self._code,
            "SECRETS": str(self._secrets),
            "TOKENS_FILE": str(self._secrets / "tokens.yaml"),
            "HTTP_HOST": LOOPBACK,
            "HTTP_PORT": str(self.port),
        }
        return dict(os.environ) | {f"SHUANGCHENG_{name}": value for name, value in own.items()}

    async def keep(self) -> None:
        """Run it until cancelled, which stops it in order."""
        clock = asyncio.get_running_loop().time
        backoff = Backoff(_SHORTEST, _LONGEST)
        while True:
            began = clock()
            self.why = await self._life()
            if clock() - began > _WORKS_AFTER:
                backoff.over()
            backoff.failed()
            _log("adapter ended", self._code, detail=self.why, seconds=round(backoff.left, 1))
            await backoff.wait()

    async def run_once(self, arguments: Sequence[str]) -> int:
        """Run a command of the adapter with our own output, and give its status."""
        command = (sys.executable, "-m", self.process.module, *arguments)
        process = await asyncio.create_subprocess_exec(*command, env=self.environment())
        return await process.wait()

    async def _life(self) -> str:
        """Prepare its database and run it to its end. Gives why it ended."""
        try:
            read_seat(self._file)  # a seat that was put right meanwhile needs no new container
        except EnvironmentProblem as error:
            return error.problem
        self.port = free_port()
        self.why = "it starts"
        return await self._run("migrate") or await self._run() or "it ended by itself"

    async def _run(self, *arguments: str) -> str:
        """Run a command of the adapter to its end. Gives why it failed; empty where it did not."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", self.process.module, *arguments),
            env=self.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        heard = asyncio.gather(_passed_on(process.stdout), self._complaint(process.stderr))
        try:
            await asyncio.shield(heard)
            status = await process.wait()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await heard  # its stop is in the log too
            await process.wait()
            raise
        return f"status {status}: {heard.result()[1]}" if status else ""

    async def _complaint(self, errors: asyncio.StreamReader) -> str:
        """Log what it says on standard error, which is no log line, and give the last of it."""
        last = ""
        async for line in errors:
            last = line.decode(errors="replace").rstrip()
            _log("adapter said", self._code, detail=last)
        return last


async def _passed_on(lines: asyncio.StreamReader) -> None:
    # Each line whole: adapters that wrote to one pipe themselves would write into each other's lines.
    async for line in lines:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


async def supervise(adapters: Mapping[str, Adapter], listener: socket.socket) -> int:
    """Keep all adapters running, and serve their health and addresses, until cancelled."""
    tasks = [asyncio.create_task(one.keep(), name=name) for name, one in adapters.items()]
    server = server_of(adapters)
    tasks.append(asyncio.create_task(server.serve(sockets=[listener])))
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    except asyncio.CancelledError:
        return 0  # the end of the container is asked for
    finally:
        server.should_exit = True
        for task in tasks[:-1]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return 1


def _log(event: str, code: str, **fields: object) -> None:
    """A line as the adapters' own lines are."""
    line = {"service": f"adapters {code}", **fields, "event": event, "level": "warning"}
    print(json.dumps(line | {"timestamp": datetime.now(UTC).isoformat()}, ensure_ascii=False), flush=True)


def _adapters() -> dict[str, Adapter]:
    registries = Path(variable("SHUANGCHENG_REGISTRIES", "the folder of the registries' YAML files"))
    secrets = Path(variable("SHUANGCHENG_SECRETS", "the folder with a folder for each adapter's secrets"))
    made = [Adapter(code, registries, secrets) for code in called_seats(registries)]
    return {one.process.name: one for one in made}


async def _job(arguments: list[str]) -> int:
    adapters = _adapters()
    if not arguments:
        with _listener() as listener:
            return await supervise(adapters, listener)
    one = adapters.get(adapter(arguments[0]).name)
    if one is None:
        known = ", ".join(adapters) or "none: no seat has an adapter"
        raise EnvironmentProblem(f"no adapter speaks for '{arguments[0]}'", todo=f"name the seat of {known}")
    return await one.run_once(arguments[1:])


def _listener() -> socket.socket:
    port = variable("SHUANGCHENG_HTTP_PORT", "the port of the adapters' health")
    try:
        return listen(os.environ.get("SHUANGCHENG_HTTP_HOST") or LOOPBACK, int(port))
    except ValueError as error:
        raise EnvironmentProblem(str(error), todo="free the port, or name another") from error


if __name__ == "__main__":
    sys.exit(outcome(_job(sys.argv[1:])))
