"""Lines that repeat: the first is written at once, those like it are counted, and one line says when they ended."""

from __future__ import annotations

import re
import threading
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["Ended", "Repeats", "shape"]

QUIET_SECONDS: Final = 30.0
"""A line that did not come for so long has ended. Longer than every backoff between two tries of one thing."""
PATIENCE_SECONDS: Final = 30.0
"""A line that usually stops soon after a start is written only if it goes on for so long."""
MOST: Final = 200
"""Kinds of lines that are counted separately; all further kinds are counted together."""

_VARYING: Final = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{12,}|\d+")


def shape(text: str) -> str:
    """A text without its numbers, addresses and ids: two lines of one kind have this in common."""
    return _VARYING.sub("#", text)[:200]


@dataclass
class _Kind:
    about: Mapping[str, object]
    first: float
    last: float
    count: int = 0
    written: bool = False


@dataclass(frozen=True)
class Ended:
    """A line that came several times and has ended."""

    about: Mapping[str, object]
    count: int
    seconds: float


class Repeats:
    """Counts lines by kind. Times are seconds of one clock. Safe from several threads."""

    def __init__(self, quiet: float = QUIET_SECONDS, patience: float = PATIENCE_SECONDS, most: int = MOST) -> None:
        self._quiet = quiet
        self._patience = patience
        self._most = most
        self._kinds: dict[Hashable, _Kind] = {}
        self._lock = threading.Lock()

    def writes(self, key: Hashable, about: Mapping[str, object], now: float, *, passes: bool = False) -> bool:
        """Whether this line is to be written. ``passes``: not before it has come for a while.

        ``about`` is what the end of these lines is told with.
        """
        with self._lock:
            kind = self._kinds.get(key)
            if kind is None:
                if len(self._kinds) >= self._most:
                    key, about = None, {"name": "lines of further kinds"}
                kind = self._kinds.setdefault(key, _Kind(about, now, now))
            kind.count += 1
            kind.last = now
            if kind.written or (passes and now - kind.first < self._patience):
                return False
            kind.written = True
            return True

    def ended(self, now: float) -> list[Ended]:
        """Lines that came several times and have ended; each is given once. ``inf``: all that are counted."""
        with self._lock:
            over = [key for key, kind in self._kinds.items() if now - kind.last > self._quiet]
            kinds = [self._kinds.pop(key) for key in over]
        return [
            Ended(kind.about, kind.count, round(kind.last - kind.first, 1))
            for kind in kinds
            if kind.written and kind.count > 1
        ]

    @property
    def counting(self) -> bool:
        """Whether the end of anything is still to come."""
        return bool(self._kinds)
