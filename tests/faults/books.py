"""Reading what registries and services hold, over connections that may be cut by the fault under test."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from deploy.demo.books import Books, Row
from tests.faults.load import Planned

__all__ = ["PatientBooks", "judge", "set_aside"]

_WITH_INBOX = ("identity", "opportunities", "attendance", "bridge", "adapter_sz")
_AGAIN_SECONDS = 60.0
_CUT = (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError)


class PatientBooks(Books):
    """Connects again when the database was away."""

    async def fetch(self, database: str, sql: str, *arguments: Any) -> list[Row]:
        """Rows of one statement. Raises what the last attempt raised after a minute."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _AGAIN_SECONDS
        while True:
            try:
                async with self._locks[database]:
                    if self._connections[database].is_closed():
                        dsn = self._dsn[database]
                        self._connections[database] = await asyncpg.connect(dsn, timeout=10, command_timeout=30)
                    return await self._connections[database].fetch(sql, *arguments)
            except (*_CUT, asyncpg.TooManyConnectionsError):
                if loop.time() > end:
                    raise
                await asyncio.sleep(0.3)


async def judge(
    books: Books, planned: Sequence[Planned], known_aside: Mapping[str, str]
) -> tuple[dict[str, bool], list[str]]:
    """Whether each record ended as it was planned, in the registries' own books; and in words what did not.

    ``known_aside``: what earlier cells left in quarantine, as they were to.
    """
    notes = [*await _credits(books, planned), *await _served(books, planned)]
    doubled = await _doubled(books, planned)
    states = await _transfers(books, planned)
    open_ = sum(count for state, count in states.items() if state not in ("credited", "superseded"))
    refused = await _refused(books, planned)
    aside = {name: what for name, what in (await set_aside(books)).items() if known_aside.get(name) != what}
    checks = {
        "credited_once": not any(note.startswith("credit") for note in notes) and not doubled,
        "host_knows": not any(note.startswith("served") for note in notes),
        "transfers_closed": not open_,
        "nothing_refused": not refused,
        "nothing_set_aside": not aside,
    }
    notes += doubled + refused + [f"set aside in {name}: {what}" for name, what in aside.items()]
    return checks, notes if all(checks.values()) else [*notes, f"transfers: {dict(states)}"]


async def set_aside(books: Books) -> dict[str, str]:
    """What stands in set_aside, by database, in words; and notices that a registry's system rejected."""
    found = {}
    for name in _WITH_INBOX:
        rows = await books.fetch(
            name, "SELECT reason, count(*) AS n, min(detail) AS d FROM set_aside GROUP BY reason ORDER BY 1"
        )
        if rows:
            found[name] = "; ".join(f"{row['reason']} {row['n']} ({row['d']})"[:200] for row in rows)
    rejected = await books.value("adapter_sz", "SELECT count(*) FROM notice WHERE rejected IS NOT NULL")
    if rejected:
        found["adapter_sz notices"] = f"{rejected} rejected"
    return found


async def _credits(books: Books, planned: Sequence[Planned]) -> list[str]:
    totals: Counter[str] = Counter()
    sql = "SELECT volunteer_ref, sum(minutes)::int AS m FROM audit_credits WHERE volunteer_ref = ANY($1) GROUP BY 1"
    refs = [one.visit.home_ref for one in planned]
    for code in ("gz", "sz"):
        for row in await books.fetch(f"sandbox_{code}", sql, refs):
            totals[row["volunteer_ref"]] += row["m"]
    return [
        f"credit of {one.visit.record_ref}: {totals[one.visit.home_ref]} at {one.visit.home}, not {one.minutes}"
        for one in planned
        if totals[one.visit.home_ref] != one.minutes
    ]


async def _doubled(books: Books, planned: Sequence[Planned]) -> list[str]:
    sql = """SELECT transfer_id::text FROM audit_credits WHERE volunteer_ref = ANY($1)
             GROUP BY transfer_id HAVING count(*) > 1"""
    refs = [one.visit.home_ref for one in planned]
    found = [row[0] for code in ("gz", "sz") for row in await books.fetch(f"sandbox_{code}", sql, refs)]
    return [f"transfer {one} was posted more than once" for one in found]


async def _served(books: Books, planned: Sequence[Planned]) -> list[str]:
    sql = "SELECT record_ref, minutes, status FROM audit_served WHERE record_ref = ANY($1)"
    refs = [one.visit.record_ref for one in planned]
    rows = [row for code in ("gz", "sz") for row in await books.fetch(f"sandbox_{code}", sql, refs)]
    status = {row["record_ref"]: row["status"] for row in rows}
    minutes = {row["record_ref"]: row["minutes"] for row in rows}
    return [
        f"served {ref}: {status.get(ref)} {minutes.get(ref)}, not {one.status} {one.minutes}"
        for one in planned
        if status.get(ref := one.visit.record_ref) != one.status
        or (one.status == "confirmed" and minutes[ref] != one.minutes)
    ]


async def _transfers(books: Books, planned: Sequence[Planned]) -> Counter[str]:
    sql = "SELECT state, count(*) AS n FROM transfer WHERE record_ref = ANY($1) GROUP BY state"
    rows = await books.fetch("bridge", sql, [one.visit.record_ref for one in planned])
    return Counter({row["state"]: row["n"] for row in rows})


async def _refused(books: Books, planned: Sequence[Planned]) -> list[str]:
    ids = [one.event.id for each in planned for one in each.said]
    sql = "SELECT message_id, reason, detail FROM refusal WHERE message_id = ANY($1) LIMIT 3"
    rows = [row for code in ("gz", "sz") for row in await books.fetch(f"sandbox_{code}", sql, ids)]
    return [f"refused {row['message_id']}: {row['reason']} {row['detail']}" for row in rows]
