"""What other people's clients write: every codec, odd headers, bombs. The border goes on, and tells who sent them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from contracts.envelope import encode
from contracts.messages.service import CheckedIn
from contracts.partitioner import partition_for
from contracts.topics import INBOUND
from deploy.operate.lines import Letter
from tests.lab.faults.cell import Cell, Outcome
from tests.lab.faults.load import Story, letter, waves
from tests.lab.faults.scenes import plan
from tests.lab.faults.site import Site
from tests.support.batches import CODECS, BatchWriter, RawRecord, batch_bytes
from tests.support.processes import count_peak_from_here, peak_mebibytes
from tests.support.waiting import eventually

__all__ = ["stranger_cells"]

_PARTITIONS: Final = INBOUND[0].partitions
_BOMB_MEBIBYTES: Final = (9, 40, 300)
MOST_MEBIBYTES: Final = 300
"""What a process of the border may hold, whatever comes (compose gives it 512)."""


def stranger_cells() -> list[Cell]:
    """Three cells, each with honest stories beside it."""
    opened = ", ".join(map(str, _BOMB_MEBIBYTES))
    return [
        Cell("codec", "bridge", f"every record compressed, in turn with {', '.join(CODECS)}", _codecs, takes=20),
        Cell("null-header", "bridge", "headers null, nameless or not UTF-8 on good, bad and waiting records", _headers),
        Cell("bomb", "bridge", f"batches of a few KB that open to {opened} MiB, in each codec", _bombs, takes=40),
    ]


async def _codecs(site: Site, rng: random.Random) -> Outcome:
    stories = plan(rng, 40)
    codecs = list(CODECS.values())
    begun = time.monotonic()
    async with BatchWriter(site.stack.broker.address) as writer:
        for number, portion in enumerate(waves(stories, len(codecs))):
            await _write(writer, portion, codecs[number])
    await site.drained()
    recovered = time.monotonic() - begun
    checks, notes = await site.judge(stories)
    return Outcome(checks | {"all_say_ready": await site.all_ready()}, recovered, notes)


async def _headers(site: Site, rng: random.Random) -> Outcome:
    """Good records with odd headers are applied; bad ones and those of strangers come back to their sender."""
    stories = plan(rng, 20)
    good, rest = waves(stories, 2)
    bad = _odd_records(rng, stories, value=b"\xff not JSON")
    waiting = _odd_records(rng, stories, value=None)
    begun = time.monotonic()
    async with BatchWriter(site.stack.broker.address) as writer:
        await _write(writer, good, CODECS["none"], headers=((b"trace", None), (b"", b"x"), (b"\xff\xfe", None)))
        for one in (*bad, *waiting):
            await writer.write(one.topic, one.partition, batch_bytes([one.record]))
    await site.publish(rest)
    await site.drained()
    ids = [one.id for one in waiting]

    async def told() -> bool:
        return set(await site.refusals(ids)) == set(ids)

    await eventually(told, what="whoever is not linked is told so")
    recovered = time.monotonic() - begun
    aside = await _aside(site, {(one.topic, one.partition) for one in bad})
    checks, notes = await site.judge(stories)
    checks.pop("nothing_set_aside")
    site.known_aside = await site.aside()
    checks |= {"bad_ones_are_set_aside": aside >= len(bad), "all_say_ready": await site.all_ready()}
    return Outcome(checks, recovered, [f"{len(bad)} bad, {len(waiting)} of strangers", *notes])


async def _bombs(site: Site, rng: random.Random) -> Outcome:
    stories = plan(rng, 24)
    portions = waves(stories, 4)
    pid = site.child("bridge").pid
    assert pid is not None, "it runs"
    await asyncio.to_thread(count_peak_from_here, pid)
    begun = time.monotonic()
    sent = 0
    async with BatchWriter(site.stack.broker.address) as writer:
        for number, mebibytes in enumerate(_BOMB_MEBIBYTES):
            await site.publish(portions[number])
            for codec in ("gzip", "lz4", "zstd"):
                batch = batch_bytes([RawRecord(b"bomb", bytes(mebibytes << 20))], CODECS[codec])
                if len(batch) < 1 << 20:  # the broker takes no more
                    topic = f"registry.gz.{rng.choice(('attendance', 'signups'))}.v1"
                    await writer.write(topic, rng.randrange(_PARTITIONS), batch)
                    sent += 1
    await site.publish(portions[-1])
    await site.drained()
    recovered = time.monotonic() - begun
    peak = peak_mebibytes(pid)
    checks, notes = await site.judge(stories)
    checks.pop("nothing_set_aside")
    site.known_aside = await site.aside()
    checks |= {
        f"the_border_stays_under_{MOST_MEBIBYTES}_MiB": peak < MOST_MEBIBYTES,
        "the_same_process": site.child("bridge").pid == pid,
        "all_say_ready": await site.all_ready(),
    }
    return Outcome(checks, recovered, [f"{sent} bombs, the border held {peak:.0f} MiB at most", *notes])


@dataclass(frozen=True)
class _Odd:
    id: str
    topic: str
    partition: int
    record: RawRecord


def _odd_records(rng: random.Random, stories: Sequence[Story], value: bytes | None) -> list[_Odd]:
    """Presence of strangers with odd headers, in both registries' names; with another value, if one is given."""
    found = []
    for number in range(12):
        visit = rng.choice(stories).visit
        said = CheckedIn(
            volunteer_ref=f"nobody-{rng.getrandbits(48):012x}", at=visit.start, method="scan", **visit.shift
        )
        one = letter(rng, ("gz", "sz")[number % 2], said, visit.start)
        body, headers = encode(one.event)
        packed = tuple((name.encode(), text) for name, text in headers)
        odd: tuple[tuple[bytes, bytes | None], ...] = ((b"trace", None), (b"\xff", b"\xfe"))
        record = RawRecord(one.event.key.encode(), body if value is None else value, (*packed, *odd))
        found.append(_Odd(one.event.id, one.topic, partition_for(one.event.key, _PARTITIONS), record))
    return found


async def _write(
    writer: BatchWriter,
    letters: Sequence[Letter],
    codec: int,
    headers: tuple[tuple[bytes, bytes | None], ...] = (),
) -> None:
    """In order within each partition, many to a batch."""
    by_place: dict[tuple[str, int], list[RawRecord]] = {}
    for one in letters:
        body, own = encode(one.event)
        packed = (*((name.encode(), text) for name, text in own), *headers)
        place = one.topic, partition_for(one.event.key, _PARTITIONS)
        by_place.setdefault(place, []).append(RawRecord(one.event.key.encode(), body, packed))
    for (topic, partition), records in by_place.items():
        await writer.write(topic, partition, batch_bytes(records, codec))


async def _aside(site: Site, places: set[tuple[str, int]]) -> int:
    rows = await site.books.fetch(
        "bridge",
        """SELECT count(*) FROM set_aside s JOIN unnest($1::text[], $2::int[]) AS t(topic, partition)
           USING (topic, partition) WHERE reason = 'bytes'""",
        [topic for topic, _ in places],
        [partition for _, partition in places],
    )
    return int(rows[0][0])
