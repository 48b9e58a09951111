"""First sightings by (source, id): a producer or relay may repeat, an effect may not."""

from __future__ import annotations

from collections.abc import Sequence

from services.chassis.database import Connection
from services.chassis.records import Candidate

__all__ = ["first_sightings"]

_INSERT = """WITH given AS (SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[]) AS t(source, id, digest)),
inserted AS (INSERT INTO inbox (source, id, digest) SELECT * FROM given ON CONFLICT DO NOTHING RETURNING source, id)
SELECT source, id FROM given EXCEPT ALL SELECT source, id FROM inserted"""
# Nearly all are new: only those that are not come back.
_KNOWN = """SELECT i.source, i.id, i.digest FROM inbox i
JOIN unnest($1::text[], $2::text[]) AS t(source, id) USING (source, id)"""


async def first_sightings(
    db: Connection, candidates: Sequence[Candidate]
) -> tuple[list[Candidate], list[Candidate], int]:
    """Split decoded candidates into new ones and reused ids (same id, other content); count plain duplicates.

    One statement, a second one only when something was seen before.
    """
    unique: dict[tuple[str, str], Candidate] = {}
    reused: list[Candidate] = []
    duplicates = 0
    for candidate in candidates:
        event = candidate.event
        assert event is not None
        first = unique.setdefault((event.source, event.id), candidate)
        if first is not candidate:
            if first.digest == candidate.digest:
                duplicates += 1
            else:
                reused.append(candidate)
    if not unique:
        return [], [], 0
    names = list(unique)
    rows = await db.fetch(
        _INSERT, [s for s, _ in names], [i for _, i in names], [candidate.digest for candidate in unique.values()]
    )
    if not rows:
        return list(unique.values()), reused, duplicates
    old = {(row[0], row[1]) for row in rows}
    seen = [name for name in names if name in old]
    known = {(row[0], row[1]): row[2] for row in await db.fetch(_KNOWN, [s for s, _ in seen], [i for _, i in seen])}
    for name in seen:
        if known[name] == unique[name].digest:
            duplicates += 1
        else:
            reused.append(unique[name])
    return [candidate for name, candidate in unique.items() if name not in old], reused, duplicates
