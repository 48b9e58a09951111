"""All SQL of decisions: at most nine statements load a batch and one a table saves it, whatever the batch's length.

Questions of registries and operators are in ``queries.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from contracts.messages import Message
from contracts.topics import BRIDGE_COMMANDS
from services.bridge.border.names import person_name
from services.bridge.states import (
    Account,
    ConsentState,
    Link,
    LinkUnderWay,
    Pause,
    RecordKey,
    Refusal,
    RegistryMessage,
    ServiceState,
    Step,
    Transfer,
)
from services.chassis.aside.acts import Acts
from services.chassis.base.database import Batch, Connection
from services.chassis.batch import outbox
from services.chassis.decisions import Send, States
from services.chassis.tables import Table

__all__ = [
    "CONSENTS",
    "LINKS",
    "PAUSES",
    "RECORDS",
    "STEPS",
    "TRANSFERS",
    "BridgeStore",
    "Needs",
    "pause",
    "resume",
    "settle",
]

ACCOUNTS: Final = Table(Account, "account", key=("registry", "ref"))
LINKS_UNDER_WAY: Final = Table(LinkUnderWay, "link_under_way", key=("registry", "ref", "host"), groups=("account",))
LINKS: Final = Table(Link, "link", key=("person", "host"), groups=("person",))
CONSENTS: Final = Table(ConsentState, "consent", key=("home", "home_ref", "host"), groups=("account",))
RECORDS: Final = Table(ServiceState, "service_record", key=("host", "record_ref"))
TRANSFERS: Final = Table(Transfer, "transfer", key=("id",), groups=("open_of", "withheld_for"))
STEPS: Final = Table(Step, "step", key=("id",), append_only=True)
REFUSALS: Final = Table(Refusal, "refusal", key=("id",), append_only=True)
REGISTRY_MESSAGES: Final = Table(RegistryMessage, "registry_message", key=("id",), adds_many=True)
PAUSES: Final = Table(Pause, "pause", key=("registry",))

_ACCOUNTS_NAMED: Final = """
SELECT account.* FROM account
 WHERE (registry, ref) IN (SELECT * FROM unnest($1::text[], $2::text[]))"""
_LINKS_UNDER_WAY_OF_ACCOUNTS: Final = """
SELECT link_under_way.* FROM link_under_way
 WHERE (registry, ref) IN (SELECT * FROM unnest($1::text[], $2::text[]))"""
_PERSONS_OF_RECORDS: Final = """
SELECT DISTINCT person FROM service_record
 WHERE (host, record_ref) IN (SELECT * FROM unnest($1::text[], $2::text[]))"""
_LINKS_OF_PERSONS: Final = "SELECT link.* FROM link WHERE person = ANY($1)"
_CONSENTS_OF_HOMES: Final = """
SELECT consent.* FROM consent
 WHERE (home, home_ref) IN (SELECT * FROM unnest($1::text[], $2::text[]))"""
# A batch holds these rows until it ends, and the end of a pause waits for it (``end_pause``).
_PAUSES_LOCKED: Final = "SELECT pause.* FROM pause FOR SHARE"
_RECORDS_NAMED_OR_TO_GO_ON: Final = """
SELECT service_record.* FROM service_record
 WHERE (service_record.host, service_record.record_ref) IN (
    SELECT * FROM unnest($1::text[], $2::text[])
    UNION SELECT t.host, t.record_ref FROM transfer AS t WHERE t.id = ANY($3)
    UNION SELECT t.host, t.record_ref FROM transfer AS t
           WHERE t.person = ANY($4) AND t.state IN ('withheld', 'uncertain'))"""
_TRANSFERS_NAMED_OR_OPEN: Final = """
SELECT transfer.* FROM transfer
 WHERE transfer.id IN (
    SELECT unnest($3::uuid[])
    UNION SELECT t.id FROM transfer AS t JOIN unnest($1::text[], $2::text[]) AS k(host, record_ref)
          USING (host, record_ref) WHERE t.state IN ('queued', 'withheld', 'sent', 'uncertain'))"""


@dataclass(slots=True)
class Needs:
    """What a batch's messages are about, gathered from the messages alone (``crossings``)."""

    accounts: set[tuple[str, str]] = field(default_factory=set)
    persons: set[UUID] = field(default_factory=set)
    records: set[RecordKey] = field(default_factory=set)
    timed: set[RecordKey] = field(default_factory=set)
    """Records that a message names without their person: the persons are looked up."""
    transfers: set[UUID] = field(default_factory=set)
    going_on: set[UUID] = field(default_factory=set)
    """Persons whose withheld transfers may go on now; ``accounts_going_on``: the same by their refs."""
    accounts_going_on: set[tuple[str, str]] = field(default_factory=set)
    registry_messages: set[UUID] = field(default_factory=set)
    """Messages of registries that are answered now."""


class BridgeStore:
    """Loads rows by ref first, then by person. One lock a person guards all her rows: links, consent, transfers."""

    tables: Sequence[Table[Any]] = (
        ACCOUNTS, LINKS_UNDER_WAY, LINKS, CONSENTS, RECORDS, TRANSFERS, STEPS, REFUSALS, REGISTRY_MESSAGES, PAUSES,
    )  # fmt: skip

    def needs(self) -> Needs:
        """The needs of an empty batch."""
        return Needs()

    async def load(self, batch: Batch, needs: Needs, states: States) -> None:
        """Find the persons behind the refs, lock them, and load what deciding these messages may read."""
        db = batch.connection
        if needs.accounts:
            named = _columns(needs.accounts)
            accounts = await ACCOUNTS.load(db, states, _ACCOUNTS_NAMED, *named)
            await LINKS_UNDER_WAY.load(db, states, _LINKS_UNDER_WAY_OF_ACCOUNTS, *named)
            found = [(row.registry, row.ref, row.person) for row in accounts]
            needs.persons.update(person for _, _, person in found)
            needs.going_on.update(p for code, ref, p in found if (code, ref) in needs.accounts_going_on)
        if needs.timed:
            # A record never changes its person, so its person may be read before she is locked.
            needs.persons.update(row[0] for row in await db.fetch(_PERSONS_OF_RECORDS, *_columns(needs.timed)))
        if needs.registry_messages:
            await REGISTRY_MESSAGES.load_keys(db, states, needs.registry_messages)
        await batch.lock(person_name(person) for person in needs.persons)
        await _load_people(db, needs, states)
        if needs.records or needs.transfers or needs.going_on:
            await _load_records(db, needs, states)


async def _load_people(db: Connection, needs: Needs, states: States) -> None:
    links = await LINKS.load(db, states, _LINKS_OF_PERSONS, list(needs.persons)) if needs.persons else []
    homes = needs.accounts | {(link.home, link.home_ref) for link in links}
    if homes:
        await CONSENTS.load(db, states, _CONSENTS_OF_HOMES, *_columns(homes))


async def _load_records(db: Connection, needs: Needs, states: States) -> None:
    keys, ids = _columns(needs.records), list(needs.transfers)
    await PAUSES.load(db, states, _PAUSES_LOCKED)
    records = await RECORDS.load(db, states, _RECORDS_NAMED_OR_TO_GO_ON, *keys, ids, list(needs.going_on))
    await TRANSFERS.load(db, states, _TRANSFERS_NAMED_OR_OPEN, *_columns({row.record_key for row in records}), ids)


def _columns(pairs: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    ordered = sorted(pairs)
    return [first for first, _ in ordered], [second for _, second in ordered]


_RECORD_PAUSING: Final = "INSERT INTO pausing (registry, paused, operator, why, at) VALUES ($1, $2, $3, $4, $5)"
_PAUSE: Final = """
INSERT INTO pause (registry, operator, why, since) VALUES ($1, $2, $3, $4)
ON CONFLICT (registry) DO UPDATE SET operator = $2, why = $3, since = $4, resumed_at = NULL
 WHERE pause.resumed_at IS NOT NULL"""
_RESUME: Final = "UPDATE pause SET resumed_at = $2 WHERE registry = $1 AND resumed_at IS NULL"
_RESUMED: Final = "SELECT registry, resumed_at FROM pause WHERE resumed_at IS NOT NULL"
_PAUSED: Final = "SELECT registry FROM pause WHERE resumed_at IS NULL"
# The whole table is locked, since row locks that overlapping batches share would never all be gone at one moment.
_LOCK_PAUSES: Final = "LOCK TABLE pause IN EXCLUSIVE MODE"
_END_PAUSE: Final = "DELETE FROM pause WHERE registry = $1 AND resumed_at = $2"
_TIMERS_OF_PAUSED_CREDITS: Final = """
SELECT array_agg('transfer:' || id) FROM transfer
 WHERE home = $1 AND state = 'queued' AND reason = 'registry_paused'"""
_RECORD_SETTLING: Final = """
INSERT INTO settling (transfer_id, outcome, operator, why, at) VALUES ($1, $2, $3, $4, $5)"""
_ACTS: Final = Acts("bridge")


async def pause(db: Connection, registry: str, operator: str, why: str, now: datetime) -> bool:
    """From now on nothing of this registry is read, and no credit is sent to it. False where it was paused already."""
    async with db.transaction():
        if (await db.execute(_PAUSE, registry, operator, why, now)).endswith(" 0"):
            return False
        await db.execute(_RECORD_PAUSING, registry, True, operator, why, now)
        await _ACTS.say(db, "pause", [registry], operator, now)
    return True


async def resume(db: Connection, registry: str, operator: str, why: str, now: datetime) -> bool:
    """From now on this registry is read again; credits follow after ``end_pause``. False where it was not paused."""
    async with db.transaction():
        if (await db.execute(_RESUME, registry, now)).endswith(" 0"):
            return False
        await db.execute(_RECORD_PAUSING, registry, False, operator, why, now)
        await _ACTS.say(db, "resume", [registry], operator, now)
    return True


async def settle(
    db: Connection, order: Message, transfer_id: UUID, outcome: str, operator: str, why: str, now: datetime
) -> None:
    """Record who settled a transfer and why, and send ``order`` to the bridge's own topic, where it is decided."""
    async with db.transaction():
        await db.execute(_RECORD_SETTLING, transfer_id, outcome, operator, why, now)
        await outbox.publish(db, [Send(BRIDGE_COMMANDS, order)], "bridge", now)
        await _ACTS.say(db, f"settle_{outcome}", [str(transfer_id)], operator, now)


async def resuming(db: Connection) -> list[tuple[str, datetime]]:
    """Registries that are read again and get no credits yet, with the moment when they were resumed."""
    rows = await db.fetch(_RESUMED)
    return [(row[0], row[1]) for row in rows]


async def end_pause(db: Connection, registry: str, resumed_at: datetime, now: datetime) -> bool:
    """Credits that waited for this registry go at once. False where it was paused anew meanwhile."""
    async with db.transaction():
        # Wait for batches that still decide under the pause, so that every credit that they queued is found.
        await db.execute(_LOCK_PAUSES)
        if (await db.execute(_END_PAUSE, registry, resumed_at)).endswith(" 0"):
            return False
        await outbox.hasten(db, await db.fetchval(_TIMERS_OF_PAUSED_CREDITS, registry) or [], now)
    return True


async def paused_groups(db: Connection) -> frozenset[str]:
    """The consumer groups of registries that an operator has paused."""
    rows = await db.fetch(_PAUSED)
    return frozenset(f"bridge.{row[0]}" for row in rows)
