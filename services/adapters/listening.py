"""The listener: letters about what people did on a registry's own pages go onto its topics, in order and once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from services.adapters import rules
from services.adapters.kinds.systems import System, SystemAway
from services.adapters.parts import Part
from services.adapters.states import Letter
from services.adapters.store import HeardLetters
from services.chassis.base.database import Pool, describe
from services.chassis.base.failures import blames_nobody
from services.chassis.base.logs import log
from services.chassis.base.polling import Polling

__all__ = ["Listener"]

_LONGEST_INTERVAL = 0.5


class Listener:
    """Asks the registry's system for new letters, again and again."""

    def __init__(
        self, pool: Pool, system: System, registry: str, now: Callable[[], datetime], part: Part | None = None
    ) -> None:
        self._system = system
        self._heard = HeardLetters(pool, registry)
        self._now = now
        self._part = part or Part("listening")
        self._polling = Polling(_LONGEST_INTERVAL)

    async def session(self) -> None:
        """Listen until cancelled or the database is lost."""
        while True:
            after = await self._heard.heard()
            try:
                letters = await self._system.listen(after)
            except SystemAway as error:
                self._part.interrupted.over()
                self._part.takes_nothing(str(error), error.seconds)
                await self._part.backoff.wait()
                continue
            self._part.answers()
            new = bool(letters) and await self._keep(after, letters)
            self._part.interrupted.over()
            if new:
                self._polling.found()
            else:
                await self._polling.wait()

    async def _keep(self, after: int, letters: Sequence[Letter]) -> bool:
        """Keep these letters; False where none is new. A letter that cannot be kept delays no other."""
        try:
            odd = await self._heard.keep(after, letters, self._now())
        except Exception as error:
            if blames_nobody(error):
                raise
            return await self._keep_each(after, letters)
        for letter in odd or ():
            log().error("not understood", number=letter.number, detail=rules.one_line(letter.trouble or ""))
        return bool(odd) or (odd is not None and any(letter.number is not None for letter in letters))

    async def _keep_each(self, after: int, letters: Sequence[Letter]) -> bool:
        new = False
        for letter in letters:
            try:
                odd = await self._heard.keep(after, [letter], self._now())
            except Exception as error:
                if blames_nobody(error):
                    raise
                log().error("not kept", number=letter.number, detail=describe(error))
                trouble = f"a message that cannot be kept: {describe(error)}"
                odd = await self._heard.keep(after, [replace(letter, event=None, trouble=trouble)], self._now())
            if odd is None:
                return True
            new = new or bool(odd) or letter.number is not None
            after = max(after, letter.number or 0)
        return new
