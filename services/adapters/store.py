"""The database of one adapter: the rows that a batch loads, and the worker's claims and completions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

from contracts.envelope import Event
from contracts.messages import Message
from contracts.topics import registry_source, registry_topic_for
from services.adapters.kinds.systems import NoticeOutcomes
from services.adapters.rules import one_line, send
from services.adapters.states import Credit, Letter, Notice, Outcome, Posted, account_name
from services.chassis.base.database import Batch, Connection, Pool, alone
from services.chassis.base.logs import log
from services.chassis.base.overtaking import decided_again
from services.chassis.batch import outbox
from services.chassis.decisions import States
from services.chassis.tables import Table

__all__ = [
    "CREDITS",
    "NOTICES",
    "AdapterStore",
    "AfterCall",
    "Calls",
    "HeardLetters",
    "Needs",
    "restore_credits",
]

AfterCall: TypeAlias = Callable[[Credit, Outcome], tuple[Credit, tuple[Message, ...]]]
"""The credit after a call with this outcome, and the receipts to send."""

Restore: TypeAlias = Callable[[Credit], Credit]

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
      -- Without statistics, NOT EXISTS is planned as a comparison of all rows with all rows.
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
"""Advisory lock: of two callers on one database, each would give up the calls of the other as those of a crash."""


@dataclass(slots=True)
class Needs:
    """The transfers that a batch's messages name, and the volunteers whose consent changes."""

    transfers: set[UUID] = field(default_factory=set)
    consenting: set[str] = field(default_factory=set)


class AdapterStore:
    """Loads credits by transfer, and due credits of volunteers whose consent changes. One statement."""

    tables: Sequence[Table[Any]] = (CREDITS, NOTICES)

    def needs(self) -> Needs:
        """The needs of an empty batch."""
        return Needs()

    async def load(self, batch: Batch, needs: Needs, states: States) -> None:
        """Load these credits."""
        await CREDITS.load(batch.connection, states, _CREDITS_OF_BATCH, list(needs.transfers), list(needs.consenting))


class Calls:
    """The rows that the worker reads and writes.

    The worker locks the same names as a batch, so of a withdrawal of consent and a call about the same person the later
    one always sees the earlier.
    """

    def __init__(self, pool: Pool, registry: str) -> None:
        self._pool = pool
        self._registry = registry

    async def lead(self, connection: Any, meanwhile: Callable[[], Awaitable[None]]) -> None:
        """Become the only caller on this database, as long as this connection lives. Until then call ``meanwhile``."""
        await alone(connection, _THE_ONE_CALLER, meanwhile)

    async def recover(self, now: datetime) -> None:
        """Give up calls that an earlier process began: nobody knows their results, nor when they ended."""
        async with self._pool.acquire() as connection, connection.transaction():
            # Without the locks, a batch that adds an attempt to such a credit would write it back as calling.
            refs = [row[0] for row in await connection.fetch(_VOLUNTEERS_IN_CALLS)]
            await Batch(connection).lock(account_name(self._registry, ref) for ref in refs)
            await connection.execute(_GIVE_UP_CALLS_OF_EARLIER_PROCESS, now)

    async def turn(
        self,
        landed: Sequence[tuple[Credit, Outcome]],
        after_call: AfterCall,
        room: int,
        busy: Collection[str],
        now: datetime,
    ) -> list[Credit]:
        """Save the results of calls with their receipts, and claim up to ``room`` further credits: one transaction.

        Returns the claimed credits in their state before. Their calls are committed when this returns.
        """
        return await decided_again("adapters", lambda: self._turn(landed, after_call, room, busy, now))

    async def _turn(
        self,
        landed: Sequence[tuple[Credit, Outcome]],
        after_call: AfterCall,
        room: int,
        busy: Collection[str],
        now: datetime,
    ) -> list[Credit]:
        async with self._pool.acquire() as connection, connection.transaction():
            # Only the first credit of each volunteer, and none of a volunteer in ``busy``, who has a call under way.
            found = await CREDITS.fetch(connection, _CREDITS_TO_CALL, now, list(busy), room) if room > 0 else []
            touched = {credit.volunteer_ref for credit, _ in landed} | {credit.volunteer_ref for credit in found}
            await Batch(connection).lock(account_name(self._registry, ref) for ref in touched)
            receipts = await _save_results(connection, landed, after_call)
            await outbox.publish(connection, [send(self._registry, message) for message in receipts], "adapters", now)
            if not found:
                return []
            claimed = await connection.fetch(_CLAIM, [credit.transfer_id for credit in found])
            taken = {row["transfer_id"] for row in claimed}
            return [credit for credit in found if credit.transfer_id in taken]

    async def leave(self, credit: Credit, trouble: str, now: datetime, due_at: datetime) -> None:
        """Give up a call whose result cannot be kept: its credit is unknown."""
        async with self._pool.acquire() as connection, connection.transaction():
            await Batch(connection).lock([account_name(self._registry, credit.volunteer_ref)])
            await connection.execute(_GIVE_UP_CALL, credit.transfer_id, now, due_at, one_line(trouble))

    async def notices(self, limit: int, now: datetime, *, again: bool) -> list[Notice]:
        """Notices to pass on: new ones in order of arrival, then those that are due ``again``. A new notice whose key
        has a failed one is left out."""
        async with self._pool.acquire() as connection:
            return await NOTICES.fetch(connection, _OPEN_NOTICES, now, again, limit)

    async def passed_on(self, outcomes: NoticeOutcomes, now: datetime) -> None:
        """Delete notices that the registry took, mark those that it could not read, and postpone those over which it
        failed."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_DELETE_TAKEN_NOTICES, list(outcomes.taken))
            if outcomes.rejected:
                await connection.execute(_MARK_REJECTED_NOTICES, list(outcomes.rejected), _lines(outcomes.rejected))
            if outcomes.failed:
                await connection.execute(_POSTPONE_FAILED_NOTICES, list(outcomes.failed), _lines(outcomes.failed), now)


async def restore_credits(db: Connection, topic: str, restored: Restore, named: Collection[UUID]) -> None:
    """In a database that was restored, change all due credits and those ``named`` in later receipts by ``restored``.

    A refusal for want of consent that waits in the outbox was decided for a credit that this database takes for due. It
    is not sent, and its credit is due.
    """
    refused = await outbox.take_back(db, topic, _NOT_SENT)
    unsaid = {UUID(body["transfer_id"]): body.get("attempt") for body in refused}
    states = States()
    CREDITS.declare(states)
    for credit in await CREDITS.load(db, states, _CREDITS_DUE_OR_NAMED, [*named, *unsaid]):
        if credit.transfer_id in unsaid and credit.state == "refused":
            attempt = unsaid[credit.transfer_id]
            credit = replace(credit, state="due", reason=None, asked=() if attempt is None else (attempt,))
        states.put(restored(credit))
    await CREDITS.save(db, states)


class HeardLetters:
    """Up to which number letters were heard. This number is saved with the messages of the letters."""

    def __init__(self, pool: Pool, registry: str) -> None:
        self._pool = pool
        self._registry = registry

    async def heard(self) -> int:
        """The number up to which all letters were heard."""
        async with self._pool.acquire() as connection:
            number: int = await connection.fetchval("SELECT number FROM heard")
            return number

    async def keep(self, after: int, letters: Sequence[Letter], now: datetime) -> list[Letter] | None:
        """Put messages of letters into the outbox, and set letters aside that are no message. Returns the letters that
        are set aside for the first time.

        None where another listener was first, and nothing was done.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            # The highest number, since letters may come in any order, and no letter may be heard twice.
            if (
                await connection.execute(
                    _ADVANCE_HEARD, after, max((letter.number or 0 for letter in letters), default=0)
                )
                != "UPDATE 1"
            ):
                return None
            events = [letter.event for letter in letters if letter.event is not None]
            rows = [outbox.encoded(_topic(self._registry, event), event, now) for event in events]
            await outbox.append(connection, rows)
            odd = {letter.digest: letter for letter in letters if letter.trouble is not None}
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


async def _save_results(
    connection: Connection, landed: Sequence[tuple[Credit, Outcome]], after_call: AfterCall
) -> list[Message]:
    """Save the results of calls, for all attempts that the linkage has made by now: some came during the call.

    Returns the receipts. Where another caller took the call over meanwhile, the answer to that caller counts; but a
    credit that the ledger says it posted is posted, whichever caller hears of it.
    """
    if not landed:
        return []
    states = States()
    CREDITS.declare(states)
    await CREDITS.load_keys(connection, states, [credit.transfer_id for credit, _ in landed])
    receipts: list[Message] = []
    for credit, outcome in landed:
        row = states.get(Credit, credit.transfer_id)
        if row is None or not (isinstance(outcome, Posted) or _still_under_way(row, credit)):
            log().warning("call taken over", detail="its answer is left to the caller that has it now")
            continue
        done, of_credit = after_call(replace(credit, asked=row.asked), outcome)
        states.put(done)
        receipts += of_credit
    await CREDITS.save(connection, states)
    return receipts


def _still_under_way(row: Credit, called: Credit) -> bool:
    attempt = (called.attempts, called.due_at, called.attempted_at)
    return row.state == "calling" and (row.attempts, row.due_at, row.attempted_at) == attempt


def _lines(reasons: Mapping[UUID, str]) -> list[str]:
    return [one_line(text) for text in reasons.values()]
