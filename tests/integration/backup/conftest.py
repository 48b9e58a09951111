"""A service's database and a stranger's on the session's server, and the command line that backs them up."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.operate.backup.wheel import wheel_programs
from deploy.tryout.local.postgres import Postgres
from services.chassis.base.migrations import migrate
from tests.conftest import NewDatabase
from tests.support.tally import MIGRATION

ROOT = Path(__file__).parents[3]
SECRET = "the-naming-secret-of-a-service-that-never-changes"


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    said: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@dataclass
class Shelf:
    """Where backups of one test stand, and the databases that it backs up."""

    postgres: Postgres
    folder: Path
    service: str
    stranger: str
    dsn: dict[str, str]
    more: dict[str, str] = field(default_factory=dict)
    """Variables of its commands."""

    @property
    def backup(self) -> Path:
        return self.folder / "backup"

    @property
    def secret(self) -> Path:
        return self.folder / "secrets" / self.service / "shuangcheng_naming_secret"

    async def start(self, *arguments: str, before: Callable[[], None] | None = None) -> asyncio.subprocess.Process:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SHUANGCHENG_")}
        environment |= {"SHUANGCHENG_POSTGRES": self.postgres.admin_dsn} | self.more
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deploy.cli.main", *arguments),
            cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, preexec_fn=before,
        )  # fmt: skip

    async def run(self, *arguments: str, before: Callable[[], None] | None = None) -> Ended:
        process = await self.start(*arguments, before=before)
        out, said = await asyncio.wait_for(process.communicate(), timeout=240)
        assert process.returncode is not None
        assert b"Traceback" not in said, said.decode()
        return Ended(process.returncode, out.decode(), said.decode())

    def secrets(self) -> list[str]:
        return ["--secrets", str(self.folder / "secrets")]

    async def take(self, *names: str) -> dict[str, Any]:
        """Back up the service's database, or these; gives the manifest."""
        ended = await self.run("backup", str(self.backup), *(names or [self.service]), *self.secrets())
        assert ended.status == 0, ended.said
        told: dict[str, Any] = json.loads((self.backup / "manifest.json").read_text())
        return told

    async def restore(self, *more: str) -> Ended:
        return await self.run("restore", str(self.backup), self.service, *self.secrets(), *more)

    async def ask(self, database: str, question: str) -> Any:
        """As the superuser."""
        db = await asyncpg.connect(self.as_superuser(database))
        try:
            return await db.fetchval(question)
        finally:
            await db.close()

    def as_superuser(self, database: str) -> str:
        return urlsplit(self.postgres.admin_dsn)._replace(path=f"/{database}").geturl()

    async def databases(self) -> set[str]:
        """All that have to do with the service's: itself, and what stands beside it."""
        names = await self.ask("postgres", "SELECT array_agg(datname::text) FROM pg_database")
        return {name.removeprefix(self.service) for name in names if name.startswith(self.service)}

    async def say(self, **totals: int) -> None:
        """Minutes of volunteers, as its service would write them."""
        db = await asyncpg.connect(self.dsn[self.service])
        await db.executemany("INSERT INTO total (ref, minutes, seen) VALUES ($1, $2, '[]')", list(totals.items()))
        await db.close()

    async def totals(self) -> dict[str, int]:
        db = await asyncpg.connect(self.dsn[self.service])
        rows = await db.fetch("SELECT ref, minutes FROM total")
        await db.close()
        return {row[0]: row[1] for row in rows}

    def instead(self, program: str, script: str) -> None:
        """Let a shell script stand in for one of PostgreSQL's programs; $REAL is the folder of the real ones."""
        folder = self.folder / "programs"
        if not folder.exists():
            folder.mkdir()
            for name in ("pg_dump", "pg_restore", "psql"):
                (folder / name).symlink_to(real_programs() / name)
        (folder / program).unlink()
        (folder / program).write_text(f"#!/bin/sh\nREAL={real_programs()}\n{script}\n")
        (folder / program).chmod(0o755)
        self.more["SHUANGCHENG_PG_BIN"] = str(folder)


def real_programs() -> Path:
    own = wheel_programs()
    if own is not None:
        return own
    found = shutil.which("pg_dump")
    assert found is not None
    return Path(found).resolve().parent


@pytest.fixture
async def shelf(postgres: Postgres, new_database: NewDatabase, tmp_path: Path) -> AsyncIterator[Shelf]:
    (tmp_path / "0001_total.sql").write_text(MIGRATION)
    ours, theirs = await new_database(), await new_database()
    await migrate(ours, tmp_path)
    db = await asyncpg.connect(theirs)
    await db.execute("CREATE TABLE ledger (entry text PRIMARY KEY); INSERT INTO ledger VALUES ('tab\there'), ('\\.')")
    await db.close()
    names = [urlsplit(dsn).path.removeprefix("/") for dsn in (ours, theirs)]
    made = Shelf(postgres, tmp_path, names[0], names[1], dict(zip(names, (ours, theirs), strict=True)))
    made.secret.parent.mkdir(parents=True)
    made.secret.write_text(SECRET)
    yield made
    for name in await made.databases():
        if name:  # the service's own is dropped by who made it
            await made.ask("postgres", f'DROP DATABASE "{made.service}{name}" WITH (FORCE)')


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
