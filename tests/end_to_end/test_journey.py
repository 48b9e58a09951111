"""The whole way of an hour through real processes: registry to registry, and what goes wrong on it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from contracts.messages.base import AgeBand
from contracts.messages.volunteers import ConsentWithdrawn
from deploy.linkage import SERVICES
from tests.support.journey import Linkage, Visit
from tests.support.waiting import eventually

DIRECTIONS = [("sz", "gz"), ("gz", "sz")]

pytestmark = pytest.mark.whole


def _is(question: Callable[[Visit], Coroutine[Any, Any, Any]], visit: Visit, wanted: object) -> Any:
    async def asked() -> bool:
        found = await question(visit)
        assert found == wanted, f"{question.__name__}: {found!r}, wanted {wanted!r}"
        return True

    return asked


async def arrived(linkage: Linkage, visit: Visit) -> None:
    """Linked, signed up and present; nothing attested yet."""
    await linkage.say(*visit.link(), *visit.publish(), visit.sign_up())
    await linkage.say(*visit.presence(), at=visit.start)


@pytest.mark.parametrize(("home", "host"), DIRECTIONS)
async def test_minutes_served_in_one_registry_stand_once_in_the_other(linkage: Linkage, home: str, host: str) -> None:
    visit = Visit(home, host)
    await arrived(linkage, visit)
    await linkage.say(visit.attest(125), at=visit.start + timedelta(hours=5))
    await eventually(_is(linkage.posted, visit, [125]))
    await eventually(_is(linkage.served, visit, (1, 125, "confirmed")))
    await eventually(_is(linkage.transfers, visit, {1: "credited"}))


@pytest.mark.parametrize(("home", "host"), DIRECTIONS)
async def test_signed_up_in_both_apps_at_once_she_stands_once_and_confirmed_in_the_books_of_both(
    linkage: Linkage, home: str, host: str
) -> None:
    """Seen: it ended as refused(already_signed_up) in both books and rosters, while the linkage had her confirmed."""
    visit = Visit(home, host)
    await linkage.say(*visit.link(), *visit.publish())
    await linkage.say(visit.sign_up(), visit.sign_up_over_there())
    both = "SELECT count(*) = 2 FROM signup_answered WHERE signup_ref = ANY($1)"
    numbers = [visit.signup_ref, f"v-{visit.mark}"]
    for code in (home, host):
        await eventually(partial(linkage.books[code].fetchval, both, numbers))
    assert await linkage.rosters(visit) == {home: ["confirmed"], host: ["confirmed"]}
    await linkage.say(visit.give_back(), at=visit.start - timedelta(days=1))
    await eventually(_is(linkage.rosters, visit, {home: ["withdrawn"], host: ["withdrawn"]}))


async def test_everything_in_the_wrong_order_waits_and_is_applied(linkage: Linkage) -> None:
    visit = Visit("sz", "gz")
    await linkage.say(visit.attest(100), *visit.presence(), visit.sign_up())
    await linkage.say(*reversed(visit.publish()), *reversed(visit.link()))
    await eventually(_is(linkage.posted, visit, [100]))


async def test_a_correction_that_comes_before_its_original_leaves_the_right_total(linkage: Linkage) -> None:
    visit = Visit("sz", "gz")
    await arrived(linkage, visit)
    await linkage.say(visit.attest(90, 2), visit.attest(200, 1), at=visit.start + timedelta(hours=5))
    await eventually(_is(linkage.total, visit, 90))
    await eventually(_is(linkage.served, visit, (2, 90, "confirmed")))


@pytest.mark.parametrize(("home", "host"), DIRECTIONS)
async def test_a_lowering_while_the_first_credit_is_under_way_leaves_the_right_total(
    linkage: Linkage, home: str, host: str
) -> None:
    visit = Visit(home, host)
    await arrived(linkage, visit)
    await linkage.misbehave(home, down_for_seconds=4)
    await linkage.say(visit.attest(120), at=visit.start + timedelta(hours=5))
    await eventually(_is(linkage.transfers, visit, {1: "sent"}))
    await linkage.say(visit.attest(45, 2), at=visit.start + timedelta(hours=6))
    await eventually(_is(linkage.transfers, visit, {1: "sent", 2: "queued"}))
    await eventually(_is(linkage.posted, visit, [120, -75]))
    await eventually(_is(linkage.transfers, visit, {1: "credited", 2: "credited"}))


async def test_a_revocation_after_consent_was_withdrawn_is_posted_without_its_record(linkage: Linkage) -> None:
    visit = Visit("sz", "gz")
    await arrived(linkage, visit)
    await linkage.say(visit.attest(120), at=visit.start + timedelta(hours=5))
    await eventually(_is(linkage.posted, visit, [120]))
    withdrawn = ConsentWithdrawn(volunteer_ref=visit.home_ref, registry="gz", version=1)
    await linkage.say(("sz", withdrawn), at=visit.start + timedelta(hours=6))
    await eventually(
        lambda: linkage.bridge.fetchval(
            "SELECT true FROM consent WHERE home_ref = $1 AND state = 'withdrawn'", visit.home_ref
        )
    )
    await linkage.say(visit.attest(120, 2, revoked=True), at=visit.start + timedelta(hours=7))
    await eventually(_is(linkage.posted, visit, [120, -120]))
    await eventually(_is(linkage.transfers, visit, {1: "credited", 2: "credited"}))
    await eventually(_is(linkage.served, visit, (2, 120, "revoked")))
    named = "SELECT record_ref IS NOT NULL FROM posting WHERE ref = $1 ORDER BY number"
    told = await linkage.books[visit.home].fetch(named, visit.home_ref)
    assert [row[0] for row in told] == [True, False], "nothing of the record is told"


@pytest.mark.parametrize(("home", "host"), DIRECTIONS)
async def test_a_credit_that_was_booked_but_whose_answer_was_lost_is_booked_once(
    linkage: Linkage, home: str, host: str
) -> None:
    visit = Visit(home, host)
    await arrived(linkage, visit)
    await linkage.misbehave(home, commit_and_lose_answer=1)
    await linkage.say(visit.attest(60), at=visit.start + timedelta(hours=5))
    await eventually(_is(linkage.transfers, visit, {1: "credited"}))
    assert await linkage.posted(visit) == [60]


@pytest.mark.parametrize(("home", "host"), DIRECTIONS)
async def test_a_home_that_answers_twice_changes_nothing(linkage: Linkage, home: str, host: str) -> None:
    visit = Visit(home, host)
    await arrived(linkage, visit)
    await linkage.misbehave(home, answer_twice=1)
    await linkage.say(visit.attest(61), at=visit.start + timedelta(hours=5))
    await eventually(_is(linkage.transfers, visit, {1: "credited"}))
    assert await linkage.posted(visit) == [61]


async def test_a_service_without_check_in_is_held_until_the_check_in_comes(linkage: Linkage) -> None:
    visit = Visit("sz", "gz")
    await linkage.say(*visit.link(), *visit.publish(), visit.sign_up())
    await linkage.say(visit.attest(230), at=visit.start + timedelta(hours=5))
    await eventually(_is(linkage.served, visit, (1, 230, "held")))
    assert await linkage.posted(visit) == []
    await linkage.say(*visit.presence(), at=visit.start)
    await eventually(_is(linkage.posted, visit, [230]))
    await eventually(_is(linkage.served, visit, (1, 230, "confirmed")))


async def test_a_ref_that_was_never_linked_is_refused_to_its_sender_once_its_time_is_up(linkage: Linkage) -> None:
    visit = Visit("sz", "gz")
    await linkage.say(*visit.publish(), visit.attest(30))
    await eventually(_is(linkage.served, visit, (1, 30, "refused")))
    assert await linkage.transfers(visit) == {}


async def test_a_child_is_refused_a_shift_for_adults_and_gets_no_post(linkage: Linkage) -> None:
    visit = Visit("sz", "gz", age_band=AgeBand.FROM_14)
    await linkage.say(*visit.link(), *visit.publish(), visit.sign_up())
    asked = "SELECT detail FROM step WHERE what = 'signup_refused' AND detail ->> 'shift_ref' = $1"
    detail = await eventually(lambda: linkage.bridge.fetchval(asked, visit.shift["shift_ref"]))
    assert '"guardian_missing"' in detail


async def test_who_still_stands_in_line_once_the_shift_has_begun_is_told_so_at_home(linkage: Linkage) -> None:
    first, second = Visit("sz", "gz"), Visit("sz", "gz")
    second.where = first.mark
    await linkage.say(*first.link(), *second.link(), *first.publish(posts=1, waitlist_posts=1))
    for visit, state in ((first, "confirmed"), (second, "waitlisted")):
        await linkage.say(visit.sign_up())
        await eventually(_is(linkage.stands, visit, (state, None)))
    await linkage.hasten_end_of_line(first)
    await eventually(_is(linkage.stands, second, ("withdrawn", "waitlist_closed")))
    assert await linkage.stands(first) == ("confirmed", None)


async def test_a_drained_linkage_has_nothing_to_do_and_what_was_said_meanwhile_counts_afterwards(
    linkage: Linkage,
) -> None:
    before, meanwhile = Visit("sz", "gz"), Visit("sz", "gz")
    for visit in (before, meanwhile):
        await arrived(linkage, visit)
    await linkage.say(before.attest(60), at=before.start + timedelta(hours=5))
    drained = await linkage.upgrade("drain")
    assert drained["paused"] == ["gz", "sz"]
    await linkage.say(meanwhile.attest(90), at=meanwhile.start + timedelta(hours=5))
    assert (await linkage.upgrade("drain"))["paused"] == [], "both are paused already"
    assert await linkage.posted(meanwhile) == []
    assert await linkage.upgrade("resume") == {"resumed": ["gz", "sz"]}
    await eventually(_is(linkage.posted, before, [60]))
    await eventually(_is(linkage.posted, meanwhile, [90]))


async def test_a_service_killed_in_the_middle_comes_back_and_nothing_is_lost_or_doubled(linkage: Linkage) -> None:
    visits = [Visit("sz", "gz") for _ in range(12)]
    for visit in visits[:6]:
        await arrived(linkage, visit)
    for name in ("bridge", "attendance", "opportunities", "identity"):
        linkage.stack.processes[name].kill()
    for visit in visits[6:]:
        await arrived(linkage, visit)
    for visit in visits:
        await linkage.say(visit.attest(77), at=visit.start + timedelta(hours=5))
    for name in SERVICES:
        await linkage.stack.start(name)
    for visit in visits:
        await eventually(_is(linkage.posted, visit, [77]))
