"""Guessing ends: so many wrong answers in five minutes, then whoever gave them waits."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from typing import Final

__all__ = ["Tries"]

_MOST_NAMES: Final = 10_000


class Tries:
    """How often somebody may be wrong: so many times in five minutes, then she waits."""

    def __init__(self, most: int, seconds: float = 300) -> None:
        self._most, self._seconds = most, seconds
        self.seconds = int(seconds)
        """How long whoever was wrong too often waits at most."""
        self._wrong: defaultdict[str, deque[float]] = defaultdict(deque)

    def spent(self, who: str) -> bool:
        """Whether she was wrong too often."""
        wrong = self._wrong.get(who, deque())
        while wrong and wrong[0] < time.monotonic() - self._seconds:
            wrong.popleft()
        return len(wrong) >= self._most

    def wrong(self, who: str) -> None:
        """She was wrong once more; or will be, unless ``right`` takes it back."""
        if len(self._wrong) > _MOST_NAMES:  # whoever tries under many names is not remembered for ever
            self._wrong = defaultdict(deque, {name: wrong for name, wrong in self._wrong.items() if self.spent(name)})
        self._wrong[who].append(time.monotonic())

    def right(self, who: str) -> None:
        """What was counted last as wrong was right."""
        if wrong := self._wrong.get(who):
            wrong.pop()
