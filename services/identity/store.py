"""Identity's database: six tables, how a batch's rows are found, and what a host asks about a code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from services.chassis.database import Batch, Connection
from services.chassis.decisions import States
from services.chassis.tables import Table
from services.identity.states import Account, ConsentState, Link, Offer, Request, Role

__all__ = ["ACCOUNTS", "CONSENTS", "LINKS", "OFFERS", "REQUESTS", "ROLES", "IdentityStore", "Needs", "offer_stands"]

ACCOUNTS: Final = Table(Account, "account", key=("home", "home_ref"))
OFFERS: Final = Table(Offer, "offer", key=("person", "host"), groups=("person",))
REQUESTS: Final = Table(Request, "request", key=("request_id",), groups=("stands_at",))
LINKS: Final = Table(Link, "link", key=("person", "host"), groups=("person",))
ROLES: Final = Table(Role, "role", key=("registry", "ref"))
CONSENTS: Final = Table(ConsentState, "consent", key=("person", "host"))

_THESE = "JOIN unnest($1::text[], $2::text[]) AS wanted(home, home_ref) USING (home, home_ref)"
_OF_PERSONS = "WHERE person = ANY($1)"
_ROLES = "JOIN unnest($1::text[], $2::text[]) AS wanted(registry, ref) USING (registry, ref)"

_STANDS = """
SELECT EXISTS (
    SELECT FROM account AS a
    JOIN offer AS o USING (person)
    JOIN consent AS c ON c.person = a.person AND c.host = o.host
    LEFT JOIN link AS l ON l.person = a.person AND l.host = o.host
    WHERE a.home = $1 AND a.home_ref = $2 AND o.host = $3
      AND o.code_hash = $4 AND o.expires_at > $5
      AND c.state = 'given' AND coalesce((c.consent ->> 'valid_until')::timestamptz > $5, true)
      AND (l.person IS NULL OR (l.code_hash <> $4 AND l.home_break IS NULL AND l.host_break IS NULL)))"""


async def offer_stands(db: Connection, home: str, home_ref: str, host: str, code_hash: str, now: datetime) -> bool:
    """Whether this code would be accepted now, for the first time."""
    found: bool = await db.fetchval(_STANDS, home, home_ref, host, code_hash, now)
    return found


@dataclass(slots=True)
class Needs:
    """What a batch speaks of: accounts at home, and accounts at hosts that ask to be linked."""

    homes: set[tuple[str, str]] = field(default_factory=set)
    hosts: set[tuple[str, str]] = field(default_factory=set)


class IdentityStore:
    """Statements for loading: one lock round and one per table, whatever the batch's length."""

    tables: Sequence[Table[Any]] = (ACCOUNTS, OFFERS, REQUESTS, LINKS, CONSENTS, ROLES)

    def needs(self) -> Needs:
        """Nothing yet."""
        return Needs()

    async def load(self, batch: Batch, needs: Needs, states: States) -> None:
        """Home accounts with all that hangs on them, and what the host accounts are that may be tied to them."""
        db = batch.connection
        homes = needs.homes
        pending = await REQUESTS.load(db, states, _THESE, *_columns(homes))
        pairs = homes | needs.hosts | {(request.host, request.host_ref) for request in pending}
        # An offer ties host accounts that only its pending requests name. Whoever ties an account, from either end,
        # holds its ``tie``, so that one account cannot become a guest's and a home's in two batches at once.
        await batch.lock(f"tie:{registry}:{ref}" for registry, ref in pairs)
        accounts = await ACCOUNTS.load(db, states, _THESE, *_columns(homes))
        persons = [account.person for account in accounts]
        await OFFERS.load(db, states, _OF_PERSONS, persons)
        await CONSENTS.load(db, states, _OF_PERSONS, persons)
        await LINKS.load(db, states, _OF_PERSONS, persons)
        await ROLES.load(db, states, _ROLES, *_columns(pairs))


def _columns(pairs: set[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [registry for registry, _ in pairs], [ref for _, ref in pairs]
