"""All SQL of the border: at most seven statements to load a batch and one a table to save it, whatever its length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from contracts.messages import attendance, bridge, identity, opportunities, receipts, service, volunteers
from services.bridge.rules.admission import sender
from services.bridge.rules.names import accounts_of, person_name
from services.bridge.states import (
    Account,
    ConsentState,
    Link,
    LinkUnderWay,
    RecordKey,
    Refusal,
    ServiceState,
    Step,
    Transfer,
)
from services.chassis.database import Batch, Connection
from services.chassis.decisions import Inbound, States
from services.chassis.tables import Table

__all__ = ["BridgeStore", "Figures", "History", "figures", "history"]

ACCOUNTS: Final = Table(Account, "account", key=("registry", "ref"))
LINKS_UNDER_WAY: Final = Table(LinkUnderWay, "link_under_way", key=("registry", "ref", "host"), groups=("account",))
LINKS: Final = Table(Link, "link", key=("person", "host"), groups=("person",))
CONSENTS: Final = Table(ConsentState, "consent", key=("home", "home_ref", "host"))
RECORDS: Final = Table(ServiceState, "service_record", key=("host", "record_ref"))
TRANSFERS: Final = Table(Transfer, "transfer", key=("id",), groups=("record_key", "person"))
STEPS: Final = Table(Step, "step", key=("id",), append_only=True)
REFUSALS: Final = Table(Refusal, "refusal", key=("id",), append_only=True)

_PAIRS: Final = "(SELECT * FROM unnest($1::text[], $2::text[]))"
_PERSONS_OF_RECORDS: Final = f"SELECT DISTINCT person FROM service_record WHERE (host, record_ref) IN {_PAIRS}"  # noqa: S608
_RECORDS: Final = """WHERE (service_record.host, service_record.record_ref) IN (
    SELECT * FROM unnest($1::text[], $2::text[])
    UNION SELECT t.host, t.record_ref FROM transfer AS t WHERE t.id = ANY($3)
    UNION SELECT t.host, t.record_ref FROM transfer AS t
           WHERE t.person = ANY($4) AND t.state IN ('withheld', 'uncertain'))"""
_TRANSFERS: Final = """WHERE transfer.id IN (
    SELECT unnest($3::uuid[])
    UNION SELECT t.id FROM transfer AS t JOIN unnest($1::text[], $2::text[]) AS k(host, record_ref)
          USING (host, record_ref) WHERE t.state IN ('queued', 'withheld', 'sent', 'uncertain'))"""

_MAY_RELEASE: Final = (
    volunteers.LinkOffered,
    volunteers.ConsentGiven,
    identity.LinkEstablished,
    identity.LinkRestored,
    identity.ConsentChanged,
)
_OF_A_PERSON: Final = (
    identity.LinkEstablished,
    identity.LinkBroken,
    identity.LinkRestored,
    identity.ConsentChanged,
    opportunities.SignupConfirmed,
    opportunities.SignupWaitlisted,
    opportunities.SignupPromoted,
    opportunities.SignupRefused,
    opportunities.SignupWithdrawn,
    opportunities.SignupNoted,
    attendance.ServiceConfirmed,
    attendance.ServiceHeld,
    attendance.ServiceRevoked,
)


@dataclass(slots=True)
class _Needs:
    """What a batch speaks of, gathered from its messages alone."""

    accounts: set[tuple[str, str]] = field(default_factory=set)
    persons: set[UUID] = field(default_factory=set)
    records: set[RecordKey] = field(default_factory=set)
    timed: set[RecordKey] = field(default_factory=set)
    transfers: set[UUID] = field(default_factory=set)
    releasing: set[UUID] = field(default_factory=set)
    releasing_accounts: set[tuple[str, str]] = field(default_factory=set)

    def add(self, inbound: Inbound) -> None:
        """Take one message in."""
        data = inbound.data
        named = accounts_of(inbound)
        self.accounts.update(named)
        if isinstance(data, _MAY_RELEASE):
            self.releasing_accounts.update(named)
        if isinstance(data, _OF_A_PERSON):
            self.persons.add(data.person)
            if isinstance(data, _MAY_RELEASE):
                self.releasing.add(data.person)
        match data:
            case service.ServiceAttested():
                self.records.add((sender(inbound), data.record_ref))
            case attendance.ServiceConfirmed() | attendance.ServiceHeld() | attendance.ServiceRevoked():
                self.records.add((data.host, data.record.record_ref))
            case bridge.CheckReceipt() | bridge.RetryTransfer():
                self.records.add((data.host, data.record_ref))
                self.timed.add((data.host, data.record_ref))
                self.transfers.add(data.transfer_id)
            case receipts.CreditAccepted() | receipts.CreditRefused() | receipts.CreditUnknown():
                self.transfers.add(data.transfer_id)
            case _:
                pass


class BridgeStore:
    """Rows by ref first, then by person. One lock a person guards all that is hers: links, consent, transfers."""

    tables: Sequence[Table[Any]] = (ACCOUNTS, LINKS_UNDER_WAY, LINKS, CONSENTS, RECORDS, TRANSFERS, STEPS, REFUSALS)

    async def load(self, batch: Batch, messages: Sequence[Inbound], states: States) -> None:
        """Find the persons behind the refs, lock them, and load what deciding these messages may read."""
        db = batch.connection
        needs = _Needs()
        for inbound in messages:
            needs.add(inbound)
        if needs.accounts:
            named = _columns(needs.accounts)
            accounts = await ACCOUNTS.fetch(db, f"WHERE (registry, ref) IN {_PAIRS}", *named)
            states.load(accounts)
            states.load(await LINKS_UNDER_WAY.fetch(db, f"WHERE requests > 0 AND (registry, ref) IN {_PAIRS}", *named))
            found = [(row.registry, row.ref, row.person) for row in accounts]
            needs.persons.update(person for _, _, person in found)
            needs.releasing.update(p for code, ref, p in found if (code, ref) in needs.releasing_accounts)
        if needs.timed:
            # A record never changes its person, so this may be read before she is locked.
            needs.persons.update(row[0] for row in await db.fetch(_PERSONS_OF_RECORDS, *_columns(needs.timed)))
        await batch.lock(person_name(person) for person in needs.persons)
        await _load_people(db, needs, states)
        if needs.records or needs.transfers or needs.releasing:
            await _load_records(db, needs, states)


async def _load_people(db: Connection, needs: _Needs, states: States) -> None:
    links = await LINKS.fetch(db, "WHERE person = ANY($1)", list(needs.persons)) if needs.persons else []
    states.load(links)
    homes = needs.accounts | {(link.home, link.home_ref) for link in links}
    if homes:
        states.load(await CONSENTS.fetch(db, f"WHERE (home, home_ref) IN {_PAIRS}", *_columns(homes)))


async def _load_records(db: Connection, needs: _Needs, states: States) -> None:
    keys, ids = _columns(needs.records), list(needs.transfers)
    records = await RECORDS.fetch(db, _RECORDS, *keys, ids, list(needs.releasing))
    states.load(records)
    states.load(await TRANSFERS.fetch(db, _TRANSFERS, *_columns({row.record_key for row in records}), ids))


def _columns(pairs: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    ordered = sorted(pairs)
    return [first for first, _ in ordered], [second for _, second in ordered]


@dataclass(frozen=True, slots=True)
class History:
    """All that the border knows of one person."""

    links: list[Link]
    consents: list[ConsentState]
    services: list[ServiceState]
    transfers: dict[UUID, Transfer]
    """The latest transfer of each service record."""
    steps: list[Step]


async def history(db: Connection, registry: str, ref: str) -> History | None:
    """What stands behind a registry's ref, steps in order; None when it is not linked. One snapshot."""
    async with db.transaction(isolation="repeatable_read", readonly=True):
        person = await db.fetchval("SELECT person FROM account WHERE registry = $1 AND ref = $2", registry, ref)
        if person is None:
            return None
        services = await RECORDS.fetch(db, "WHERE person = $1", person)
        latest = [row.transfer_id for row in services if row.transfer_id is not None]
        return History(
            links=await LINKS.fetch(db, "WHERE person = $1 ORDER BY host", person),
            consents=await CONSENTS.fetch(
                db, "WHERE (home, home_ref) IN (SELECT home, home_ref FROM link WHERE person = $1)", person
            ),
            services=services,
            transfers={row.id: row for row in await TRANSFERS.fetch_keys(db, latest)},
            steps=await STEPS.fetch(db, "WHERE person = $1 ORDER BY number", person),
        )


_DIRECTIONS: Final = """
SELECT r.host, r.home, count(*) AS service_records,
       sum(r.total) AS confirmed,
       sum(r.posted) AS credited,
       coalesce(sum(r.total - r.posted) FILTER (WHERE t.state = 'withheld'), 0) AS withheld,
       coalesce(sum(r.total - r.posted) FILTER (WHERE t.state = 'refused'), 0) AS refused,
       coalesce(sum(r.total - r.posted) FILTER (WHERE t.state = 'uncertain'), 0) AS uncertain,
       coalesce(sum(r.total - r.posted) FILTER (WHERE t.state IN ('queued', 'sent')), 0) AS in_flight,
       coalesce(sum(r.minutes) FILTER (WHERE r.state = 'held' AND r.total = 0), 0) AS held
  FROM service_record AS r LEFT JOIN transfer AS t ON t.id = r.transfer_id
 WHERE r.host <> r.home GROUP BY r.host, r.home ORDER BY r.host, r.home"""
_REFUSED: Final = "SELECT registry, reason, count(*) FROM refusal GROUP BY registry, reason ORDER BY registry, reason"


@dataclass(frozen=True, slots=True)
class Figures:
    """The border's own books, read in one snapshot."""

    linked: int
    """Persons with at least one link, broken ones included."""
    directions: list[dict[str, Any]]
    """host, home, service_records, and minutes by state: a record's confirmed less credited stands whole in the state
    of its latest transfer; held are those that nothing was confirmed of."""
    refusals: list[tuple[str, str, int]]
    """Registry, reason, count of MessageRefused decided by the rules."""


async def figures(db: Connection) -> Figures:
    """Sums over all service records, refusals and links."""
    async with db.transaction(isolation="repeatable_read", readonly=True):
        linked = await db.fetchval("SELECT count(DISTINCT person) FROM link")
        directions = [dict(row) for row in await db.fetch(_DIRECTIONS)]
        return Figures(linked, directions, [(row[0], row[1], row[2]) for row in await db.fetch(_REFUSED)])
