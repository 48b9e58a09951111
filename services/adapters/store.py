"""The database of one adapter: what a batch loads, and the worker's claims and completions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from contracts.messages import Message
from contracts.messages.deliveries import ConsentChanged, CreditPosted, CreditQueried
from services.adapters.rules import send
from services.adapters.states import Credit, Notice, account_name
from services.chassis import outbox
from services.chassis.database import Batch, Pool
from services.chassis.decisions import Inbound, States
from services.chassis.tables import Table

__all__ = ["CREDITS", "NOTICES", "AdapterStore", "Calls"]

CREDITS: Final = Table(Credit, "credit", key=("transfer_id",), groups=("volunteer_ref",))
NOTICES: Final = Table(Notice, "notice", key=("id",), append_only=True)

_OF_BATCH = "WHERE transfer_id = ANY($1) OR (volunteer_ref = ANY($2) AND state = 'due')"
_NEXT = """
WHERE state IN ('due', 'unknown') AND due_at <= $1 AND volunteer_ref <> ALL($2)
  AND seq = (
      -- Not NOT EXISTS: without statistics that is planned as a comparison of all with all.
      SELECT first.seq FROM credit AS first
      WHERE first.volunteer_ref = credit.volunteer_ref AND first.state IN ('due', 'calling', 'unknown')
      ORDER BY first.seq LIMIT 1
  )
ORDER BY seq LIMIT $3
"""
_ATTEMPT = """
UPDATE credit SET state = 'calling'
WHERE transfer_id = ANY($1) AND state IN ('due', 'unknown') RETURNING transfer_id
"""
_LEFT_BEHIND = "UPDATE credit SET state = 'unknown', attempted_at = $1 WHERE state = 'calling'"
_OPEN_NOTICES = "WHERE rejected IS NULL ORDER BY seq LIMIT $1"
_PASSED_ON = "DELETE FROM notice WHERE id = ANY($1)"
_REJECTED = """
UPDATE notice SET rejected = said.reason FROM unnest($1::uuid[], $2::text[]) AS said(id, reason)
WHERE notice.id = said.id
"""
_THE_ONE_CALLER = 0x5C_0A
"""Advisory lock: two callers on one database would take each other's calls for left behind."""


class AdapterStore:
    """What deciding needs: credits by transfer, and what is due for people whose consent changes. One statement."""

    tables: Sequence[Table[Any]] = (CREDITS, NOTICES)

    async def load(self, batch: Batch, messages: Sequence[Inbound], states: States) -> None:
        """Load the credits spoken of."""
        data = [message.data for message in messages]
        transfers = {one.transfer_id for one in data if isinstance(one, CreditPosted | CreditQueried)}
        refs = {one.volunteer_ref for one in data if isinstance(one, ConsentChanged)}
        states.load(await CREDITS.fetch(batch.connection, _OF_BATCH, list(transfers), list(refs)))


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
        await self._pool.execute(_LEFT_BEHIND, now)

    async def turn(
        self,
        settled: Sequence[tuple[Credit, tuple[Message, ...]]],
        room: int,
        busy: Collection[str],
        now: datetime,
    ) -> list[Credit]:
        """Save settled credits with their receipts, and commit the attempt of up to ``room`` more: one transaction.

        Gives the claimed credits as they were before; the attempt stands in the database when this returns.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            # The first of each volunteer only; ``busy`` has a call under way.
            found = await CREDITS.fetch(connection, _NEXT, now, list(busy), room) if room > 0 else []
            touched = {credit.volunteer_ref for credit, _ in settled} | {credit.volunteer_ref for credit in found}
            await Batch(connection).lock(account_name(self._registry, ref) for ref in touched)
            await CREDITS.save(connection, [credit for credit, _ in settled])
            receipts = [send(self._registry, message) for _, messages in settled for message in messages]
            await outbox.publish(connection, receipts, "adapters", now)
            if not found:
                return []
            claimed = await connection.fetch(_ATTEMPT, [credit.transfer_id for credit in found])
            taken = {row["transfer_id"] for row in claimed}
            return [credit for credit in found if credit.transfer_id in taken]

    async def notices(self, limit: int) -> list[Notice]:
        """What is to be passed on, in order of arrival."""
        async with self._pool.acquire() as connection:
            return await NOTICES.fetch(connection, _OPEN_NOTICES, limit)

    async def passed_on(self, notices: Sequence[Notice], rejected: Mapping[UUID, str]) -> None:
        """Forget what the registry took, keep what it could not read with what it said."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_PASSED_ON, [notice.id for notice in notices if notice.id not in rejected])
            if rejected:
                await connection.execute(_REJECTED, list(rejected), list(rejected.values()))
