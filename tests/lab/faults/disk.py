"""No space left: the database of one service on a small disk of its own, filled to the last block."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import random
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

from tests.lab.faults import figures
from tests.lab.faults.cell import Cell, Outcome
from tests.lab.faults.load import waves
from tests.lab.faults.scenes import plan
from tests.lab.faults.site import Site

__all__ = ["disk_cells"]

_SERVICE: Final = "attendance"
_VISITS, _MEGABYTES = 120, 64
_FULL_SECONDS: Final = 6.0


def disk_cells() -> list[Cell]:
    """One cell, where this machine lets us mount."""
    id, fault = "postgres-disk-full", "no space left on the disk of one service's database"
    if reason := _not_here():
        return [Cell(id, _SERVICE, fault, impossible=reason)]
    return [Cell(id, _SERVICE, fault, _disk_full, takes=25)]


def _not_here() -> str:
    if os.geteuid() != 0:
        return "a small disk of its own needs root (mount -t tmpfs)"
    with tempfile.TemporaryDirectory(prefix="shuangcheng-disk-") as folder:
        if _mount(Path(folder), 1):
            _unmount(Path(folder))
            return ""
    return "this machine lets nobody mount a small disk (mount -t tmpfs)"


def _mount(folder: Path, megabytes: int) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", str(folder)], check=True, capture_output=True)


async def _disk_full(site: Site, rng: random.Random) -> Outcome:
    if site.stack.postgres.pid is None:
        raise NotImplementedError("the database server is not a process of ours: it cannot move to a small disk")
    stories = plan(rng, _VISITS)
    before, during, after = waves(stories, 3)
    with _small_disk(site.stack.folder / "small-disk") as disk:
        async with _moved(site, disk):
            await site.publish(before)
            await site.drained()
            child = site.child(_SERVICE)
            seen = len(child.log.read_bytes())
            ballast = await asyncio.to_thread(_fill, disk)
            await site.publish(during)
            await asyncio.sleep(_FULL_SECONDS)
            said = b"DiskFull" in child.log.read_bytes()[seen:]
            told = await site.says(_SERVICE, "ready", False, seconds=_FULL_SECONDS)
            unread = await figures.lag(site.stack.url(_SERVICE))
            ballast.unlink()
            back = time.monotonic()
            await site.publish(after)
            await site.drained()
            recovered = time.monotonic() - back
            checks, notes = await site.judge(stories)
            checks |= {
                "it_said_so": said,
                "health_said_so": told,
                "metrics_said_so": unread > 0,
                "nobody_died": child.running,
                "all_say_ready": await site.all_ready(),
            }
    return Outcome(checks, recovered, notes)


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    assert _mount(folder, _MEGABYTES), "it was possible a moment ago"
    try:
        inside = folder / "tablespace"
        inside.mkdir(mode=0o700)
        account = pwd.getpwnam("nobody")  # as whom the embedded server runs under root
        os.chown(inside, account.pw_uid, account.pw_gid)
        yield folder
    finally:
        _unmount(folder)
        folder.rmdir()


@contextlib.asynccontextmanager
async def _moved(site: Site, disk: Path) -> AsyncIterator[None]:
    """The service's database lives on the small disk, and goes back where it was."""
    async with site.stack.postgres.connection() as admin:
        await admin.execute(f"CREATE TABLESPACE small LOCATION '{disk / 'tablespace'}'")
    await _move(site, "small")
    try:
        yield
    finally:
        await _move(site, "pg_default")
        async with site.stack.postgres.connection() as admin:
            await admin.execute("DROP TABLESPACE small")


async def _move(site: Site, tablespace: str) -> None:
    database = site.stack.specs[_SERVICE].database
    await site.child(_SERVICE).stop()
    async with site.stack.postgres.connection() as admin:
        ended = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1"
        await admin.execute(ended, database)  # the harness's own look among them
        await admin.execute(f'ALTER DATABASE "{database}" SET TABLESPACE {tablespace}')
    await site.start(_SERVICE)


def _fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    for size in (1 << 20, 4096, 1):
        with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as out:
            while out.write(b"\0" * size) == size:
                pass
    return ballast
