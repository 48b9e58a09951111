"""Sessions of one process in PostgreSQL, told from those of another instance by the ports that they come from; and
holding them in the middle of a batch."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

from tests.lab.faults.site import Site

__all__ = ["batches_held", "of_process"]


@contextlib.asynccontextmanager
async def batches_held(site: Site, name: str) -> AsyncIterator[None]:
    """Batches of a process wait inside their transactions, behind the fence, for as long as its own lock timeout."""
    async with site.stack.postgres.connection(site.stack.specs[name].database) as holder, holder.transaction():
        await holder.execute("LOCK TABLE inbox IN SHARE MODE")
        yield


async def of_process(site: Site, name: str, pid: int) -> set[int]:
    """Backends of the sessions that this process holds on the database of ``name``.

    Raises ``NotImplementedError`` where /proc does not say which ports are whose.
    """
    sql = "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND client_port = ANY($2)"
    async with site.stack.postgres.connection(site.stack.specs[name].database) as admin:
        database = await admin.fetchval("SELECT current_database()")
        return {row[0] for row in await admin.fetch(sql, database, sorted(_ports(pid)))}


def _ports(pid: int) -> set[int]:
    table = Path(f"/proc/{pid}/net/tcp")
    if not table.exists():
        raise NotImplementedError("which sessions are whose is read from /proc, which is not here")
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed in between
            if found := re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink())):
                inodes.add(found[1])
    rows = [line.split() for line in table.read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[9] in inodes}
