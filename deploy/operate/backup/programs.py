"""Programs that a backup runs: input and output as streams, their complaints as one error."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Final

from deploy.operate.errors import EnvironmentProblem, LocalError

__all__ = ["Program", "chunks", "lines", "output"]

_CHUNK: Final = 1 << 20
_SAID: Final = 4000
_END_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Program:
    """A command with its environment; ``name`` is what people call it."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]

    @contextlib.asynccontextmanager
    async def running(self, stdin: IO[bytes] | None = None) -> AsyncIterator[asyncio.StreamReader]:
        """The program's standard output, for ``async with``. If the program fails, the end of the block raises
        LocalError with the program's complaints.

        An error or a cancellation in the block ends the program.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *self.command, env=dict(self.environment), stdin=stdin or asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=_CHUNK,
            )  # fmt: skip
        except OSError as error:
            raise EnvironmentProblem(
                f"{self.name} cannot be run: {error.strerror}: {self.command[0]}",
                todo="install it, or let SHUANGCHENG_PG_BIN name the folder of PostgreSQL's programs",
            ) from error
        assert process.stdout is not None
        assert process.stderr is not None
        complaints = asyncio.create_task(_last(process.stderr))
        try:
            yield process.stdout
            status = await process.wait()
        finally:
            await _ended(process)
            said = await complaints
        if status != 0:
            raise LocalError(f"{self.name} failed with status {status}", details=said.strip()[-_SAID:])


async def output(program: Program, stdin: IO[bytes] | None = None) -> str:
    """The whole standard output. Raises LocalError."""
    async with program.running(stdin) as stream:
        return (await stream.read()).decode()


async def chunks(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The output's bytes as they come."""
    while chunk := await stream.read(_CHUNK):
        yield chunk


async def lines(stream: asyncio.StreamReader) -> AsyncIterator[list[bytes]]:
    """The output's lines without line ends, many at a time. A line may be of any length."""
    rest: list[bytes] = []
    async for chunk in chunks(stream):
        first, *others = chunk.split(b"\n")
        rest.append(first)
        if others:
            last = others.pop()
            yield [b"".join(rest), *others]
            rest = [last]
    if tail := b"".join(rest):
        yield [tail]


async def _last(stream: asyncio.StreamReader) -> str:
    said = b""
    async for chunk in chunks(stream):
        said = (said + chunk)[-2 * _SAID :]
    return said.decode(errors="replace")


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_END_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
