"""All SQL of decisions: at most eight statements to load a batch and one a table to save it, whatever its length.

What registries and operators ask is read in ``books.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from contracts.messages import Message
from contracts.topics import BRIDGE_COMMANDS
from services.bridge.rules.names import person_name
from services.bridge.states import (
    Account,
    ConsentState,
    Link,
    LinkUnderWay,
    Pause,
    RecordKey,
    Refusal,
    ServiceState,
    Step,
    Transfer,
)
from services.chassis import outbox
from services.chassis.acts import Acts
from services.chassis.database import Batch, Connection
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
TRANSFERS: Final = Table(Transfer, "transfer", key=("id",), groups=("open_of", "held_back"))
STEPS: Final = Table(Step, "step", key=("id",), append_only=True)
REFUSALS: Final = Table(Refusal, "refusal", key=("id",), append_only=True)
PAUSES: Final = Table(Pause, "pause", key=("registry",))

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


@dataclass(slots=True)
class Needs:
    """What a batch speaks of, gathered from its messages alone (``crossings``)."""

    accounts: set[tuple[str, str]] = field(default_factory=set)
    persons: set[UUID] = field(default_factory=set)
    records: set[RecordKey] = field(default_factory=set)
    timed: set[RecordKey] = field(default_factory=set)
    """Records of which only the key is known: their persons are looked up."""
    transfers: set[UUID] = field(default_factory=set)
    releasing: set[UUID] = field(default_factory=set)
    """Persons whose transfers that are held back may go now; ``releasing_accounts``: the same by their refs."""
    releasing_accounts: set[tuple[str, str]] = field(default_factory=set)


class BridgeStore:
    """Rows by ref first, then by person. One lock a person guards all that is hers: links, consent, transfers."""

    tables: Sequence[Table[Any]] = (
        ACCOUNTS, LINKS_UNDER_WAY, LINKS, CONSENTS, RECORDS, TRANSFERS, STEPS, REFUSALS, PAUSES,
    )  # fmt: skip

    def needs(self) -> Needs:
        """Nothing yet."""
        return Needs()

    async def load(self, batch: Batch, needs: Needs, states: States) -> None:
        """Find the persons behind the refs, lock them, and load what deciding these messages may read."""
        db = batch.connection
        if needs.accounts:
            named = _columns(needs.accounts)
            accounts = await ACCOUNTS.load(db, states, f"WHERE (registry, ref) IN {_PAIRS}", *named)
            await LINKS_UNDER_WAY.load(db, states, f"WHERE (registry, ref) IN {_PAIRS}", *named)
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


async def _load_people(db: Connection, needs: Needs, states: States) -> None:
    links = await LINKS.load(db, states, "WHERE person = ANY($1)", list(needs.persons)) if needs.persons else []
    homes = needs.accounts | {(link.home, link.home_ref) for link in links}
    if homes:
        await CONSENTS.load(db, states, f"WHERE (home, home_ref) IN {_PAIRS}", *_columns(homes))


async def _load_records(db: Connection, needs: Needs, states: States) -> None:
    keys, ids = _columns(needs.records), list(needs.transfers)
    # Its lock is what the end of a pause waits for.
    await PAUSES.load(db, states, "FOR SHARE")
    records = await RECORDS.load(db, states, _RECORDS, *keys, ids, list(needs.releasing))
    await TRANSFERS.load(db, states, _TRANSFERS, *_columns({row.record_key for row in records}), ids)


def _columns(pairs: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    ordered = sorted(pairs)
    return [first for first, _ in ordered], [second for _, second in ordered]


_LOG: Final = "INSERT INTO pausing (registry, paused, operator, why, at) VALUES ($1, $2, $3, $4, $5)"
_PAUSE: Final = """
INSERT INTO pause (registry, operator, why, since) VALUES ($1, $2, $3, $4)
ON CONFLICT (registry) DO UPDATE SET operator = $2, why = $3, since = $4, resumed_at = NULL
 WHERE pause.resumed_at IS NOT NULL"""
_ACTS: Final = Acts("bridge")
_HELD_UP: Final = """
SELECT array_agg('transfer:' || id) FROM transfer
 WHERE home = $1 AND state = 'queued' AND reason = 'registry_paused'"""


async def pause(db: Connection, registry: str, operator: str, why: str, now: datetime) -> bool:
    """Nothing of this registry is read from now on, and no credit sent to it; False where that was so already."""
    async with db.transaction():
        if (await db.execute(_PAUSE, registry, operator, why, now)).endswith(" 0"):
            return False
        await db.execute(_LOG, registry, True, operator, why, now)
        await _ACTS.say(db, "pause", [registry], operator, now)
    return True


async def resume(db: Connection, registry: str, operator: str, why: str, now: datetime) -> bool:
    """It is read again; credits follow with ``end_pause``. False where it was not paused."""
    async with db.transaction():
        resumed = "UPDATE pause SET resumed_at = $2 WHERE registry = $1 AND resumed_at IS NULL"
        if (await db.execute(resumed, registry, now)).endswith(" 0"):
            return False
        await db.execute(_LOG, registry, False, operator, why, now)
        await _ACTS.say(db, "resume", [registry], operator, now)
    return True


async def settle(
    db: Connection, order: Message, transfer_id: UUID, outcome: str, operator: str, why: str, now: datetime
) -> None:
    """An operator's word goes on record, and as ``order`` on its way to where it is decided."""
    said = "INSERT INTO settling (transfer_id, outcome, operator, why, at) VALUES ($1, $2, $3, $4, $5)"
    async with db.transaction():
        await db.execute(said, transfer_id, outcome, operator, why, now)
        await outbox.publish(db, [Send(BRIDGE_COMMANDS, order)], "bridge", now)
        await _ACTS.say(db, f"settle_{outcome}", [str(transfer_id)], operator, now)


async def resuming(db: Connection) -> list[tuple[str, datetime]]:
    """Registries that are read again and get no credits yet, and since when."""
    rows = await db.fetch("SELECT registry, resumed_at FROM pause WHERE resumed_at IS NOT NULL")
    return [(row[0], row[1]) for row in rows]


async def end_pause(db: Connection, registry: str, resumed_at: datetime, now: datetime) -> bool:
    """What waited for it goes at once. False where it was paused anew meanwhile."""
    async with db.transaction():
        # This lock waits for batches that still decide under the pause; after them all that they held up is found. The
        # whole table is locked: row locks that overlapping batches share would never all be gone at one moment.
        await db.execute("LOCK TABLE pause IN EXCLUSIVE MODE")
        ended = "DELETE FROM pause WHERE registry = $1 AND resumed_at = $2"
        if (await db.execute(ended, registry, resumed_at)).endswith(" 0"):
            return False
        await outbox.hasten(db, await db.fetchval(_HELD_UP, registry) or [], now)
    return True


async def paused_groups(db: Connection) -> frozenset[str]:
    """The consumer groups of registries that an operator has paused."""
    rows = await db.fetch("SELECT registry FROM pause WHERE resumed_at IS NULL")
    return frozenset(f"bridge.{row[0]}" for row in rows)
