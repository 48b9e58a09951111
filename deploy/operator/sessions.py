"""Sessions of operators, in memory: when this process ends, all their tokens are forgotten."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Session", "Sessions"]

_STAYS_SECONDS: Final = 12 * 3600
_MOST_STRANGERS: Final = 1000
"""How many sessions without an operator are kept. Anybody can open one."""


@dataclass(slots=True)
class Session:
    """The session of a browser. ``bearer``: the operator's token after the sign-in. ``notes``: shown on the next
    page."""

    token: str = field(repr=False)
    csrf: str = field(repr=False)
    bearer: str | None = field(repr=False)
    ends: float
    notes: list[tuple[str, str]] = field(default_factory=list)
    """Kind (``good`` or empty) and text."""


class Sessions:
    """All sessions, by the digest of their cookie."""

    def __init__(self) -> None:
        self._strangers: dict[bytes, Session] = {}
        self._operators: dict[bytes, Session] = {}

    def open(self, bearer: str | None = None) -> Session:
        """A new session under a new token. A session from before a sign-in never becomes that after it (session
        fixation)."""
        ends = time.monotonic() + _STAYS_SECONDS
        session = Session(secrets.token_urlsafe(32), secrets.token_urlsafe(24), bearer, ends)
        self._forget_ended()
        kept = self._strangers if bearer is None else self._operators
        kept[_digest(session.token)] = session
        while len(self._strangers) > _MOST_STRANGERS:
            del self._strangers[next(iter(self._strangers))]
        return session

    def find(self, token: str | None) -> Session | None:
        """The session of this cookie, if it has not ended."""
        if not token:
            return None
        digest = _digest(token)
        session = self._operators.get(digest) or self._strangers.get(digest)
        if session is not None and session.ends < time.monotonic():
            self.end(session)
            return None
        return session

    def _forget_ended(self) -> None:
        now = time.monotonic()
        for kept in (self._strangers, self._operators):
            for digest in [digest for digest, session in kept.items() if session.ends < now]:
                del kept[digest]

    def end(self, session: Session | None) -> None:
        """End this session."""
        if session is not None:
            self._strangers.pop(_digest(session.token), None)
            self._operators.pop(_digest(session.token), None)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
