"""The listener: what people did on a registry's own pages goes onto its topics, in order and once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from services.adapters import rules
from services.adapters.parts import Part
from services.adapters.store import Ear
from services.adapters.systems import System, SystemAway
from services.adapters.worker import Rest
from services.chassis.database import Pool
from services.chassis.logs import log
from services.chassis.pauses import Pause

__all__ = ["Listener"]

_LONGEST_PAUSE = 0.5


class Listener:
    """Asks the registry's system again and again what is new there; what it cannot say now it says later."""

    def __init__(
        self, pool: Pool, system: System, registry: str, now: Callable[[], datetime], part: Part | None = None
    ) -> None:
        self._system = system
        self._ear = Ear(pool, registry)
        self._now = now
        self._part = part or Part("listening")
        self._rest = Rest(self._part.away)
        self._pause = Pause(_LONGEST_PAUSE)

    async def session(self) -> None:
        """Listen until cancelled or the database is lost."""
        while True:
            after = await self._ear.heard()
            try:
                said = await self._system.listen(after)
            except SystemAway as error:
                self._part.interrupted.over()
                self._rest.away(str(error), error.seconds)
                await asyncio.sleep(self._rest.left)
                continue
            self._rest.back()
            for one in said:
                if one.trouble is not None:
                    log().error("not understood", number=one.number, detail=rules.one_line(one.trouble))
            kept = bool(said) and await self._ear.keep(after, said, self._now())
            self._part.interrupted.over()
            if kept:
                self._pause.found()
            else:
                await self._pause.wait()
