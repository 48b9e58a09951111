"""What an operator does about quarantined messages: look at them, release them, discard them.

A release is no way around the rules. The bytes are decoded again and the inbox is asked. A message that passes goes
into the queue of its subject, at the place of its sequence, and ``reentry.py`` decides it like all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from services.chassis.aside.acts import Acts
from services.chassis.base.database import Batch, Connection, describe, one_at_a_time
from services.chassis.base.logs import log
from services.chassis.base.reading import Reads
from services.chassis.batch import inbox, set_aside
from services.chassis.batch.processing import Processor
from services.chassis.batch.reasons import SAID_OTHERWISE, UNDER_WAY
from services.chassis.batch.set_aside import Aside
from services.chassis.log.records import Candidate, decode_record

__all__ = ["Kept", "Quarantine", "Released", "counts"]


class Kept(NamedTuple):
    """A message that stays. ``error`` is unknown, under_way, not_whole (only its first bytes are kept), not_read,
    reused_id, unwritable (its subject cannot be named), said_otherwise, or the reason for which it is not in the
    contract even now."""

    seq: int
    error: str
    detail: str


@dataclass(slots=True)
class Released:
    """What became of messages that were to be released, by sequence."""

    released: list[int] = field(default_factory=list)
    """In the queue of their subjects, to be decided."""
    repeats: list[int] = field(default_factory=list)
    """Deleted, since the same message has come in by itself meanwhile."""
    kept: list[Kept] = field(default_factory=list)


class Quarantine:
    """An operator's acts. They run inside the service: no other process decides its messages."""

    def __init__(self, processor: Processor, reads: Reads, wake: Callable[[], None]) -> None:
        self.processor = processor
        self.pool = reads.pool
        self._reads = reads
        self._wake = wake
        self._entries = processor.service.entries()
        self._acts = Acts.of(processor.service.name, processor.settings)

    async def release(self, sequences: Sequence[int], who: str) -> Released:
        """Let these messages be decided again, in order, and then the messages behind them. One transaction."""
        told = Released()
        async with self.pool.acquire() as db, db.transaction():
            await one_at_a_time(db)
            rows = _not_our_own(await _quarantined(db, sequences, told.kept), told.kept)
            subjects = {seq: row.subject for seq, row in rows.items() if row.subject is not None}
            readable = await self._readable(db, {seq: row for seq, row in rows.items() if seq not in subjects}, told)
            # Before the inbox: a message that it takes in and nobody decides would be a repeat the next time.
            named = self._named(rows, readable, told)
            # A message that an operator releases although its id was used before is decided in its own right.
            asked = {seq: readable[seq] for seq in named if rows[seq].reason != "reused_id"}
            refused = await _seen_before(db, rows, asked, told)
            subjects |= {seq: subject for seq, subject in named.items() if seq not in refused}
            # As in a live batch the inbox comes first, then the subjects: no two transactions deadlock.
            await Batch(db).lock(subjects.values())
            await set_aside.enqueue(db, subjects)
            await self._say(db, "release", [rows[seq] for seq in subjects], who)
        told.released = sorted(subjects)
        log().info("released", operator=who, count=len(told.released))
        self._wake()
        return told

    async def discard(self, sequences: Sequence[int], who: str, why: str) -> tuple[list[int], list[Kept]]:
        """Move these messages to the table ``discarded``; the messages behind them go on. One transaction.

        Gives the sequences of the discarded messages, and the messages that are kept.
        """
        kept: list[Kept] = []
        async with self.pool.acquire() as db, db.transaction():
            await one_at_a_time(db)
            rows = await _quarantined(db, sequences, kept)
            subjects = {row.subject for row in rows.values() if row.subject is not None}
            await Batch(db).lock(subjects)
            await db.execute(_DISCARD, list(rows), self.processor.clock.now(), who, why)
            await set_aside.unpark(db, subjects)
            await self._say(db, "discard", rows.values(), who)
        log().info("discarded", operator=who, count=len(rows))
        self._wake()
        return list(rows), kept

    async def listing(self, reason: str | None, after: int, limit: int) -> list[dict[str, Any]]:
        """A page of messages set aside: where they stood and why, without their bytes."""
        async with self._reads.sums() as db:
            return [dict(row) for row in await db.fetch(_LISTING, after, reason, limit)]

    async def discarded(self, after: int, limit: int) -> list[dict[str, Any]]:
        """A page of discarded messages: by whom, when and why, without their bytes."""
        async with self._reads.sums() as db:
            return [dict(row) for row in await db.fetch(_DISCARDED, after, limit)]

    async def summary(self) -> dict[str, int]:
        """How many messages are set aside, by reason."""
        async with self._reads.sums() as db:
            return await counts(db)

    async def _say(self, db: Connection, act: str, rows: Iterable[Aside], who: str) -> None:
        places = [f"{row.record.topic}/{row.record.partition}/{row.record.offset}" for row in rows]
        await self._acts.say(db, act, places, who, self.processor.clock.now())

    async def _readable(self, db: Connection, rows: Mapping[int, Aside], told: Released) -> dict[int, Candidate]:
        """Decode again. A message that cannot be decoded even now keeps its place, with its present reason."""
        readable: dict[int, Candidate] = {}
        still: list[Aside] = []
        for seq, row in rows.items():
            if (part := row.record.part) is not None:
                detail = f"only the first bytes of {part.size} are kept; its sender can publish again under new ids"
                told.kept.append(Kept(seq, "not_whole", detail))
                continue
            if (known := self._entries.get(row.record.topic)) is None:
                told.kept.append(Kept(seq, "not_read", f"{row.record.topic} is not read at present"))
                continue
            entry, stream = known
            candidate = decode_record(row.record, entry, stream.sources)
            if (error := candidate.error) is None:
                readable[seq] = candidate
            else:
                told.kept.append(Kept(seq, error.reason, str(error)))
                still.append(replace(row, reason=error.reason, detail=str(error), tries=row.tries + 1))
        await set_aside.rewrite(db, still)
        return readable

    def _named(self, rows: Mapping[int, Aside], readable: Mapping[int, Candidate], told: Released) -> dict[int, str]:
        """The subjects of messages that are in the contract. If the subject cannot be named it keeps its place."""
        named: dict[int, str] = {}
        for seq, candidate in readable.items():
            assert candidate.event is not None
            entry, _ = self._entries[candidate.record.topic]
            work = self.processor.work(candidate.event, candidate.record, entry, rows[seq].received_at)
            try:
                named[seq] = self.processor.service.subject(work.inbound)
            except Exception as error:
                told.kept.append(Kept(seq, "unwritable", describe(error)))
        return named


def _not_our_own(rows: Mapping[int, Aside], kept: list[Kept]) -> dict[int, Aside]:
    """Without messages that this service itself was about to send."""
    detail = "it is the service's own word, and the log has another under its id: settle what follows, then discard it"
    kept += [Kept(seq, SAID_OTHERWISE, detail) for seq, row in rows.items() if row.reason == SAID_OTHERWISE]
    return {seq: row for seq, row in rows.items() if row.reason != SAID_OTHERWISE}


async def _quarantined(db: Connection, sequences: Sequence[int], kept: list[Kept]) -> dict[int, Aside]:
    """The messages, of those given, that are quarantined, by sequence; the others are added to ``kept``."""
    found = {row.seq: row for row in await set_aside.by_sequence(db, sequences)}
    rows: dict[int, Aside] = {}
    for seq in sorted(set(sequences)):
        if (row := found.get(seq)) is None:
            kept.append(Kept(seq, "unknown", "no message set aside has this number"))
        elif row.reason in UNDER_WAY:
            kept.append(Kept(seq, "under_way", f"it is {row.reason} and goes on by itself"))
        else:
            rows[seq] = row
    return rows


async def counts(db: Connection, timeout: float | None = None) -> dict[str, int]:
    """How many messages are set aside, by reason. ``timeout``: seconds that the database may take."""
    rows = await db.fetch("SELECT reason, count(*) FROM set_aside GROUP BY reason ORDER BY reason", timeout=timeout)
    return {row[0]: row[1] for row in rows}


async def _seen_before(
    db: Connection, rows: Mapping[int, Aside], asked: Mapping[int, Candidate], told: Released
) -> set[int]:
    """Enter these into the inbox; gives those that it knows. Repeats are deleted, reused ids stay set aside as such."""
    fresh, reused, _ = await inbox.first_sightings(db, list(asked.values()), inbox.enter)
    new, conflicting = {id(one) for one in fresh}, {id(one) for one in reused}
    seen = {seq for seq, one in asked.items() if id(one) not in new}
    told.repeats = sorted(seq for seq in seen if id(asked[seq]) not in conflicting)
    await set_aside.remove(db, told.repeats)
    detail = "the same id was seen with other content; released once more it is decided in its own right"
    others = sorted(seen - set(told.repeats))
    told.kept += [Kept(seq, "reused_id", detail) for seq in others]
    await set_aside.rewrite(
        db, [replace(rows[s], reason="reused_id", detail=detail, tries=rows[s].tries + 1) for s in others]
    )
    return seen


_COLUMNS = 'seq, reason, subject, topic, partition, "offset", last_offset, size, detail, attempts, received_at'
_LISTING = f"""SELECT {_COLUMNS}, encode(digest, 'hex') AS digest, fact, deadline FROM set_aside
    WHERE seq > $1 AND ($2::text IS NULL OR reason = $2) ORDER BY seq LIMIT $3"""  # noqa: S608
_DISCARDED = f"""SELECT {_COLUMNS}, encode(digest, 'hex') AS digest, discarded_at, discarded_by, why FROM discarded
    WHERE seq > $1 ORDER BY seq LIMIT $2"""  # noqa: S608
_BYTES = '"timestamp", appended, key, headers, value, digest'
_DISCARD = f"""WITH gone AS (DELETE FROM set_aside WHERE seq = ANY($1) RETURNING *)
    INSERT INTO discarded ({_COLUMNS}, {_BYTES}, discarded_at, discarded_by, why)
    SELECT {_COLUMNS}, {_BYTES}, $2, $3, $4 FROM gone"""  # noqa: S608
