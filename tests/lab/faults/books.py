"""Reading what registries and services hold, over connections that may be cut by the fault under test."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg

from deploy.linkage import SERVICES
from deploy.tryout.demo.books import Books, Row
from services.chassis.base.database import FAILURES
from services.chassis.base.failures import is_transient
from tests.lab.faults.load import Record, Signups, Story, sums

__all__ = ["PatientBooks", "holders", "judge", "set_aside", "transfers"]

_WITH_INBOX = (*SERVICES, "adapter_sz")
_AGAIN_SECONDS = 60.0
_STANDS: Final = {"confirmed": "post", "promoted": "post", "refused": None}
"""How a sign-up stands, for a plan; a refused one by its reason."""


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
            except FAILURES as error:
                if not is_transient(error) or loop.time() > end:
                    raise
                await asyncio.sleep(0.3)

    async def under_way(self, code: str) -> dict[str, Any]:
        """Out of the tables: the registry's process may be the one that is down."""
        outbox = await self.value(f"sandbox_{code}", "SELECT count(*) FROM outbox")
        rows = await self.fetch(f"sandbox_{code}", "SELECT topic, partition, next_offset FROM position")
        return {"outbox": outbox, "positions": [tuple(row) for row in rows]}


async def judge(
    books: Books, stories: Sequence[Story], known_aside: Mapping[str, str]
) -> tuple[dict[str, bool], list[str]]:
    """Whether everything ended as it was planned, in the registries' own books; and in words what did not.

    ``known_aside``: what earlier cells left in quarantine, as they were to.
    """
    records = [record for story in stories for record in story.records]
    credits = [*await _credits(books, stories), *await _doubled(books, stories)]
    served = await _served(books, records)
    signups = [note for story in stories for ends in story.signups for note in await _signups(books, ends)]
    consents = await _consents(books, stories)
    states = await transfers(books, records)
    open_ = sum(count for state, count in states.items() if state not in ("credited", "superseded"))
    refused = await _refused(books, stories)
    aside = {name: what for name, what in (await set_aside(books)).items() if known_aside.get(name) != what}
    checks = {
        "credited_once": not credits,
        "host_knows": not served,
        "signups_as_planned": not signups,
        "consents_as_planned": not consents,
        "transfers_closed": not open_,
        "nothing_refused": not refused,
        "nothing_set_aside": not aside,
    }
    notes = [*credits, *served, *signups, *consents, *refused]
    notes += [f"set aside in {name}: {what}" for name, what in aside.items()]
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


async def _credits(books: Books, stories: Sequence[Story]) -> list[str]:
    wanted = sums(stories)
    totals: dict[tuple[str, str], int] = {}
    sql = "SELECT volunteer_ref, sum(minutes)::int AS m FROM audit_credits WHERE volunteer_ref = ANY($1) GROUP BY 1"
    refs = sorted({ref for _, ref in wanted})
    for code in ("gz", "sz"):
        for row in await books.fetch(f"sandbox_{code}", sql, refs):
            totals[code, row["volunteer_ref"]] = row["m"]
    return [
        f"credits of {ref} at {home}: {totals.get((home, ref), 0)}, not {wanted.get((home, ref), 0)}"
        for home, ref in sorted(wanted.keys() | totals.keys())
        if totals.get((home, ref), 0) != wanted.get((home, ref), 0)
    ]


async def _doubled(books: Books, stories: Sequence[Story]) -> list[str]:
    sql = """SELECT transfer_id::text FROM audit_credits WHERE volunteer_ref = ANY($1)
             GROUP BY transfer_id HAVING count(*) > 1"""
    refs = sorted({ref for _, ref in sums(stories)})
    found = [row[0] for code in ("gz", "sz") for row in await books.fetch(f"sandbox_{code}", sql, refs)]
    return [f"transfer {one} was posted more than once" for one in found]


async def _served(books: Books, records: Sequence[Record]) -> list[str]:
    sql = "SELECT record_ref, minutes, status FROM audit_served WHERE record_ref = ANY($1)"
    refs = [one.record_ref for one in records]
    rows = {
        (code, row["record_ref"]): (row["status"], row["minutes"])
        for code in ("gz", "sz")
        for row in await books.fetch(f"sandbox_{code}", sql, refs)
    }
    notes = []
    for one in records:
        status, minutes = rows.get((one.host, one.record_ref), (None, None))
        if status != one.status or (status == "confirmed" and minutes != one.minutes):
            notes.append(f"served {one.record_ref}: {status} {minutes}, not {one.status} {one.minutes}")
    return notes


async def _signups(books: Books, ends: Signups) -> list[str]:
    """In the books of both registries: the home asked, the host has her on its list."""
    sql = "SELECT state, reason FROM signup WHERE signup_ref = ANY($1)"
    notes = []
    for code in (ends.home, ends.host):
        rows = await books.fetch(f"sandbox_{code}", sql, list(ends.refs))
        stand = Counter(_STANDS.get(row["state"], row["state"]) or row["reason"] for row in rows)
        promoted = sum(row["state"] == "promoted" for row in rows)
        if stand != Counter(ends.stand) or promoted < ends.promoted:
            notes.append(f"sign-ups {ends.refs} at {code}: {dict(stand)} with {promoted} promoted, not {ends}")
    return notes


async def holders(books: Books, crowd: Story) -> list[str]:
    """Those of a crowd that have a post now, in the host's own books."""
    sql = "SELECT signup_ref FROM signup WHERE signup_ref = ANY($1) AND state IN ('confirmed', 'promoted') ORDER BY 1"
    return [row[0] for row in await books.fetch(f"sandbox_{crowd.visit.host}", sql, list(crowd.may_leave))]


async def _consents(books: Books, stories: Sequence[Story]) -> list[str]:
    """At the border, and in the books of both registries."""
    of_border = "SELECT state, version FROM consent WHERE home_ref = $1 AND host = $2"
    of_registry = "SELECT state, version FROM consent WHERE ref = $1 AND registry = $2"
    notes = []
    for story in stories:
        if story.consent_version is None:
            continue
        visit, given = story.visit, [("given", story.consent_version)]
        rows = [tuple(row) for row in await books.fetch("bridge", of_border, visit.home_ref, visit.host)]
        if rows != given:
            notes.append(f"consent of {visit.home_ref} at the border: {rows}, not {given}")
        sides = ((visit.home, visit.home_ref, visit.host), (visit.host, visit.host_ref, visit.home))
        for code, ref, other in sides:
            rows = [tuple(row) for row in await books.fetch(f"sandbox_{code}", of_registry, ref, other)]
            if rows != given and (rows or story.linked_before):
                notes.append(f"consent of {ref} at {code}: {rows}, not {given}")
    return notes


async def transfers(books: Books, records: Sequence[Record]) -> Counter[str]:
    """How many transfers of these records stand how, in the bridge."""
    sql = "SELECT state, count(*) AS n FROM transfer WHERE record_ref = ANY($1) GROUP BY state"
    rows = await books.fetch("bridge", sql, [one.record_ref for one in records])
    return Counter({row["state"]: row["n"] for row in rows})


async def _refused(books: Books, stories: Sequence[Story]) -> list[str]:
    ids = [one.event.id for story in stories for one in story.said]
    # An id that is used again is refused to whoever used it again: the first message of that id counts.
    sql = """SELECT message_id, reason, detail FROM refusal
             WHERE message_id = ANY($1) AND reason <> 'reused_id' LIMIT 3"""
    rows = [row for code in ("gz", "sz") for row in await books.fetch(f"sandbox_{code}", sql, ids)]
    return [f"refused {row['message_id']}: {row['reason']} {row['detail']}" for row in rows]
