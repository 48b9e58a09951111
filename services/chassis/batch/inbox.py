"""Which messages were seen before, by source and id: producers and relays may repeat a message, never its effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

import asyncpg

from services.chassis.base.database import Connection, add_rows
from services.chassis.log.records import Candidate

__all__ = ["Enter", "Name", "SeenBefore", "enter", "first_sightings"]

Name: TypeAlias = tuple[str, str]
"""Source and id of a message."""

_INSERT = """INSERT INTO inbox (source, id, digest) SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])
ON CONFLICT DO NOTHING"""
# Nearly all messages are new. The known ones are read only when the number of inserted rows says so.
_KNOWN = """SELECT i.source, i.id, i.digest FROM inbox i JOIN unnest($1::text[], $2::text[]) AS t(source, id)
USING (source, id) WHERE i.xmin <> pg_current_xact_id()::xid"""


class SeenBefore(Exception):
    """Not all of these messages are new, and the transaction is lost."""


class Enter(Protocol):
    """The signature of ``enter``; tests in memory have an implementation of their own."""

    async def __call__(self, db: Connection, seen: Mapping[Name, bytes], *, hopeful: bool) -> Mapping[Name, bytes]:
        """See ``enter``."""


async def first_sightings(
    db: Connection, candidates: Sequence[Candidate], enter: Enter, *, hopeful: bool = False
) -> tuple[list[Candidate], list[Candidate], int]:
    """Split decoded candidates into new ones and reused ids (same id, other content); count plain duplicates.

    What counts for an id is the content that came first: what the database knows, else the first of the batch. A repeat
    of it may stand behind a message that used its id again. ``hopeful``: see ``enter``.
    """
    unique: dict[Name, Candidate] = {}
    for candidate in candidates:
        unique.setdefault(_name(candidate), candidate)
    if not unique:
        return [], [], 0
    known = await enter(db, {name: candidate.digest for name, candidate in unique.items()}, hopeful=hopeful)
    if not known and len(unique) == len(candidates):
        return list(candidates), [], 0
    fresh: list[Candidate] = []
    reused: list[Candidate] = []
    duplicates = 0
    for candidate in candidates:
        name = _name(candidate)
        if candidate.digest != known.get(name, unique[name].digest):
            reused.append(candidate)
        elif candidate is unique[name] and name not in known:
            fresh.append(candidate)
        else:
            duplicates += 1
    return fresh, reused, duplicates


def _name(candidate: Candidate) -> Name:
    assert candidate.event is not None
    return candidate.event.source, candidate.event.id


async def enter(db: Connection, seen: Mapping[Name, bytes], *, hopeful: bool) -> Mapping[Name, bytes]:
    """Enter these digests; give the digests of those that were there before, which stay as they are.

    One statement, and a second one only when some messages were seen before. ``hopeful`` assumes that none was: this
    is true of nearly all batches and takes half the time. Where it is not true, ``SeenBefore`` is raised.
    """
    if hopeful:
        try:
            await add_rows(db, "inbox", ("source", "id", "digest"), [(*name, digest) for name, digest in seen.items()])
        except asyncpg.UniqueViolationError:
            raise SeenBefore from None
        return {}
    sources, ids = [source for source, _ in seen], [id for _, id in seen]
    status = await db.execute(_INSERT, sources, ids, list(seen.values()))
    repeated = len(seen) - int(status.split()[-1])
    if not repeated:
        return {}
    known = {(row[0], row[1]): row[2] for row in await db.fetch(_KNOWN, sources, ids)}
    if len(known) != repeated:
        # A transaction within a transaction has another number, so all messages would look as if they were known.
        raise RuntimeError(f"{repeated} were seen before, but {len(known)} are known: not in a transaction of its own")
    return known
