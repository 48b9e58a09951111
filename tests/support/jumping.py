"""An event loop whose clock jumps to the next timer: what waits for hours is over at once, in the order of time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["jumping"]

Result = TypeVar("Result")


class _Selector(selectors.SelectSelector):
    """Looks for bytes without waiting, and moves the clock on instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits, and nothing has a time")
        self.now += timeout
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumps = _Selector()
        super().__init__(self._jumps)

    def time(self) -> float:
        """Seconds by the clock that jumps; it begins at 0."""
        return self._jumps.now


def jumping(work: Coroutine[Any, Any, Result]) -> Result:
    """Run ``work`` in such a loop. It may await nothing from outside of the process."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)
