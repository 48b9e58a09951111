"""One per cent bad messages of each kind among five thousand: they block nothing, and none of them vanishes."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from aiokafka import AIOKafkaProducer

from contracts.envelope import MAX_BYTES, encode
from contracts.messages.service import CheckedIn
from contracts.partitioner import partition_for
from contracts.topics import ATTENDANCE
from deploy.operate.lines import Letter
from tests.lab.faults.cell import Cell, Outcome
from tests.lab.faults.load import Story, letter, letters
from tests.lab.faults.scenes import plan
from tests.lab.faults.site import Site

__all__ = ["poison_cells"]

_ALL, _OF_A_KIND, _PORTIONS = 5000, 50, 10
_VISITS: Final = 60
_PARTITIONS: Final = ATTENDANCE.partitions


def poison_cells() -> list[Cell]:
    """One cell, in both directions."""
    kinds = ", ".join([*_QUARANTINED, *_REFUSED])
    return [Cell("poison", "bridge", f"1 % bad messages of each kind among {_ALL}: {kinds}", _poisoned, takes=50)]


@dataclass(frozen=True)
class Raw:
    """A record as it lies in the log."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    partition: int | None = None
    """None for the one that its key belongs in."""

    def header(self, name: str, value: bytes | None) -> Raw:
        """The same with another header, or without it."""
        rest = tuple((other, given) for other, given in self.headers if other != name)
        return replace(self, headers=rest if value is None else (*rest, (name, value)))


def _raw(one: Letter) -> Raw:
    value, headers = encode(one.event)
    return Raw(one.topic, one.event.key.encode(), value, tuple(headers))


def _other_source(raw: Raw) -> Raw:
    other = "gz" if ".sz." in raw.topic else "sz"
    return raw.header("ce_source", f"urn:shuangcheng:registry:{other}".encode())


_QUARANTINED: Final[dict[str, Callable[[Raw], Raw]]] = {
    "bytes": lambda raw: replace(raw, value=b"\xff\xfe not JSON"),
    "envelope": lambda raw: raw.header("ce_time", b"yesterday"),
    "unknown_type": lambda raw: raw.header("ce_type", b"shuangcheng.service.teleported.v1"),
    "schema": lambda raw: replace(raw, value=raw.value.replace(b'"scan"', b'"guess"')),
    "wrong_key": lambda raw: replace(raw, key=raw.key + b"-other"),
    "wrong_partition": lambda raw: replace(
        raw, partition=(partition_for(raw.key.decode(), _PARTITIONS) + 1) % _PARTITIONS
    ),
    "wrong_source": _other_source,
    "wrong_topic": lambda raw: replace(raw, topic=raw.topic.replace("attendance", "volunteers")),
    "too_large": lambda raw: replace(raw, value=raw.value[:-1] + b" " * MAX_BYTES + b"}"),
}
_REFUSED: Final = ("reused_id", "time_in_future", "not_linked")


async def _poisoned(site: Site, rng: random.Random) -> Outcome:
    stories = plan(rng, _VISITS)
    good = letters(stories)
    good += [_presence(rng, _visited(rng, stories)) for _ in range(_ALL - len(good))]
    before = await _quarantined(site)
    bad_ids: list[str] = []
    step = len(good) // _PORTIONS
    producer = AIOKafkaProducer(bootstrap_servers=site.stack.broker.address)
    await producer.start()
    begun = time.monotonic()
    try:
        for number in range(_PORTIONS):
            portion = good[number * step : (number + 1) * step] if number < _PORTIONS - 1 else good[number * step :]
            await site.publish(portion)
            bad, ids = _bad(rng, stories, portion)
            bad_ids += ids
            for raw in bad:
                headers = list(raw.headers)
                await producer.send(raw.topic, raw.value, key=raw.key, headers=headers, partition=raw.partition)
            await producer.flush()
    finally:
        await producer.stop()
    await site.drained()
    recovered = time.monotonic() - begun
    found = await _quarantined(site) - before
    told = Counter((await site.refusals(bad_ids)).values())
    checks, notes = await site.judge(stories)
    checks.pop("nothing_set_aside")
    site.known_aside = await site.aside()
    checks["each_quarantined_for_what_it_is"] = found == Counter(
        dict.fromkeys([*_QUARANTINED, "reused_id"], _OF_A_KIND)
    )
    checks["each_refused_for_what_it_is"] = told == Counter(dict.fromkeys(_REFUSED, _OF_A_KIND))
    return Outcome(checks, recovered, [f"quarantined {dict(found)}, refused {dict(told)}", *notes])


def _presence(rng: random.Random, one: Story, ref: str | None = None, ahead: timedelta = timedelta(0)) -> Letter:
    said = CheckedIn(volunteer_ref=ref or one.visit.host_ref, at=one.visit.start, method="scan", **one.visit.shift)
    at = datetime.now(UTC) + ahead if ahead else one.visit.start
    return letter(rng, one.visit.host, said, at)


def _bad(rng: random.Random, stories: Sequence[Story], good: Sequence[Letter]) -> tuple[list[Raw], list[str]]:
    """A tenth of all that is bad, and the ids of those that are to come back to their sender by id."""
    raws, ids = [], []
    visits = [one.event for one in good if isinstance(one.event.data, CheckedIn)]
    # Each takes the id of another one: what says the same a second time, in one batch, is a repetition and no reuse.
    for used in rng.sample(visits, _OF_A_KIND // _PORTIONS):
        raws += [spoil(_raw(_presence(rng, _visited(rng, stories)))) for spoil in _QUARANTINED.values()]
        # On the same key as the one whose id it takes, or nobody knows which of the two comes first.
        assert isinstance(used.data, CheckedIn)
        other = used.data.model_copy(update={"at": used.data.at - timedelta(minutes=1)})
        fresh = letter(rng, used.source.rpartition(":")[2], other, used.time)
        raws.append(_raw(fresh).header("ce_id", used.id.encode()))
        refused = [
            _presence(rng, _visited(rng, stories), ahead=timedelta(hours=30)),
            _presence(rng, _visited(rng, stories), ref=f"nobody-{rng.getrandbits(48):012x}"),
        ]
        raws += [_raw(one) for one in refused]
        ids += [used.id, *(one.event.id for one in refused)]
    rng.shuffle(raws)
    return raws, ids


def _visited(rng: random.Random, stories: Sequence[Story]) -> Story:
    return rng.choice([story for story in stories if story.records])


async def _quarantined(site: Site) -> Counter[str]:
    rows = await site.books.fetch("bridge", "SELECT reason, count(*) AS n FROM set_aside GROUP BY reason")
    return Counter({row["reason"]: row["n"] for row in rows})
