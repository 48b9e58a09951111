"""Codes on their way from the other city's page to a session: which browser brought a code, and which session used
it."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from deploy.tryout.sandbox.database import Connection, Pool
from deploy.tryout.sandbox.web.accounts import digest, new_session

__all__ = ["STANDS", "Answer", "Arrival", "answer_of", "arrival_of", "arrive", "code_hash", "open_with"]

STANDS: Final = timedelta(minutes=30)
"""The longest time for which a code is good, whatever its home says."""
_FORGET: Final = "DELETE FROM arrival WHERE expires_at < now()"
# Codes are good for half an hour, and the linkage knows which codes are used. So uses are remembered for a day only.
_FORGET_OPENED: Final = "DELETE FROM opened WHERE pressed_at < now() - interval '1 day'"
_OPEN: Final = """
INSERT INTO opened (code_hash, message_id, session, home, asked_as) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING RETURNING true
"""
_OPENED_BY: Final = """
SELECT true FROM opened JOIN web_session ON token_hash = session WHERE code_hash = $1 AND session = $2
"""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A browser that brought a code. ``session`` is the token of the session for which the code is good."""

    token: str
    csrf: str
    session: str
    home: str
    home_ref: str
    code: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The linkage's answer to the code with which a session was opened."""

    home: str
    state: Literal["asked", "established", "refused"]
    reason: str | None


def code_hash(code: str) -> str:
    """The hash of a code as homes offer it: SHA-256 in lower-case hex."""
    return hashlib.sha256(code.encode()).hexdigest()


def _session(token: str, salt: bytes) -> str:
    # Two presses of one button open one session. And whoever planted the arrival's cookie does not know the session.
    return hashlib.sha256(salt + token.encode()).hexdigest()


async def arrive(pool: Pool, home: str, home_ref: str, code: str) -> Arrival:
    """Somebody brought a good code. This signs in nobody: she is asked first."""
    token, csrf, salt = secrets.token_urlsafe(32), secrets.token_urlsafe(24), secrets.token_bytes(32)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_FORGET)
        await connection.execute(
            "INSERT INTO arrival (token_hash, csrf, session, home, home_ref, code, expires_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7)",
            digest(token), csrf, salt, home, home_ref, code, datetime.now(UTC) + STANDS,
        )  # fmt: skip
    return Arrival(token, csrf, _session(token, salt), home, home_ref, code)


async def arrival_of(pool: Pool, token: str | None) -> Arrival | None:
    """The arrival of the browser with this cookie, for half an hour."""
    row = await pool.fetchrow(
        "SELECT csrf, session, home, home_ref, code FROM arrival WHERE token_hash = $1 AND expires_at > now()",
        digest(token or ""),
    )
    if row is None:
        return None
    csrf, salt, *rest = row
    return Arrival(token or "", csrf, _session(token or "", salt), *rest)


async def open_with(connection: Connection, arrival: Arrival, message_id: str, asked_as: str) -> bool | None:
    """Use the code for this browser's session, to which nobody has signed in yet. True the first time, False at a
    repeat.

    None: another session has used the code, or the session has ended.
    """
    hashed, session = digest(arrival.code), digest(arrival.session)
    await connection.execute(_FORGET_OPENED)
    if await connection.fetchval(_OPEN, hashed, message_id, session, arrival.home, asked_as):
        await new_session(connection, arrival.session)
        return True
    return False if await connection.fetchval(_OPENED_BY, hashed, session) else None


async def answer_of(pool: Pool, session: str) -> Answer | None:
    """The state of the code with which this session was opened. None if it was opened in another way."""
    row = await pool.fetchrow("SELECT home, state, reason FROM opened WHERE session = $1", digest(session))
    return None if row is None else Answer(*row)
