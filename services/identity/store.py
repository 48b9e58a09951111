"""Identity's database: six tables, and how a batch's rows are found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from contracts.messages.identity import RequestLink
from services.chassis.database import Batch
from services.chassis.decisions import Inbound, States
from services.chassis.tables import Table
from services.identity.states import Account, ConsentState, Link, Offer, Request, Role

__all__ = ["ACCOUNTS", "CONSENTS", "LINKS", "OFFERS", "REQUESTS", "ROLES", "IdentityStore"]

ACCOUNTS: Final = Table(Account, "account", key=("home", "home_ref"))
OFFERS: Final = Table(Offer, "offer", key=("person", "host"), groups=("person",))
REQUESTS: Final = Table(Request, "request", key=("request_id",), groups=("stands_at",))
LINKS: Final = Table(Link, "link", key=("person", "host"), groups=("person",))
ROLES: Final = Table(Role, "role", key=("registry", "ref"))
CONSENTS: Final = Table(ConsentState, "consent", key=("person", "host"))

_THESE = "JOIN unnest($1::text[], $2::text[]) AS wanted(home, home_ref) USING (home, home_ref)"
_PENDING = f"JOIN account USING (person) {_THESE} WHERE outcome = 'pending'"
_OF_PERSONS = "WHERE person = ANY($1)"
_ROLES = "JOIN unnest($1::text[], $2::text[]) AS wanted(registry, ref) USING (registry, ref)"


class IdentityStore:
    """Statements for loading: one lock round and one per table, whatever the batch's length."""

    tables: Sequence[Table[Any]] = (ACCOUNTS, OFFERS, REQUESTS, LINKS, CONSENTS, ROLES)

    async def load(self, batch: Batch, messages: Sequence[Inbound], states: States) -> None:
        """Home accounts with all that hangs on them, and what the host accounts are that may be tied to them."""
        db = batch.connection
        homes = {(message.data.home, message.data.home_ref) for message in messages}
        pending = await REQUESTS.load(db, states, _PENDING, *_columns(homes))
        pairs = homes | {(request.host, request.host_ref) for request in pending}
        pairs |= {(m.data.host, m.data.host_ref) for m in messages if isinstance(m.data, RequestLink)}
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
