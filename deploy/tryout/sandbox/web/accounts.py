"""Accounts and sessions of the pages: the registry's own people, visitors who got an account by a link, and their
browsers."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from contracts.messages.base import AgeBand, Ref
from deploy.tryout.sandbox.database import Connection, Pool

__all__ = [
    "Account",
    "Session",
    "digest",
    "enter_people",
    "find",
    "listed",
    "new_session",
    "open_session",
    "session_of",
    "sign_in",
    "sign_out",
]

_KINDS: Final = ("volunteer", "visitor", "organiser")
_STAYS: Final = timedelta(hours=12)
_ACCOUNT = "SELECT ref, kind, name, age_band, guardian_approved, home FROM account"


@dataclass(frozen=True, slots=True)
class Account:
    """A person's account at this registry. A visitor has no name and no age here: these stay at her home."""

    ref: str
    kind: Literal["volunteer", "visitor", "organiser"]
    name: str | None = None
    age_band: str | None = None
    guardian_approved: bool = False
    home: str | None = None

    @property
    def minor(self) -> bool:
        """Whether a guardian decides with her (rule 37)."""
        return self.age_band is not None and AgeBand(self.age_band) is not AgeBand.ADULT


@dataclass(frozen=True, slots=True)
class Session:
    """A browser's session, with the secret that its forms must carry. ``account`` is set once somebody has signed
    in."""

    token: str
    csrf: str
    account: Account | None


class _Person(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    ref: Ref
    name: Annotated[str, Field(min_length=1, max_length=40)]
    age_band: AgeBand | None = None
    guardian_approved: bool = False


class _People(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    volunteers: list[_Person] = []
    organisers: list[_Person] = []


async def enter_people(pool: Pool, file: Path) -> None:
    """Enter the registry's own people. Raises ``ValueError`` for a file that is not of this form."""
    text = await asyncio.to_thread(file.read_text, encoding="utf-8")
    people = _People.model_validate(yaml.safe_load(text))
    rows: list[tuple[str, str, str, str | None, bool]] = [
        (one.ref, "volunteer", one.name, one.age_band or AgeBand.ADULT, one.guardian_approved)
        for one in people.volunteers
    ]
    rows += [(one.ref, "organiser", one.name, None, False) for one in people.organisers]
    async with pool.acquire() as connection, connection.transaction():
        await connection.executemany(
            """INSERT INTO account (ref, kind, name, age_band, guardian_approved) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (ref) DO NOTHING""",
            rows,
        )
        await connection.execute(
            "INSERT INTO volunteer (ref, known_since) SELECT ref, now() FROM account WHERE kind = 'volunteer' "
            "ON CONFLICT DO NOTHING"
        )


async def listed(pool: Pool) -> list[Account]:
    """The people who can sign in, at most 200 of each kind, so that many visitors do not crowd out organisers."""
    kinds = " UNION ALL ".join(f"({_ACCOUNT} WHERE kind = '{kind}' ORDER BY ref LIMIT 200)" for kind in _KINDS)
    return [Account(*row) for row in await pool.fetch(kinds)]


async def find(pool: Pool | Connection, ref: str) -> Account | None:
    """The account of this number."""
    row = await pool.fetchrow(f"{_ACCOUNT} WHERE ref = $1", ref)
    return None if row is None else Account(*row)


def digest(token: str) -> bytes:
    """The digest that is kept of a secret which somebody else has."""
    return hashlib.sha256(token.encode()).digest()


async def open_session(pool: Pool, ref: str | None = None) -> Session:
    """A new session under a new token. A token from before a sign-in is never valid after it (session fixation)."""
    token = secrets.token_urlsafe(32)
    return Session(token, await new_session(pool, token, ref), None if ref is None else await find(pool, ref))


async def new_session(db: Pool | Connection, token: str, ref: str | None = None) -> str:
    """A new session under this token. Gives the secret of its forms."""
    csrf = secrets.token_urlsafe(24)
    await db.execute(
        "INSERT INTO web_session (token_hash, csrf, ref, expires_at) VALUES ($1, $2, $3, $4)",
        digest(token),
        csrf,
        ref,
        datetime.now(UTC) + _STAYS,
    )
    return csrf


async def session_of(pool: Pool, token: str | None) -> Session | None:
    """The session of this cookie, if it stands."""
    if not token:
        return None
    row = await pool.fetchrow(
        """SELECT s.csrf, a.ref, a.kind, a.name, a.age_band, a.guardian_approved, a.home
           FROM web_session s LEFT JOIN account a USING (ref) WHERE s.token_hash = $1 AND s.expires_at > now()""",
        digest(token),
    )
    if row is None:
        return None
    csrf, *account = row
    return Session(token, csrf, None if account[0] is None else Account(*account))


async def sign_in(pool: Pool, session: Session | None, ref: str) -> Session:
    """Somebody has proved to be ``ref``: the old session ends, a new session begins."""
    await sign_out(pool, session)
    return await open_session(pool, ref)


async def sign_out(pool: Pool, session: Session | None) -> None:
    """End this session, and delete sessions that have expired."""
    await pool.execute(
        "DELETE FROM web_session WHERE token_hash = $1 OR expires_at < now()",
        b"" if session is None else digest(session.token),
    )
