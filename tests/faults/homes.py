"""Homes that are away, or answer badly: late, twice, with something else, or not at all."""

from __future__ import annotations

import random
import shutil
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

from contracts.messages import Message
from contracts.messages.receipts import CreditAccepted, CreditRefused
from contracts.registry import Capability
from deploy.demo.lines import Letter
from deploy.local.registries import write_registries
from tests.faults.cell import Cell, Outcome
from tests.faults.load import DIRECTIONS, Planned, letter, letters, plan
from tests.faults.site import Site

__all__ = ["home_cells"]

_CAPABILITIES: Final[tuple[Capability, ...]] = ("idempotent", "queryable", "neither")
_TELL_OF_REGISTRIES: Final = ("sandbox_gz", "sandbox_sz", "adapter_sz", "bridge")
_AT_ONCE: Final = 500
"""Visits whose links, shifts and sign-ups are under way together: what waits longer than AWAIT_FACTS is refused."""
_LATE_SECONDS: Final = 5.0
"""Later than the receipt is due, twice."""


def home_cells(*, full: bool) -> list[Cell]:
    """In both directions each: gz hears through Kafka, sz through its adapter."""
    waiting = 10_000 if full else 300
    lost = "both homes book two credits each and nobody hears of it; their ledgers are {}"
    return [
        Cell("homes-down", "homes", f"both homes killed while {waiting} records wait", partial(_down, waiting)),
        *(
            Cell(f"answer-lost-{one}", "homes", lost.format(one), partial(_lost, one), takes=15)
            for one in _CAPABILITIES
        ),
        Cell("answers-twice", "homes", "both homes answer four credits each twice", _twice),
        Cell("answers-late", "homes", f"both homes are closed for {_LATE_SECONDS:.0f} s", _late),
        Cell(
            "answers-contradicting", "homes", "homes refuse, and say other minutes, after they accepted", _contradicting
        ),
        Cell("answers-refusing", "homes", "both homes refuse six credits each for the moment", _refusing),
    ]


async def _down(count: int, site: Site, rng: random.Random) -> Outcome:
    planned = plan(rng, count)
    for start in range(0, count, _AT_ONCE):
        await _all_but_attested(site, planned[start : start + _AT_ONCE])
    homes = ("sandbox_gz", "sandbox_sz")
    for name in homes:
        site.child(name).kill()
        await site.child(name).wait()
    await site.publish(_attested(planned))
    refs = [one.visit.record_ref for one in planned if one.minutes]
    sql = "SELECT count(DISTINCT record_ref) FROM transfer WHERE record_ref = ANY($1) AND state <> 'credited'"
    await site.until(lambda: site.books.value("bridge", sql, refs), len(refs), seconds=60 + count / 20)
    begun = time.monotonic()
    for name in homes:
        await site.stack.start(name)
    await site.drained()
    recovered = time.monotonic() - begun
    checks, notes = await site.judge(planned)
    return Outcome(checks, recovered, [f"{len(refs)} transfers waited", *notes])


async def _lost(capability: Capability, site: Site, rng: random.Random) -> Outcome:
    if capability != "idempotent":
        await _reconfigure(site, capability)
    try:
        return await _answers_lost(capability, site, rng)
    finally:
        if capability != "idempotent":
            await _reconfigure(site, None)


async def _reconfigure(site: Site, capability: Capability | None) -> None:
    """Both registries with this capability, or as they are configured; whoever knows of it is started again."""
    kinds = site.stack.options.kinds
    target = site.stack.folder / "registries"
    shutil.rmtree(target)
    write_registries(target, kinds, capabilities=dict.fromkeys(kinds, capability) if capability else None)
    for name in _TELL_OF_REGISTRIES:
        await site.restart(name)


async def _answers_lost(capability: Capability, site: Site, rng: random.Random) -> Outcome:
    planned = [one for direction in DIRECTIONS for one in plan(rng, 2, direction=direction)]
    await _all_but_attested(site, planned)
    for code in ("gz", "sz"):
        await site.books.misbehave(code, {"commit_and_lose_answer": 2})
    begun = time.monotonic()
    await site.publish(_attested(planned))
    if capability != "neither":
        await site.drained()
        checks, notes = await site.judge(planned)
        return Outcome(checks, time.monotonic() - begun, notes)
    await site.drained(but={("bridge", "transfers_under_way"): len(planned)})
    seen = await _states(site, planned)
    posted = await _postings(site, planned)
    await site.publish(
        [letter(rng, home, said, datetime.now(UTC)) for home, said in await _late_answers(site, planned)]
    )
    await site.drained()
    checks, notes = await site.judge(planned)
    checks |= {"uncertain_until_somebody_knows": seen == {"uncertain"}, "never_tried_twice": posted == len(planned)}
    return Outcome(checks, time.monotonic() - begun, notes)


async def _all_but_attested(site: Site, planned: Sequence[Planned]) -> None:
    attested = {one.event.id for one in _attested(planned)}
    await site.publish([one for one in letters(planned) if one.event.id not in attested])
    await site.drained()


def _attested(planned: Sequence[Planned]) -> list[Letter]:
    return [one for one in letters(planned) if one.event.type.endswith("service_attested.v1")]


async def _states(site: Site, planned: Sequence[Planned]) -> set[str]:
    sql = "SELECT DISTINCT state FROM transfer WHERE record_ref = ANY($1)"
    return {row[0] for row in await site.books.fetch("bridge", sql, [one.visit.record_ref for one in planned])}


async def _postings(site: Site, planned: Sequence[Planned]) -> int:
    sql = "SELECT count(*) FROM audit_credits WHERE volunteer_ref = ANY($1)"
    refs = [one.visit.home_ref for one in planned]
    return sum([await site.books.value(f"sandbox_{code}", sql, refs) for code in ("gz", "sz")])


async def _late_answers(site: Site, planned: Sequence[Planned], plus: int = 0) -> list[tuple[str, Message]]:
    """What the homes' own ledgers hold, as receipts in their names; ``plus`` minutes more than they do."""
    found: list[tuple[str, Message]] = []
    sql = "SELECT transfer_id, ref, minutes, at FROM posting WHERE ref = ANY($1)"
    for code in ("gz", "sz"):
        refs = [one.visit.home_ref for one in planned if one.visit.home == code]
        for row in await site.books.fetch(f"sandbox_{code}", sql, refs):
            said = CreditAccepted(
                transfer_id=row["transfer_id"],
                volunteer_ref=row["ref"],
                delta=row["minutes"] + plus,
                posted_at=row["at"],
            )
            found.append((code, said))
    return found


async def _twice(site: Site, rng: random.Random) -> Outcome:
    planned = plan(rng, 16)
    await _all_but_attested(site, planned)
    for code in ("gz", "sz"):
        await site.books.misbehave(code, {"answer_twice": 4})
    return await _attest_and_judge(site, planned)


async def _late(site: Site, rng: random.Random) -> Outcome:
    planned = plan(rng, 16)
    await _all_but_attested(site, planned)
    for code in ("gz", "sz"):
        await site.books.misbehave(code, {"down_for_seconds": _LATE_SECONDS})
    return await _attest_and_judge(site, planned)


async def _refusing(site: Site, rng: random.Random) -> Outcome:
    planned = plan(rng, 16)
    await _all_but_attested(site, planned)
    for code in ("gz", "sz"):
        await site.books.misbehave(code, {"refuse": {"reason": "ledger_closed", "retry": True, "n": 6}})
    return await _attest_and_judge(site, planned)


async def _attest_and_judge(site: Site, planned: Sequence[Planned]) -> Outcome:
    begun = time.monotonic()
    await site.publish(_attested(planned))
    await site.drained()
    recovered = time.monotonic() - begun
    checks, notes = await site.judge(planned)
    return Outcome(checks, recovered, notes)


async def _contradicting(site: Site, rng: random.Random) -> Outcome:
    """Their own ledgers are right; only what they say afterwards is not. It comes back to them, and moves nothing."""
    planned = plan(rng, 8)
    await site.publish(letters(planned))
    await site.drained()
    said = await _late_answers(site, planned, plus=7)
    for code, accepted in await _late_answers(site, planned):
        assert isinstance(accepted, CreditAccepted)
        refused = CreditRefused(
            transfer_id=accepted.transfer_id,
            volunteer_ref=accepted.volunteer_ref,
            reason="changed_our_mind",
            retry=bool(rng.getrandbits(1)),
        )
        said.append((code, refused))
    stranger = CreditAccepted(
        transfer_id=uuid.UUID(int=rng.getrandbits(128), version=4),
        volunteer_ref=planned[0].visit.home_ref,
        delta=60,
        posted_at=datetime.now(UTC),
    )
    said.append((planned[0].visit.home, stranger))
    sent = [letter(rng, code, message, datetime.now(UTC)) for code, message in said]
    begun = time.monotonic()
    await site.publish(sent)
    await site.drained()
    recovered = time.monotonic() - begun
    checks, notes = await site.judge(planned)
    told = await site.refusals([one.event.id for one in sent])
    checks["each_came_back"] = len(told) == len(sent)
    checks["for_what_it_was"] = set(told.values()) == {"receipt_conflict", "unknown_transfer"}
    return Outcome(checks, recovered, [f"came back: {sorted(set(told.values()))}", *notes])
