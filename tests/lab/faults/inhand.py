"""What a process has in hand: messages it has yet to read, rows it has yet to publish, calls it has yet to finish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from services.chassis.log.records import unpack_headers
from tests.lab.faults.load import Story
from tests.lab.faults.site import Site

__all__ = ["between_two_credits", "in_hand", "standing"]


async def in_hand(site: Site, name: str) -> Counter[str]:
    """By topic what is unread, by type of message what stands in its outbox, by state what an adapter calls."""
    database = site.stack.specs[name].database
    rows = await site.books.fetch(database, "SELECT topic, partition, next_offset FROM consumed")
    read = {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
    ends = await site.quiet.ends()
    found: Counter[str] = Counter()
    for tp, end in ends.items():
        behind = end - read.get((tp.topic, tp.partition), end)
        if behind > 0:
            found[f"unread {tp.topic}"] += behind
    for row in await site.books.fetch(database, "SELECT headers FROM outbox"):
        kind = dict(unpack_headers(row["headers"])).get("ce_type") or b""
        found[f"outbox {kind.decode().rsplit('.', 2)[-2]}"] += 1
    if name.startswith("adapter_"):
        called = "SELECT state, count(*) AS n FROM credit WHERE state IN ('due', 'calling', 'unknown') GROUP BY state"
        found.update({f"credit {row['state']}": row["n"] for row in await site.books.fetch(database, called)})
        found["notices"] = await site.books.value(database, "SELECT count(*) FROM notice WHERE rejected IS NULL")
    return +found


async def standing(site: Site, name: str) -> int:
    """A number that grows with everything that a process applies."""
    sql = "SELECT coalesce(sum(next_offset), 0)::bigint FROM consumed"
    return int(await site.books.value(site.stack.specs[name].database, sql))


async def between_two_credits(site: Site, stories: Sequence[Story]) -> int:
    """How many volunteers have been credited something, but not yet all that they will be."""
    sql = "SELECT record_ref, sum(minutes)::int AS m FROM posting WHERE record_ref = ANY($1) GROUP BY 1"
    wanted = {record.record_ref: record.minutes for story in stories for record in story.records}
    found = [row for code in ("gz", "sz") for row in await site.books.fetch(f"sandbox_{code}", sql, list(wanted))]
    return sum(row["m"] != wanted[row["record_ref"]] for row in found)
