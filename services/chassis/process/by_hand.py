"""What an operator does to a service's database by command, while the service does not run."""

from __future__ import annotations

from datetime import timedelta

from services.chassis.aside.acts import OF_THE_COMMAND, Acts
from services.chassis.base.clock import Clock
from services.chassis.base.database import open_pool
from services.chassis.base.logs import log
from services.chassis.base.settings import Settings
from services.chassis.log import positions
from services.chassis.restoring import looking

__all__ = ["forget", "restored"]


async def forget(name: str, settings: Settings, topics: list[str]) -> None:
    """Forget a service's stored positions of these topics: the next start reads them from the beginning."""
    pool = await open_pool(settings.database.get_secret_value(), size=1, application="forget-positions")
    async with pool.acquire() as db, db.transaction():
        forgotten = await positions.forget(db, topics)
        now = Clock(timedelta(seconds=settings.clock_offset)).now()
        await Acts.of(name, settings).say(db, "forget_positions", sorted(set(forgotten)), OF_THE_COMMAND, now)
    log().info("positions forgotten", count=len(forgotten))
    await pool.close()


async def restored(settings: Settings) -> None:
    """Mark the database as restored, so that the next start replays. The service must not run meanwhile."""
    pool = await open_pool(settings.database.get_secret_value(), size=1, application="restored")
    async with pool.acquire() as db:
        await looking.mark(db, "an operator")
    log().info("the next start replays what came since the database was saved")
    await pool.close()
