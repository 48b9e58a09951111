"""Each service put back to an earlier moment, all by itself: nothing that anybody can see becomes otherwise."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final
from weakref import WeakKeyDictionary

from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.topics import RECEIPTS
from tests.lab.faults.cell import Cell, Outcome
from tests.lab.faults.course import MOMENTS, RESTORED, Course
from tests.lab.faults.load import letters
from tests.lab.faults.scenes import plan
from tests.lab.faults.site import Site
from tests.support.facts import Facts, differences, taken
from tests.support.processes import died
from tests.support.topics_read import TopicsRead
from tests.support.waiting import eventually

__all__ = ["EVERY_DAY", "restored_cells"]

EVERY_DAY: Final = (
    "restored-identity-linking",
    "restored-opportunities-sent",
    "restored-attendance-race",
    "restored-bridge-begin",
    "restored-adapter_sz-sent",
    "restored-bridge-killed",
)
"""What the tests do; the whole is part of the matrix."""

_VISITS: Final = 4
_PASSINGS: Final = 6
"""A service that is killed while it decides again dies at one of so many commits, drawn by the seed."""
_DIES: Final = 60.0
_NOTES: Final = 8

_MAY_SAY: Final = {"adapter_sz": RECEIPTS.of("sz").name}
"""An adapter that finds itself restored asks its registry again, and passes on what it hears."""


@dataclass
class _Run:
    """The course of a site: all cells put services back to its moments. One that failed is not run again."""

    course: Course
    topics: TopicsRead
    failed: BaseException | None = None


_runs: WeakKeyDictionary[Site, _Run] = WeakKeyDictionary()


def restored_cells() -> list[Cell]:
    """Every service × every moment; to an empty database; and killed while it decides again what more came to."""
    table = [_cell(name, moment, f"put back to {what}") for name in RESTORED for moment, what in MOMENTS.items()]
    table += [_cell(name, "lost", "an empty database, whole logs") for name in RESTORED]
    table += [_killed(name) for name in RESTORED]
    return table


def _cell(name: str, moment: str, fault: str) -> Cell:
    return Cell(f"restored-{name}-{moment}", name, fault, partial(_restored, name, moment), takes=90)


def _killed(name: str) -> Cell:
    fault = "more is said while it is down; put back, killed while it decides again, started again"
    return Cell(f"restored-{name}-killed", name, fault, partial(_killed_again, name), takes=90)


async def _restored(name: str, moment: str, site: Site, rng: random.Random) -> Outcome:
    run = await _run_once(site, rng)
    before = await _before(site, run)
    begun = time.monotonic()
    await site.child(name).stop()
    await _put_back(run, site, name, moment)
    ready = await _started(site, name)
    await site.drained()
    return await _compared(site, run, name, before, ready, time.monotonic() - begun)


async def _killed_again(name: str, site: Site, rng: random.Random) -> Outcome:
    """What is said while it is down takes effect once, beside all that is decided again."""
    run = await _run_once(site, rng)
    before = await _before(site, run)
    stories = plan(rng, _VISITS)
    begun = time.monotonic()
    await site.child(name).stop()
    await site.publish(letters(stories))
    await _put_back(run, site, name, "linking")
    child = await site.launch(name, FAILPOINT=f"P2:{rng.randint(1, _PASSINGS)}")
    gone = await died(child, seconds=_DIES)
    ready = await _started(site, name)
    await site.drained()
    outcome = await _compared(site, run, name, before, ready, time.monotonic() - begun, more=True)
    checks, notes = await site.judge(stories)
    outcome.checks |= checks | {"died_while_it_decided_again": gone is not None and child.returncode == -signal.SIGKILL}
    outcome.notes += notes
    return outcome


async def _run_once(site: Site, rng: random.Random) -> _Run:
    """The course of this site: the first cell runs it."""
    if site not in _runs:
        topics = TopicsRead(site.stack.broker.address, site.stack.options.kinds)
        run = _runs[site] = _Run(Course(site, rng), topics)
        try:
            await run.course.run()
        except BaseException as error:
            run.failed = error
            raise
    assert (failed := _runs[site].failed) is None, f"the course came to no end: {failed}"
    return _runs[site]


async def _before(site: Site, run: _Run) -> Facts:
    await run.topics.read_on()
    return await taken(site.books, site.stack.dsn)


async def _put_back(run: _Run, site: Site, name: str, moment: str) -> None:
    database = site.stack.specs[name].database
    if moment == "lost":
        await run.course.dumps.empty(database)
    else:
        await run.course.dumps.put_back(moment, database)


async def _started(site: Site, name: str) -> bool:
    """Whether it comes to be ready; not if it ends, or says that it would now say something else."""
    child = await site.launch(name)
    otherwise = "SELECT count(*) FROM set_aside WHERE reason = 'said_otherwise'"

    async def settled() -> bool:
        if not child.running or (await site.health(name)).get("ready"):
            return True
        return bool(await site.books.value(site.stack.specs[name].database, otherwise))

    await eventually(settled, every=0.2, what=f"{name} ready again")
    return bool((await site.health(name)).get("ready"))


async def _compared(
    site: Site, run: _Run, name: str, before: Facts, ready: bool, seconds: float, *, more: bool = False
) -> Outcome:
    """``more``: whether new facts are wanted, too; nothing that was a fact may be lost in any case."""
    fresh, again = await run.topics.read_on()
    found = [one for one in differences(before, await taken(site.books, site.stack.dsn)) if not more or " lost " in one]
    anew = [] if more else [str(one) for one in fresh if one.topic != _MAY_SAY.get(name)]
    doubled = run.topics.doubled()
    ledgers = [one for one in found if one.startswith("sandbox_")]
    checks = {
        "course_as_planned": run.course.as_planned,
        "ready_again": ready,
        "facts_equal": len(found) == len(ledgers),
        "books_of_registries_equal": not ledgers,
        "no_second_body": not doubled,
        "nothing_said_again": not again,
        "nothing_said_anew": not anew,
    }
    notes = [*_few("", found), *_few("second body: ", doubled), *_few("said again: ", map(str, again))]
    notes += [*_few("said anew: ", anew), *await _otherwise(site, name), *run.course.notes]
    return Outcome(checks, seconds, notes)


async def _otherwise(site: Site, name: str) -> list[str]:
    """What it would say now, beside what it said."""
    sql = """SELECT topic, partition, "offset", value FROM set_aside
             WHERE reason = 'said_otherwise' ORDER BY seq LIMIT 3"""
    found = []
    for topic, partition, offset, value in await site.books.fetch(site.stack.specs[name].database, sql):
        reader = AIOKafkaConsumer(bootstrap_servers=site.stack.broker.address, group_id=None, enable_auto_commit=False)
        reader.assign([place := TopicPartition(topic, partition)])
        await reader.start()
        try:
            reader.seek(place, offset)
            there = await reader.getone()
        finally:
            await reader.stop()
        found.append(f"would say {value.decode()} and said {(there.value or b'').decode()}")
    return found


def _few(word: str, notes: Iterable[str]) -> list[str]:
    listed = list(notes)
    more = [f"{word}{len(listed) - _NOTES} more"] if len(listed) > _NOTES else []
    return [*(f"{word}{one}"[:400] for one in listed[:_NOTES]), *more]
