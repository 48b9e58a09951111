"""Homes that answer badly: twice, late, after everybody gave up, with something else, or not for the moment."""

from __future__ import annotations

import random
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from contracts.messages import Message
from contracts.messages.deliveries import CreditPosted, CreditQueried
from contracts.messages.receipts import CreditAccepted, CreditRefused
from contracts.topics import DELIVERIES, RECEIPTS
from deploy.operate.ends import Ends
from tests.lab.faults.cell import Cell, Outcome
from tests.lab.faults.load import DIRECTIONS, LATE, Record, Story, letter, letters, visits
from tests.lab.faults.reading import read
from tests.lab.faults.scenes import plan
from tests.lab.faults.site import Site

__all__ = ["answer_cells", "deliveries"]

_TWICE, _REFUSED = 4, 6
_LATE_SECONDS: Final = 5.0
"""Later than the receipt is due, twice."""
_SLOW_SECONDS: Final = 7.0
"""Later than an adapter waits for an answer, and than the bridge does."""


def answer_cells() -> list[Cell]:
    """In both directions each: gz hears through Kafka, sz through its adapter."""
    slow = f"both ledgers let a credit lie for {_SLOW_SECONDS:.0f} s and book it after everybody gave up waiting"
    return [
        Cell("answers-twice", "homes", f"both homes answer {_TWICE} credits each twice", _twice),
        Cell("answers-late", "homes", f"both homes are closed for {_LATE_SECONDS:.0f} s", _late, takes=12),
        Cell("answers-slow", "homes", slow, _slow, takes=15),
        Cell(
            "answers-contradicting", "homes", "homes refuse, and say other minutes, after they accepted", _contradicting
        ),
        Cell("answers-refusing", "homes", f"both homes refuse {_REFUSED} credits each for the moment", _refusing),
    ]


@dataclass(frozen=True)
class _Done:
    """What was said, where the topics ended before, and how long it took until all was quiet."""

    stories: list[Story]
    since: Ends
    seconds: float

    @property
    def records(self) -> list[Record]:
        return [record for story in self.stories for record in story.records]


async def _misbehaving(site: Site, stories: list[Story], how: dict[str, Any]) -> _Done:
    """Both homes are asked to, and then credits come for them."""
    await site.publish(letters(stories, but=LATE))
    await site.drained()
    since = await site.quiet.ends()
    for code in ("gz", "sz"):
        await site.books.misbehave(code, how)
    begun = time.monotonic()
    await site.publish(letters(stories, only=LATE))
    await site.drained()
    return _Done(stories, since, time.monotonic() - begun)


async def _judged(site: Site, done: _Done, **checks: bool) -> Outcome:
    checks["misbehaved"] = not any([await site.misbehaviour_left(code) for code in ("gz", "sz")])
    more, notes = await site.judge(done.stories)
    return Outcome(checks | more, done.seconds, notes)


async def _twice(site: Site, rng: random.Random) -> Outcome:
    done = await _misbehaving(site, plan(rng, 16), {"answer_twice": _TWICE})
    given = await receipts(site, done.since, done.records)
    twice = {code: sum(count > 1 for (home, _), count in given.items() if home == code) for code in ("gz", "sz")}
    return await _judged(site, done, so_many_were_answered_twice=min(twice.values()) >= _TWICE)


async def _late(site: Site, rng: random.Random) -> Outcome:
    done = await _misbehaving(site, plan(rng, 16), {"down_for_seconds": _LATE_SECONDS})
    told = await deliveries(site, done.since, done.records)
    again = max(told.values()) > 1
    return await _judged(site, done, it_took_as_long=done.seconds > _LATE_SECONDS, credits_were_posted_again=again)


async def _slow(site: Site, rng: random.Random) -> Outcome:
    """One credit of each home: it is booked after its call was given up, and whoever asks again finds it booked."""
    stories = [one for direction in DIRECTIONS for one in visits(rng, 1, direction=direction, kind="plain")]
    log = site.child("adapter_sz").log
    seen = len(log.read_bytes())
    done = await _misbehaving(site, stories, {"commit_after_seconds": _SLOW_SECONDS})
    told = await deliveries(site, done.since, done.records)
    again = all(told[record.record_ref, "CreditPosted"] > 1 for record in done.records)
    gave_up = b"answer lost" in log.read_bytes()[seen:]
    return await _judged(site, done, the_bridge_posted_again=again, the_adapter_gave_up=gave_up)


async def _refusing(site: Site, rng: random.Random) -> Outcome:
    how = {"refuse": {"reason": "ledger_closed", "retry": True, "n": _REFUSED}}
    return await _judged(site, await _misbehaving(site, plan(rng, 16), how))


async def deliveries(site: Site, since: Ends, records: Sequence[Record]) -> Counter[tuple[str, str]]:
    """By record and type, how often credits were posted to the homes and asked about."""
    transfers = await _transfers(site, records)
    found: Counter[tuple[str, str]] = Counter()
    for code in ("gz", "sz"):
        for event in await read(site, DELIVERIES.of(code), since):
            if isinstance(event.data, CreditPosted | CreditQueried) and event.data.transfer_id in transfers:
                found[transfers[event.data.transfer_id], type(event.data).__name__] += 1
    return found


async def receipts(site: Site, since: Ends, records: Sequence[Record]) -> Counter[tuple[str, uuid.UUID]]:
    """By home and transfer, how often it was accepted."""
    transfers = await _transfers(site, records)
    given = [(code, one) for code in ("gz", "sz") for one in await read(site, RECEIPTS.of(code), since)]
    return Counter(
        (code, event.data.transfer_id)
        for code, event in given
        if isinstance(event.data, CreditAccepted) and event.data.transfer_id in transfers
    )


async def _transfers(site: Site, records: Sequence[Record]) -> dict[uuid.UUID, str]:
    sql = "SELECT id, record_ref FROM transfer WHERE record_ref = ANY($1)"
    rows = await site.books.fetch("bridge", sql, [record.record_ref for record in records])
    return {row["id"]: row["record_ref"] for row in rows}


async def _contradicting(site: Site, rng: random.Random) -> Outcome:
    """Their own ledgers are right; only what they say afterwards is not. It comes back to them, and moves nothing."""
    stories = plan(rng, 8)
    await site.publish(letters(stories))
    await site.drained()
    said: list[tuple[str, Message]] = []
    for code, row in await _posted(site, stories):
        ids = {"transfer_id": row["transfer_id"], "volunteer_ref": row["ref"]}
        said.append((code, CreditAccepted(**ids, delta=row["minutes"] + 7, posted_at=row["at"])))
        said.append((code, CreditRefused(**ids, reason="changed_our_mind", retry=bool(rng.getrandbits(1)))))
    stranger = CreditAccepted(
        transfer_id=uuid.UUID(int=rng.getrandbits(128), version=4),
        volunteer_ref=stories[0].visit.home_ref,
        delta=60,
        posted_at=datetime.now(UTC),
    )
    said.append((stories[0].visit.home, stranger))
    sent = [letter(rng, code, message, datetime.now(UTC)) for code, message in said]
    begun = time.monotonic()
    await site.publish(sent)
    await site.drained()
    recovered = time.monotonic() - begun
    checks, notes = await site.judge(stories)
    told = await site.refusals([one.event.id for one in sent])
    checks["each_came_back"] = len(told) == len(sent)
    checks["for_what_it_was"] = set(told.values()) == {"receipt_conflict", "unknown_transfer"}
    return Outcome(checks, recovered, [f"came back: {sorted(set(told.values()))}", *notes])


async def _posted(site: Site, stories: Sequence[Story]) -> list[tuple[str, Any]]:
    """Postings in the homes' own ledgers."""
    sql = "SELECT transfer_id, ref, minutes, at FROM posting WHERE record_ref = ANY($1)"
    refs = [record.record_ref for story in stories for record in story.records]
    return [(code, row) for code in ("gz", "sz") for row in await site.books.fetch(f"sandbox_{code}", sql, refs)]
