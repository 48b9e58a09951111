"""Identity's database: six tables, the rows that a batch loads, and a host's question about a code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from services.chassis.base.database import Batch, Connection
from services.chassis.decisions import States
from services.chassis.tables import Table
from services.identity.states import Account, ConsentState, Link, Offer, Request, Role

__all__ = [
    "ACCOUNTS",
    "CONSENTS",
    "LINKS",
    "OFFERS",
    "REQUESTS",
    "ROLES",
    "IdentityStore",
    "Needs",
    "code_would_be_accepted",
]

ACCOUNTS: Final = Table(Account, "account", key=("home", "home_ref"))
OFFERS: Final = Table(Offer, "offer", key=("person", "host"), groups=("person",))
REQUESTS: Final = Table(Request, "request", key=("request_id",), groups=("pending_at",))
LINKS: Final = Table(Link, "link", key=("person", "host"), groups=("person",))
ROLES: Final = Table(Role, "role", key=("registry", "ref"))
CONSENTS: Final = Table(ConsentState, "consent", key=("person", "host"))

_REQUESTS_OF_HOMES = """
SELECT request.* FROM request
  JOIN unnest($1::text[], $2::text[]) AS wanted(home, home_ref) USING (home, home_ref)"""
_ACCOUNTS_OF_HOMES = """
SELECT account.* FROM account
  JOIN unnest($1::text[], $2::text[]) AS wanted(home, home_ref) USING (home, home_ref)"""
_OFFERS_OF_PERSONS = "SELECT offer.* FROM offer WHERE person = ANY($1)"
_CONSENTS_OF_PERSONS = "SELECT consent.* FROM consent WHERE person = ANY($1)"
_LINKS_OF_PERSONS = "SELECT link.* FROM link WHERE person = ANY($1)"
_ROLES_OF_ACCOUNTS = """
SELECT role.* FROM role
  JOIN unnest($1::text[], $2::text[]) AS wanted(registry, ref) USING (registry, ref)"""

_CODE_WOULD_BE_ACCEPTED = """
SELECT EXISTS (
    SELECT FROM account AS a
    JOIN offer AS o USING (person)
    JOIN consent AS c ON c.person = a.person AND c.host = o.host
    LEFT JOIN link AS l ON l.person = a.person AND l.host = o.host
    WHERE a.home = $1 AND a.home_ref = $2 AND o.host = $3
      AND o.code_hash = $4 AND o.expires_at > $5
      AND c.state = 'given' AND coalesce((c.consent ->> 'valid_until')::timestamptz > $5, true)
      AND (l.person IS NULL OR (l.code_hash <> $4 AND l.home_break IS NULL AND l.host_break IS NULL)))"""


async def code_would_be_accepted(
    db: Connection, home: str, home_ref: str, host: str, code_hash: str, now: datetime
) -> bool:
    """Whether a request with this code would be accepted now, and would be the first with it."""
    found: bool = await db.fetchval(_CODE_WOULD_BE_ACCEPTED, home, home_ref, host, code_hash, now)
    return found


@dataclass(slots=True)
class Needs:
    """The accounts that a batch's messages name: home accounts, and accounts at hosts that are to be linked."""

    homes: set[tuple[str, str]] = field(default_factory=set)
    hosts: set[tuple[str, str]] = field(default_factory=set)


class IdentityStore:
    """Loading takes one round of locks and one statement a table, whatever the batch's length."""

    tables: Sequence[Table[Any]] = (ACCOUNTS, OFFERS, REQUESTS, LINKS, CONSENTS, ROLES)

    def needs(self) -> Needs:
        """The needs of an empty batch."""
        return Needs()

    async def load(self, batch: Batch, needs: Needs, states: States) -> None:
        """Load home accounts with all their rows, and the roles of the host accounts that may be linked to them."""
        db = batch.connection
        homes = needs.homes
        pending = await REQUESTS.load(db, states, _REQUESTS_OF_HOMES, *_columns(homes))
        pairs = homes | needs.hosts | {(request.host, request.host_ref) for request in pending}
        # An offer may link a host account that only a pending request names, so these locks come after a first look.
        # Every message that may link an account, as a home's or as a guest's, holds its ``link:`` lock: otherwise two
        # batches at once could make one account both.
        await batch.lock(f"link:{registry}:{ref}" for registry, ref in pairs)
        accounts = await ACCOUNTS.load(db, states, _ACCOUNTS_OF_HOMES, *_columns(homes))
        persons = [account.person for account in accounts]
        await OFFERS.load(db, states, _OFFERS_OF_PERSONS, persons)
        await CONSENTS.load(db, states, _CONSENTS_OF_PERSONS, persons)
        await LINKS.load(db, states, _LINKS_OF_PERSONS, persons)
        await ROLES.load(db, states, _ROLES_OF_ACCOUNTS, *_columns(pairs))


def _columns(pairs: set[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [registry for registry, _ in pairs], [ref for _, ref in pairs]
