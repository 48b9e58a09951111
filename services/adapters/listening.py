"""The listener: what people did on a registry's own pages goes onto its topics, in order and once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from services.adapters import rules
from services.adapters.parts import Part
from services.adapters.states import Said
from services.adapters.store import Ear
from services.adapters.systems import System, SystemAway
from services.adapters.worker import Backoff
from services.chassis.database import Pool, describe
from services.chassis.failures import blames_nobody
from services.chassis.logs import log
from services.chassis.polling import Polling

__all__ = ["Listener"]

_LONGEST_INTERVAL = 0.5


class Listener:
    """Asks the registry's system again and again what is new there; what it cannot say now it says later."""

    def __init__(
        self, pool: Pool, system: System, registry: str, now: Callable[[], datetime], part: Part | None = None
    ) -> None:
        self._system = system
        self._ear = Ear(pool, registry)
        self._now = now
        self._part = part or Part("listening")
        self._backoff = Backoff(self._part.away)
        self._polling = Polling(_LONGEST_INTERVAL)

    async def session(self) -> None:
        """Listen until cancelled or the database is lost."""
        while True:
            after = await self._ear.heard()
            try:
                said = await self._system.listen(after)
            except SystemAway as error:
                self._part.interrupted.over()
                self._backoff.away(str(error), error.seconds)
                await asyncio.sleep(self._backoff.left)
                continue
            self._backoff.back()
            new = bool(said) and await self._keep(after, said)
            self._part.interrupted.over()
            if new:
                self._polling.found()
            else:
                await self._polling.wait()

    async def _keep(self, after: int, said: Sequence[Said]) -> bool:
        """Keep what was said; False where none of it is new. One that cannot be kept holds up no other."""
        try:
            odd = await self._ear.keep(after, said, self._now())
        except Exception as error:
            if blames_nobody(error):
                raise
            return await self._keep_each(after, said)
        for one in odd or ():
            log().error("not understood", number=one.number, detail=rules.one_line(one.trouble or ""))
        return bool(odd) or (odd is not None and any(one.number is not None for one in said))

    async def _keep_each(self, after: int, said: Sequence[Said]) -> bool:
        new = False
        for one in said:
            try:
                odd = await self._ear.keep(after, [one], self._now())
            except Exception as error:
                if blames_nobody(error):
                    raise
                log().error("not kept", number=one.number, detail=describe(error))
                trouble = f"a message that cannot be kept: {describe(error)}"
                odd = await self._ear.keep(after, [replace(one, event=None, trouble=trouble)], self._now())
            if odd is None:
                return True
            new = new or bool(odd) or one.number is not None
            after = max(after, one.number or 0)
        return new
