"""A migration that is killed inside its transaction."""

from __future__ import annotations

import signal
import sys

from deploy.tryout.local.processes import Child, own_environment
from tests.lab.faults.site import Site

__all__ = ["migration_resumes"]


async def migration_resumes(site: Site, name: str) -> dict[str, bool]:
    """A migration killed inside its transaction left nothing of it; the next run completes it."""
    database = f"p9_{name}"
    dsn = await site.stack.postgres.create_database(database)
    killed = await _migrate(site, name, {"DATABASE": dsn, "FAILPOINT": "P9:2"})
    async with site.stack.postgres.connection(database) as inside:
        half = [row[0] for row in await inside.fetch("SELECT name FROM migration ORDER BY applied_at")]
    again = await _migrate(site, name, {"DATABASE": dsn})
    columns = """SELECT table_name, column_name, data_type FROM information_schema.columns
                 WHERE table_schema = 'public' ORDER BY 1, 2"""
    async with site.stack.postgres.connection(database) as inside:
        made = [tuple(row) for row in await inside.fetch(columns)]
    async with site.stack.postgres.connection(site.stack.specs[name].database) as inside:
        wanted = [tuple(row) for row in await inside.fetch(columns)]
    await site.stack.postgres.drop_database(database)
    return {
        "migration_died_there": killed == -signal.SIGKILL,
        "half_a_migration_left_nothing": len(half) == 1,
        "migration_completed_later": again == 0 and made == wanted and bool(made),
    }


async def _migrate(site: Site, name: str, settings: dict[str, str]) -> int:
    spec = site.stack.specs[name]
    job = Child(
        name=f"{name} migrate",
        command=[sys.executable, "-m", spec.module, "migrate"],
        log=site.stack.folder / "logs" / f"{name}.p9.log",
        env=own_environment(site.stack.environment(spec, settings)),
    )
    return await job.run()
