"""The database of one adapter: what a batch loads, and the worker's claims and completions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

from contracts.envelope import Event
from contracts.messages import Message
from contracts.topics import registry_source, registry_topic_for
from services.adapters.rules import one_line, send
from services.adapters.states import Credit, Notice, Outcome, Posted, Said, account_name
from services.adapters.systems import Told
from services.chassis import outbox
from services.chassis.database import Batch, Connection, Pool
from services.chassis.decisions import States
from services.chassis.logs import log
from services.chassis.overtaking import decided_again
from services.chassis.tables import Table

__all__ = [
    "CREDITS",
    "NOTICES",
    "AdapterStore",
    "Calls",
    "Ear",
    "Needs",
    "Settle",
    "remember",
]

Settle: TypeAlias = Callable[[Credit, Outcome], tuple[Credit, tuple[Message, ...]]]
"""What an outcome makes of a credit, and the receipts to give."""

Remember: TypeAlias = Callable[[Credit], Credit]

CREDITS: Final = Table(Credit, "credit", key=("transfer_id",), groups=("volunteer_ref",))
NOTICES: Final = Table(Notice, "notice", key=("id",), append_only=True)

_CREDITS_OF_BATCH = """
SELECT credit.* FROM credit
WHERE transfer_id = ANY($1) OR (volunteer_ref = ANY($2) AND state = 'due')
"""
_CREDITS_TO_CALL = """
SELECT credit.* FROM credit
WHERE state IN ('due', 'unknown') AND due_at <= $1 AND volunteer_ref <> ALL($2)
  AND seq = (
      -- Not NOT EXISTS: without statistics that is planned as a comparison of all with all.
      SELECT first.seq FROM credit AS first
      WHERE first.volunteer_ref = credit.volunteer_ref AND first.state IN ('due', 'calling', 'unknown')
      ORDER BY first.seq LIMIT 1
  )
ORDER BY seq LIMIT $3
"""
_CREDITS_DUE_OR_NAMED = "SELECT credit.* FROM credit WHERE state = 'due' OR transfer_id = ANY($1)"
_NOT_SENT = '{"reason": "consent_withdrawn", "retry": true}'
"""What the refusal of a credit that was never sent contains."""
_CLAIM = """
UPDATE credit SET state = 'calling'
WHERE transfer_id = ANY($1) AND state IN ('due', 'unknown') RETURNING transfer_id
"""
_VOLUNTEERS_IN_CALLS = "SELECT DISTINCT volunteer_ref FROM credit WHERE state = 'calling'"
_GIVE_UP_CALLS_OF_EARLIER_PROCESS = "UPDATE credit SET state = 'unknown', attempted_at = $1 WHERE state = 'calling'"
_GIVE_UP_CALL = """
UPDATE credit SET state = 'unknown', attempted_at = $2, due_at = $3, trouble = $4
WHERE transfer_id = $1 AND state = 'calling'
"""
_OPEN_NOTICES = """
SELECT notice.* FROM notice
WHERE rejected IS NULL AND CASE
    WHEN tries > 0 THEN $2 AND due_at <= $1
    ELSE key <> ALL (ARRAY(SELECT first.key FROM notice AS first WHERE first.rejected IS NULL AND first.tries > 0))
END
ORDER BY tries > 0, seq LIMIT $3
"""
_DELETE_TAKEN_NOTICES = "DELETE FROM notice WHERE id = ANY($1)"
_MARK_REJECTED_NOTICES = """
UPDATE notice SET rejected = said.reason FROM unnest($1::uuid[], $2::text[]) AS said(id, reason)
WHERE notice.id = said.id
"""
_POSTPONE_FAILED_NOTICES = """
UPDATE notice SET tries = tries + 1, trouble = said.reason,
       due_at = $3::timestamptz + least(interval '30 seconds', interval '0.5 seconds' * power(2, least(tries, 20)))
  FROM unnest($1::uuid[], $2::text[]) AS said(id, reason) WHERE notice.id = said.id
"""
_ADVANCE_HEARD = "UPDATE heard SET number = greatest($1, $2) WHERE number = $1"
_KEEP_NOT_UNDERSTOOD = """
INSERT INTO not_understood (number, trouble, digest, heard_at)
SELECT number, trouble, digest, $4::timestamptz
  FROM unnest($1::bigint[], $2::text[], $3::bytea[]) AS said(number, trouble, digest)
ON CONFLICT (digest) DO NOTHING RETURNING digest
"""
_THE_ONE_CALLER = 0x5C_0A
"""Advisory lock: two callers on one database would take each other's calls for left behind."""


@dataclass(slots=True)
class Needs:
    """What a batch speaks of: transfers, and volunteers whose consent changes."""

    transfers: set[UUID] = field(default_factory=set)
    consenting: set[str] = field(default_factory=set)


class AdapterStore:
    """What deciding needs: credits by transfer, and what is due for people whose consent changes. One statement."""

    tables: Sequence[Table[Any]] = (CREDITS, NOTICES)

    def needs(self) -> Needs:
        """Nothing yet."""
        return Needs()

    async def load(self, batch: Batch, needs: Needs, states: States) -> None:
        """Load the credits spoken of."""
        await CREDITS.load(batch.connection, states, _CREDITS_OF_BATCH, list(needs.transfers), list(needs.consenting))


class Calls:
    """What the worker reads and writes.

    It locks the same entities as a batch, so a withdrawal of consent and a call about one person never pass each
    other unseen.
    """

    def __init__(self, pool: Pool, registry: str) -> None:
        self._pool = pool
        self._registry = registry

    async def lead(self, connection: Any) -> bool:
        """Become the one caller on this database, for as long as this connection lives. False when there is one."""
        return bool(await connection.fetchval("SELECT pg_try_advisory_lock($1)", _THE_ONE_CALLER))

    async def recover(self, now: datetime) -> None:
        """Calls that another life of this process began: nobody knows what came of them, nor when they ended."""
        async with self._pool.acquire() as connection, connection.transaction():
            # Not without the locks: a batch that adds an attempt to such a credit would write it back as calling.
            refs = [row[0] for row in await connection.fetch(_VOLUNTEERS_IN_CALLS)]
            await Batch(connection).lock(account_name(self._registry, ref) for ref in refs)
            await connection.execute(_GIVE_UP_CALLS_OF_EARLIER_PROCESS, now)

    async def turn(
        self,
        landed: Sequence[tuple[Credit, Outcome]],
        settle: Settle,
        room: int,
        busy: Collection[str],
        now: datetime,
    ) -> list[Credit]:
        """Save what came of calls with its receipts, and commit the attempt of up to ``room`` more: one transaction.

        Gives the claimed credits as they were before; the attempt stands in the database when this returns.
        """
        return await decided_again("adapters", lambda: self._turn(landed, settle, room, busy, now))

    async def _turn(
        self, landed: Sequence[tuple[Credit, Outcome]], settle: Settle, room: int, busy: Collection[str], now: datetime
    ) -> list[Credit]:
        async with self._pool.acquire() as connection, connection.transaction():
            # The first of each volunteer only; ``busy`` has a call under way.
            found = await CREDITS.fetch(connection, _CREDITS_TO_CALL, now, list(busy), room) if room > 0 else []
            touched = {credit.volunteer_ref for credit, _ in landed} | {credit.volunteer_ref for credit in found}
            await Batch(connection).lock(account_name(self._registry, ref) for ref in touched)
            said = await _settled(connection, landed, settle)
            await outbox.publish(connection, [send(self._registry, message) for message in said], "adapters", now)
            if not found:
                return []
            claimed = await connection.fetch(_CLAIM, [credit.transfer_id for credit in found])
            taken = {row["transfer_id"] for row in claimed}
            return [credit for credit in found if credit.transfer_id in taken]

    async def leave(self, credit: Credit, trouble: str, now: datetime, due_at: datetime) -> None:
        """Nobody knows what came of this call, for what did come of it cannot be kept."""
        async with self._pool.acquire() as connection, connection.transaction():
            await Batch(connection).lock([account_name(self._registry, credit.volunteer_ref)])
            await connection.execute(_GIVE_UP_CALL, credit.transfer_id, now, due_at, one_line(trouble))

    async def notices(self, limit: int, now: datetime, *, again: bool) -> list[Notice]:
        """What is to be passed on, in order of arrival, and then what is due ``again``; nothing behind the latter."""
        async with self._pool.acquire() as connection:
            return await NOTICES.fetch(connection, _OPEN_NOTICES, now, again, limit)

    async def passed_on(self, told: Told, now: datetime) -> None:
        """Forget what the registry took, keep what it could not read, and what it fails over until it is due again."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_DELETE_TAKEN_NOTICES, list(told.taken))
            if told.rejected:
                await connection.execute(_MARK_REJECTED_NOTICES, list(told.rejected), _lines(told.rejected))
            if told.failed:
                await connection.execute(_POSTPONE_FAILED_NOTICES, list(told.failed), _lines(told.failed), now)


async def remember(db: Connection, topic: str, settle: Remember, named: Collection[UUID]) -> None:
    """In a database that was restored: settle what is due, and the credits ``named`` by what a later life said.

    A refusal for want of consent that nobody was told yet was decided for a credit that this database takes for due:
    it is not said, and its credit is due.
    """
    refused = await outbox.take_back(db, topic, _NOT_SENT)
    unsaid = {UUID(body["transfer_id"]): body.get("attempt") for body in refused}
    states = States()
    CREDITS.declare(states)
    for credit in await CREDITS.load(db, states, _CREDITS_DUE_OR_NAMED, [*named, *unsaid]):
        if credit.transfer_id in unsaid and credit.state == "refused":
            attempt = unsaid[credit.transfer_id]
            credit = replace(credit, state="due", reason=None, asked=() if attempt is None else (attempt,))
        states.put(settle(credit))
    await CREDITS.save(db, states)


class Ear:
    """How far the registry was listened to; what it said goes out with the number up to which that is so."""

    def __init__(self, pool: Pool, registry: str) -> None:
        self._pool = pool
        self._registry = registry

    async def heard(self) -> int:
        """The number behind which nothing was heard yet."""
        async with self._pool.acquire() as connection:
            number: int = await connection.fetchval("SELECT number FROM heard")
            return number

    async def keep(self, after: int, said: Sequence[Said], now: datetime) -> list[Said] | None:
        """Put what was said into the outbox, and what is no message aside; gives what is new of the latter.

        None when another listener was there first, and nothing was done.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            # The highest, for the numbers need not rise, and a number of which all was heard must not come again.
            if (
                await connection.execute(_ADVANCE_HEARD, after, max((one.number or 0 for one in said), default=0))
                != "UPDATE 1"
            ):
                return None
            events = [one.event for one in said if one.event is not None]
            rows = [outbox.encoded(_topic(self._registry, event), event, now) for event in events]
            await outbox.append(connection, rows)
            odd = {one.digest: one for one in said if one.trouble is not None}
            if not odd:
                return []
            columns = ([one.number for one in odd.values()], [one_line(one.trouble or "") for one in odd.values()])
            new = await connection.fetch(_KEEP_NOT_UNDERSTOOD, *columns, list(odd), now)
            return [odd[row["digest"]] for row in new]


def _topic(registry: str, event: Event) -> str:
    topic = registry_topic_for(registry_source(registry), type(event.data))
    if topic is None:
        raise ValueError(f"a registry may not say {event.type}")
    return topic


async def _settled(connection: Connection, landed: Sequence[tuple[Credit, Outcome]], settle: Settle) -> list[Message]:
    """Keep what the calls came to, for all attempts that the linkage has made by now: some came during the call.

    Gives the receipts. Where somebody else took the call over meanwhile, his answer counts; but what the ledger says
    that it posted is posted, whoever hears of it.
    """
    if not landed:
        return []
    states = States()
    CREDITS.declare(states)
    await CREDITS.load_keys(connection, states, [credit.transfer_id for credit, _ in landed])
    said: list[Message] = []
    for credit, outcome in landed:
        row = states.get(Credit, credit.transfer_id)
        if row is None or not (isinstance(outcome, Posted) or _still_under_way(row, credit)):
            log().warning("call taken over", detail="its answer is left to whoever calls now")
            continue
        done, receipts = settle(replace(credit, asked=row.asked), outcome)
        states.put(done)
        said += receipts
    await CREDITS.save(connection, states)
    return said


def _still_under_way(row: Credit, called: Credit) -> bool:
    attempt = (called.attempts, called.due_at, called.attempted_at)
    return row.state == "calling" and (row.attempts, row.due_at, row.attempted_at) == attempt


def _lines(said: Mapping[UUID, str]) -> list[str]:
    return [one_line(text) for text in said.values()]
