"""How long a system asked to be left alone: ``Retry-After`` (RFC 9110, 10.2.3), for all parts that call it."""

from __future__ import annotations

import asyncio
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

__all__ = ["LeftAlone", "Quiet", "retry_after"]

_LONGEST: Final = 3600.0
"""Seconds. A system that asks for a day made a mistake, or will ask again."""
_SAYING_SO: Final = frozenset({429, 503})


class LeftAlone(Exception):
    """The system was not called, since it asked to be left alone for so many more ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"asked to be left alone for {seconds:.0f} s more")
        self.seconds = seconds


class Quiet:
    """Until when a system is left alone. All parts that call the system share one object."""

    def __init__(self) -> None:
        self._until = 0.0

    def check(self) -> None:
        """Raises ``LeftAlone`` while the system is to be left alone."""
        left = self._until - asyncio.get_running_loop().time()
        if left > 0:
            raise LeftAlone(left)

    def heard(self, answer: httpx.Response) -> None:
        """Take over the time for which an answer asks."""
        if seconds := retry_after(answer):
            self._until = max(self._until, asyncio.get_running_loop().time() + seconds)


def retry_after(answer: httpx.Response) -> float:
    """Seconds for which this answer asks, by the answer's own clock; 0 where it asks for none or cannot be read."""
    said = answer.headers.get("retry-after", "").strip()
    if answer.status_code not in _SAYING_SO or not said:
        return 0.0
    if said.isascii() and said.isdigit():
        return min(float(said[:9]), _LONGEST)
    try:
        ahead = parsedate_to_datetime(said) - parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError, TypeError):
        return 0.0
    return max(0.0, min(ahead.total_seconds(), _LONGEST))
