"""The comparison of the books finds what it is there for: each planted mistake turns the right check red, alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from tests.lab.faults.books import judge
from tests.lab.faults.load import Story, sums
from tests.lab.faults.scenes import plan, settled


class Shelf:
    """Books as they should be after a plan, asked by fragments of the statements; a test changes what is read."""

    def __init__(self, stories: Sequence[Story]) -> None:
        self.credits = [(home, ref, minutes) for (home, ref), minutes in sums(stories).items() if minutes]
        records = [record for story in stories for record in story.records]
        self.served = [(one.host, one.record_ref, one.minutes, one.status) for one in records]
        self.signups = {code: _standing(stories) for code in ("gz", "sz")}
        self.consents = {
            (place, ref): ("given", story.consent_version)
            for story in stories
            if story.consent_version is not None
            for place, ref in _places(story)
        }
        self.doubled: list[str] = []
        self.states = {"credited": len(records)}
        self.refused: list[dict[str, str]] = []
        self.aside: dict[str, list[dict[str, Any]]] = {}
        self.rejected = 0

    async def fetch(self, database: str, sql: str, *arguments: Any) -> list[Any]:
        code = database.removeprefix("sandbox_")
        if "sum(minutes)" in sql:
            return [{"volunteer_ref": ref, "m": minutes} for home, ref, minutes in self.credits if home == code]
        if "HAVING" in sql:
            return [(one,) for one in self.doubled] if code == "gz" else []
        if "audit_served" in sql:
            found = [one for one in self.served if one[0] == code]
            return [{"record_ref": ref, "minutes": minutes, "status": status} for _, ref, minutes, status in found]
        if "FROM signup" in sql:
            rows = self.signups[code]
            return [{"state": rows[ref][0], "reason": rows[ref][1]} for ref in arguments[0] if ref in rows]
        if "FROM consent" in sql:
            return [self.consents[code, arguments[0]]] if (code, arguments[0]) in self.consents else []
        return self._of_services(database, code, sql)

    def _of_services(self, database: str, code: str, sql: str) -> list[Any]:
        if "FROM transfer" in sql:
            return [{"state": state, "n": count} for state, count in self.states.items()]
        if "FROM refusal" in sql:
            return self.refused if code == "gz" else []
        assert "FROM set_aside" in sql
        return self.aside.get(database, [])

    async def value(self, database: str, sql: str, *_: object) -> int:
        assert "notice" in sql
        return self.rejected


def _places(story: Story) -> list[tuple[str, str]]:
    visit = story.visit
    return [("bridge", visit.home_ref), (visit.home, visit.home_ref), (visit.host, visit.host_ref)]


def _standing(stories: Sequence[Story]) -> dict[str, tuple[str, str | None]]:
    """Sign-ups by ref: state and reason, the promoted ones last of those with a post."""
    found: dict[str, tuple[str, str | None]] = {}
    for story in stories:
        for ends in story.signups:
            refs = iter(ends.refs)
            for stand, count in ends.stand.items():
                for number in range(count):
                    state = "promoted" if number < ends.promoted else "confirmed"
                    known = {"post": (state, None), "waitlisted": (stand, None), "withdrawn": (stand, None)}
                    found[next(refs)] = known.get(stand, ("refused", stand))
    return found


def _stories() -> list[Story]:
    stories = plan(random.Random(3), 8)
    return [settled(one, list(one.may_leave)[3:]) for one in stories]


async def _red(shelf: Shelf) -> set[str]:
    checks, notes = await judge(shelf, _stories(), {})  # type: ignore[arg-type]
    red = {name for name, held in checks.items() if not held}
    assert bool(red) == bool(notes)
    return red


async def test_books_that_are_right_are_green() -> None:
    assert await _red(Shelf(_stories())) == set()


def test_a_plan_has_a_promotion_a_clash_minors_a_renewed_consent_and_corrections_both_ways() -> None:
    """Or the invariants that speak of them hold for want of an occasion."""
    stories = _stories()
    stand = [ends for story in stories for ends in story.signups]
    assert sum(ends.promoted for ends in stand) == 2
    assert {"clash", "guardian_missing", "waitlisted", "withdrawn"} <= {how for ends in stand for how in ends.stand}
    assert [story.visit.guardian_approved for story in stories].count(True) == 1
    assert [story.consent_version for story in stories].count(2) == 1
    versions = [[one.event.data.minutes for one in story.said if _corrects(one)] for story in stories]  # type: ignore[attr-defined]
    pairs = [of_story for of_story in versions if len(of_story) == 2]
    assert any(first < second for first, second in pairs)
    assert any(first > second for first, second in pairs)


def _corrects(one: Any) -> bool:
    return type(one.event.data).__name__ == "ServiceAttested" and not one.event.data.revoked


def _lost(shelf: Shelf) -> None:
    del shelf.credits[0]


def _a_minute_more(shelf: Shelf) -> None:
    home, ref, minutes = shelf.credits[2]
    shelf.credits[2] = (home, ref, minutes + 1)


def _in_the_wrong_ledger(shelf: Shelf) -> None:
    _, ref, minutes = shelf.credits[0]
    shelf.credits[0] = ("elsewhere", ref, minutes)


def _in_both_ledgers(shelf: Shelf) -> None:
    home, ref, minutes = shelf.credits[0]
    shelf.credits.append(("gz" if home == "sz" else "sz", ref, minutes))


@pytest.mark.parametrize("plant", [_lost, _a_minute_more, _in_the_wrong_ledger, _in_both_ledgers])
async def test_minutes_that_are_not_those_attested_are_red(plant: Any) -> None:
    shelf = Shelf(_stories())
    plant(shelf)
    assert await _red(shelf) == {"credited_once"}


async def test_a_transfer_posted_twice_is_red_whatever_the_sum() -> None:
    shelf = Shelf(_stories())
    shelf.doubled = ["a-transfer"]
    assert await _red(shelf) == {"credited_once"}


async def test_a_host_that_was_not_told_is_red() -> None:
    shelf = Shelf(_stories())
    host, ref, minutes, _ = shelf.served[0]
    shelf.served[0] = (host, ref, minutes, "pending")
    assert await _red(shelf) == {"host_knows"}


@pytest.mark.parametrize("before", ["confirmed", "promoted", "waitlisted", "withdrawn", "refused"])
@pytest.mark.parametrize("code", ["gz", "sz"])
async def test_a_sign_up_that_stands_otherwise_in_one_of_the_books_is_red(before: str, code: str) -> None:
    shelf = Shelf(_stories())
    ref = next(ref for ref, (state, _) in shelf.signups[code].items() if state == before)
    shelf.signups[code][ref] = ("waitlisted", None) if before == "refused" else ("refused", "full")
    assert await _red(shelf) == {"signups_as_planned"}


async def test_a_post_that_was_never_handed_on_is_red_though_as_many_hold_one() -> None:
    shelf = Shelf(_stories())
    ref = next(ref for ref, (state, _) in shelf.signups["gz"].items() if state == "promoted")
    shelf.signups["gz"][ref] = ("confirmed", None)
    assert await _red(shelf) == {"signups_as_planned"}


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("stands", [("withdrawn", 1), ("given", 1), None])
async def test_whoever_does_not_know_of_the_renewed_consent_is_red(stands: tuple[str, int] | None, number: int) -> None:
    shelf = Shelf(_stories())
    place = list(shelf.consents)[number]
    if stands is None:
        del shelf.consents[place]
    else:
        shelf.consents[place] = stands
    assert await _red(shelf) == {"consents_as_planned"}


@pytest.mark.parametrize("state", ["queued", "sent", "uncertain", "withheld", "refused"])
async def test_a_transfer_that_is_not_credited_is_red(state: str) -> None:
    shelf = Shelf(_stories())
    shelf.states = {"credited": 7, state: 1}
    assert await _red(shelf) == {"transfers_closed"}


async def test_a_good_message_that_came_back_or_was_set_aside_is_red() -> None:
    shelf = Shelf(_stories())
    shelf.refused = [{"message_id": "m", "reason": "not_linked", "detail": ""}]
    assert await _red(shelf) == {"nothing_refused"}
    shelf = Shelf(_stories())
    shelf.aside = {"attendance": [{"reason": "raised", "n": 1, "d": "KeyError"}]}
    assert await _red(shelf) == {"nothing_set_aside"}
    shelf = Shelf(_stories())
    shelf.rejected = 1
    assert await _red(shelf) == {"nothing_set_aside"}
