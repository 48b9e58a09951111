"""Writing parcels in portions, and asking after each whether the border kept promise 4."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from aiokafka import TopicPartition

from contracts.envelope import ContractError, decode
from tests.lab.fuzz.border import Border
from tests.lab.fuzz.records import Becomes, Spec, parcels
from tests.lab.fuzz.wire import Wire
from tests.support.waiting import eventually

__all__ = ["MOST_MEBIBYTES", "Result", "run"]

MOST_MEBIBYTES = 300
"""What the process may hold at most."""
_LEAST_PORTION = 60
_MOST_PORTIONS = 400
"""Parcels in one portion at least, and portions at most: what is asked for between two portions costs a second."""
_PATIENCE_SECONDS = 180.0
"""So long nothing at all may come before the run is given up."""


@dataclass
class Result:
    """What was written, what became of it, and what is wrong with that."""

    seed: int
    written: Counter[str] = field(default_factory=Counter)
    """Records by kind."""
    refused_by_broker: dict[str, int] = field(default_factory=dict)
    aside: dict[str, int] = field(default_factory=dict)
    readiness: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    peak_mebibytes: float = 0.0
    faults: list[str] = field(default_factory=list)


class _Open:
    """Records whose fate is not known yet."""

    def __init__(self) -> None:
        self.specs: dict[tuple[TopicPartition, int], Spec] = {}
        self.aborted: set[str] = set()

    def add(self, place: TopicPartition, first: int, specs: tuple[Spec, ...]) -> None:
        for number, spec in enumerate(specs):
            if spec.becomes is Becomes.NOTHING:
                self.aborted.add(spec.id)
            else:
                self.specs[place, first + number] = spec

    def settle(self, border: Border) -> None:
        """Drop those whose fate is the one that was to be."""
        self.specs = {place: spec for place, spec in self.specs.items() if not _settled(border, *place, spec)}


def _settled(border: Border, place: TopicPartition, offset: int, spec: Spec) -> bool:
    applied = border.applied[spec.id] > 0
    if spec.becomes is Becomes.APPLIED:
        return applied
    if offset in border.aside.get(place, ()) or f"{place.topic}/{place.partition}/{offset}" in border.refused:
        return True
    if _id(spec) in border.refused:
        return True
    return spec.becomes is Becomes.EITHER and (applied or border.applied[_id(spec)] > 0)


def _id(spec: Spec) -> str:
    """The id that the border reads, after bytes of it may have been changed."""
    if spec.kind != "changed":
        return spec.id
    headers = [(name.decode("utf-8", "surrogateescape"), value) for name, value in spec.headers]
    try:
        return decode(spec.value, headers).id
    except ContractError as error:
        return error.id or ""


async def run(border: Border, seed: int, count: int, tell: Callable[[str], None]) -> Result:
    """Write ``count`` records and follow each to its end. A portion is written only when the good records of the
    portion before are applied: so good ones are applied while bad ones still come, whatever the machine's speed.
    """
    result, still, begun = Result(seed), _Open(), time.monotonic()
    source = parcels(seed, count)
    at_once = max(_LEAST_PORTION, count // _MOST_PORTIONS // 10)
    async with Wire(border.broker, seed) as wire:
        while portion := list(itertools.islice(source, at_once)):
            earlier = set(still.specs)
            for parcel in portion:
                if (first := await wire.write(parcel)) is not None:
                    still.add(TopicPartition(parcel.topic, parcel.partition), first, parcel.specs)
                    result.written.update(spec.kind for spec in parcel.specs)
            # What the portion before brought must be done, while what this portion brings still comes.
            if not await _until(border, still, partial(_none_good, still, earlier)):
                result.faults.append(f"good records stand behind bad ones: {_some(still)}")
                break
            tell(f"{sum(result.written.values())} records, {len(still.specs)} still open")
        result.refused_by_broker = wire.refused
    if not result.faults and not await _until(border, still, lambda: not still.specs):
        result.faults.append(f"{len(still.specs)} records came to no end: {_some(still)}")
    result.seconds = time.monotonic() - begun
    await _judge(border, still, result)
    return result


def _none_good(still: _Open, places: set[tuple[TopicPartition, int]]) -> bool:
    return not any(still.specs[place].becomes is Becomes.APPLIED for place in places & still.specs.keys())


async def _until(border: Border, still: _Open, done: Callable[[], bool]) -> bool:
    """Look until it is done; False when nothing at all has come for a long time."""
    last = time.monotonic()
    while True:
        found = await border.look()
        still.settle(border)
        if done():
            return True
        if found:
            last = time.monotonic()
        elif time.monotonic() - last > _PATIENCE_SECONDS:
            return False
        else:
            await asyncio.sleep(0.1)


async def _judge(border: Border, still: _Open, result: Result) -> None:
    twice = [id for id, times in border.applied.items() if times > 1]
    seen = [id for id in still.aborted if border.applied[id]]
    result.aside = await border.rows_aside()
    result.readiness = dict(border.states)
    result.peak_mebibytes = round(border.peak_mebibytes(), 1) if border.running() else 0.0
    health = await border.health()
    for wrong, what in (
        (twice, f"applied twice: {twice[:3]}"),
        (seen, f"applied out of an aborted transaction: {seen[:3]}"),
        (not border.running(), "the process is gone"),
        (result.peak_mebibytes >= MOST_MEBIBYTES, f"it held {result.peak_mebibytes} MiB"),
        (not result.faults and not health.get("ready"), f"all is done, and it is not ready: {health}"),
        (not result.faults and health.get("lag") != 0, f"all is done, and it tells of a lag: {health.get('lag')}"),
        (health.get("lag") and health.get("ready"), "it stands, and says that it is ready"),
        (not await _tells_what_is_set_aside(border), f"it tells {health.get('set_aside')}, there are {result.aside}"),
    ):
        if wrong:
            result.faults.append(what)


async def _tells_what_is_set_aside(border: Border) -> bool:
    """Whether health tells the same as the table; what waits is refused meanwhile, so they are asked again."""

    async def same() -> bool:
        return (await border.health()).get("set_aside") == await border.rows_aside()

    try:
        return await eventually(same, every=0.5)
    except AssertionError:
        return False


def _some(still: _Open) -> str:
    kinds = Counter(f"{spec.kind} -> {spec.becomes.value}" for spec in still.specs.values())
    places = [f"{tp.topic}/{tp.partition}@{offset} {spec.kind}" for (tp, offset), spec in list(still.specs.items())[:5]]
    return f"{dict(kinds)}, first {places}"
