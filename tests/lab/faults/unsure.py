"""Calls of which nobody knows what came: answers lost, and an adapter killed around them, for each kind of ledger."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from contracts.messages import Message
from contracts.messages.receipts import CreditAccepted, CreditRefused
from contracts.registry import Capability
from services.chassis.base.failpoints import Failpoint
from tests.lab.faults.answers import deliveries
from tests.lab.faults.books import transfers
from tests.lab.faults.cell import Cell, Outcome
from tests.lab.faults.kills import WHERE
from tests.lab.faults.load import DIRECTIONS, LATE, Story, letter, letters, visits
from tests.lab.faults.site import Site
from tests.lab.faults.striking import Strike, again, recover, strike

__all__ = ["unsure_cells"]

_CAPABILITIES: Final[tuple[Capability, ...]] = ("idempotent", "queryable", "neither")
_UNDER_WAY: Final = {("bridge", "transfers_under_way"): 1_000_000}
_LOST: Final = 2


def unsure_cells() -> list[Cell]:
    """By capability, so that those of one follow each other."""
    return [cell for one in _CAPABILITIES for cell in _of(one)]


def _of(capability: Capability) -> list[Cell]:
    known = None if capability == "idempotent" else capability  # what is configured
    lost = Cell(
        f"answer-lost-{capability}",
        "homes",
        f"both homes book {_LOST} credits each and nobody hears of it; their ledgers are {capability}",
        partial(_answers_lost, capability),
        capability=known,
        takes=20 if known else 10,
    )
    if known is None:
        return [lost]
    points: tuple[Failpoint, ...] = ("P6", "P7")
    act = _killed_neither if capability == "neither" else _killed_queryable
    return [lost] + [
        Cell(
            f"kill-adapter_sz-{point}-{capability}",
            "adapter_sz",
            f"{point}: {WHERE[point]}; the ledgers are {capability}",
            partial(act, point),
            capability=capability,
            takes=20,
        )
        for point in points
    ]


async def _answers_lost(capability: Capability, site: Site, rng: random.Random) -> Outcome:
    """Both kinds of home: one hears through Kafka, one through its adapter."""
    stories = [one for direction in DIRECTIONS for one in visits(rng, _LOST, direction=direction, kind="plain")]
    await site.publish(letters(stories, but=LATE))
    await site.drained()
    since = await site.quiet.ends()
    for code in ("gz", "sz"):
        await site.books.misbehave(code, {"commit_and_lose_answer": _LOST})
    begun = time.monotonic()
    await site.publish(letters(stories, only=LATE))
    checks: dict[str, bool] = {}
    if capability == "neither":
        asked = await _uncertain(site, stories)
        checks["uncertain_until_somebody_knows"] = len(asked) == len(stories)
        checks["booked_once_and_never_tried_again"] = all(one.postings == 1 for one in asked)
        recovered = time.monotonic() - begun
        await _reconciled(site, rng, stories, asked)
    else:
        await site.drained()
        recovered = time.monotonic() - begun
        kind = "CreditQueried" if capability == "queryable" else "CreditPosted"
        told = await deliveries(site, since, [record for story in stories for record in story.records])
        # The adapter asks its system again by itself; only the home on Kafka is asked by the bridge.
        checks["asked_again"] = all(told[one.records[0].record_ref, kind] >= _LEAST[kind] for one in _of_gz(stories))
    checks["misbehaved"] = not any([await site.misbehaviour_left(code) for code in ("gz", "sz")])
    more, notes = await site.judge(stories)
    return Outcome(checks | more, recovered, notes)


_LEAST: Final = {"CreditPosted": 2, "CreditQueried": 1}


def _of_gz(stories: Sequence[Story]) -> list[Story]:
    return [story for story in stories if story.visit.home == "gz"]


async def _killed_queryable(point: Failpoint, site: Site, rng: random.Random) -> Outcome:
    done = await strike("adapter_sz", point, site, rng)
    outcome = await recover(site, done)
    checks, notes = await site.judge(done.stories)
    return Outcome(done.checks | outcome.checks | checks, outcome.recovered_seconds, done.notes + notes)


async def _killed_neither(point: Failpoint, site: Site, rng: random.Random) -> Outcome:
    """What was under way then is uncertain, and nobody calls again; the home looks into its own books and says so."""
    done: Strike = await strike("adapter_sz", point, site, rng)
    await site.publish([one for wave in done.waves for one in wave])
    begun = await again(site, done)
    asked = await _uncertain(site, done.stories)
    recovered = time.monotonic() - begun
    wanted = 0 if point == "P6" else 1
    checks = done.checks | {
        "died_there": done.killed,
        "uncertain_until_somebody_knows": any(one.postings == wanted for one in asked),
        "never_tried_twice": all(one.postings <= 1 for one in asked),
    }
    checks |= site.in_time("recovered", recovered)
    stories = await _reconciled(site, rng, done.stories, asked)
    more, notes = await site.judge(stories)
    left = await transfers(site.books, [record for story in stories for record in story.records])
    more["transfers_closed"] = set(left) <= {"credited", "superseded", "refused"}
    seen = f"{len(asked)} uncertain, of these booked {sum(one.postings for one in asked)}"
    return Outcome(checks | more, recovered, [*done.notes, seen, *notes])


@dataclass(frozen=True)
class _Asked:
    """A transfer that is uncertain, and how often its home's own ledger has it."""

    row: Any
    postings: int
    posted_at: datetime | None


async def _uncertain(site: Site, stories: Sequence[Story]) -> list[_Asked]:
    """Wait until nothing moves but somebody has to know; gives what is uncertain then."""
    refs = [record.record_ref for story in stories for record in story.records]
    moving = "SELECT count(*) FROM transfer WHERE record_ref = ANY($1) AND state IN ('queued', 'sent')"

    async def settled() -> int:
        await site.drained(but=_UNDER_WAY)
        return int(await site.books.value("bridge", f"{moving} AND NOT {_BEHIND}", refs))

    await site.until(settled, 0, seconds=30)
    sql = "SELECT id, home, home_ref, delta, attempts, record_ref FROM transfer WHERE record_ref = ANY($1)"
    found = []
    for row in await site.books.fetch("bridge", f"{sql} AND state = 'uncertain'", refs):
        times = await site.books.fetch(
            f"sandbox_{row['home']}", "SELECT at FROM posting WHERE transfer_id = $1", row["id"]
        )
        found.append(_Asked(row, len(times), times[0][0] if times else None))
    return found


_BEHIND: Final = """EXISTS (SELECT FROM transfer AS first WHERE first.host = transfer.host
    AND first.record_ref = transfer.record_ref AND first.version < transfer.version AND first.state = 'uncertain')"""
"""A later version waits behind one that is uncertain."""


async def _reconciled(site: Site, rng: random.Random, stories: Sequence[Story], asked: Sequence[_Asked]) -> list[Story]:
    """The homes say what their own ledgers hold. What they never booked is refused for good, and its host attests the
    record anew: the next version carries the minutes."""
    said: list[tuple[str, Message]] = []
    for one in asked:
        ids = {"transfer_id": one.row["id"], "volunteer_ref": one.row["home_ref"]}
        answer: Message = CreditRefused(**ids, reason="never_booked", attempt=one.row["attempts"])
        if one.posted_at is not None:
            answer = CreditAccepted(**ids, delta=one.row["delta"], posted_at=one.posted_at)
        said.append((one.row["home"], answer))
    await site.publish([letter(rng, home, message, datetime.now(UTC)) for home, message in said])
    await site.drained()
    refused = {one.row["record_ref"] for one in asked if not one.postings}
    anew = [
        story.visit.attest(max(record.minutes, 1), 3, revoked=record.status == "revoked")
        for story in stories
        for record in story.records
        if record.record_ref in refused
    ]
    await site.publish([letter(rng, host, message, datetime.now(UTC)) for host, message in anew])
    await site.drained()
    return list(stories)
