"""A database keeps the digest of its first naming secret, and a process with another secret does not start."""

from __future__ import annotations

from typing import Final

from services.chassis.base.configuration import ConfigurationError
from services.chassis.base.database import Pool
from services.chassis.batch.naming import Naming

__all__ = ["check"]

_BEGIN: Final = "INSERT INTO naming (digest) VALUES ($1) ON CONFLICT DO NOTHING"


async def check(pool: Pool, naming: Naming) -> None:
    """Raise ``ConfigurationError`` if this database was begun with another secret; the first one is kept."""
    # Two statements: of two processes that begin at once, the second sees what the first has written.
    await pool.execute(_BEGIN, naming.digest)
    if await pool.fetchval("SELECT digest FROM naming") != naming.digest:
        raise ConfigurationError(
            "SHUANGCHENG_NAMING_SECRET: the naming secret is not the one that this database was begun with, and would "
            "give the same things other ids; restore the secret that was kept with the backup"
        )
