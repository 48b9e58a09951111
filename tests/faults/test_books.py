"""The comparison of the books finds what it is there for: each planted mistake turns the right check red, alone."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.faults.books import judge
from tests.faults.load import Planned, plan


class Shelf:
    """Books as they should be after a plan, asked by fragments of the statements; ``planted`` changes what is read."""

    def __init__(self, planned: list[Planned]) -> None:
        self.credits = [(one.visit.home, one.visit.home_ref, one.minutes) for one in planned]
        self.served = [(one.visit.host, one.visit.record_ref, one.minutes, one.status) for one in planned]
        self.doubled: list[str] = []
        self.states = {"credited": len(planned)}
        self.refused: list[dict[str, str]] = []
        self.aside: dict[str, list[dict[str, Any]]] = {}
        self.rejected = 0

    async def fetch(self, database: str, sql: str, *_: object) -> list[Any]:
        code = database.removeprefix("sandbox_")
        if "sum(minutes)" in sql:
            return [{"volunteer_ref": ref, "m": minutes} for home, ref, minutes in self.credits if home == code]
        if "HAVING" in sql:
            return [(one,) for one in self.doubled] if code == "gz" else []
        if "audit_served" in sql:
            found = [one for one in self.served if one[0] == code]
            return [{"record_ref": ref, "minutes": minutes, "status": status} for _, ref, minutes, status in found]
        if "FROM transfer" in sql:
            return [{"state": state, "n": count} for state, count in self.states.items()]
        if "FROM refusal" in sql:
            return self.refused if code == "gz" else []
        assert "FROM set_aside" in sql
        return self.aside.get(database, [])

    async def value(self, database: str, sql: str, *_: object) -> int:
        assert "notice" in sql
        return self.rejected


def _planned() -> list[Planned]:
    return plan(random.Random(3), 8)


async def _red(shelf: Shelf) -> set[str]:
    checks, notes = await judge(shelf, _planned(), {})  # type: ignore[arg-type]
    red = {name for name, held in checks.items() if not held}
    assert bool(red) == bool(notes)
    return red


async def test_books_that_are_right_are_green() -> None:
    assert await _red(Shelf(_planned())) == set()


def _lost(shelf: Shelf) -> None:
    del shelf.credits[0]


def _a_minute_more(shelf: Shelf) -> None:
    home, ref, minutes = shelf.credits[2]
    shelf.credits[2] = (home, ref, minutes + 1)


def _in_the_wrong_ledger(shelf: Shelf) -> None:
    _, ref, minutes = shelf.credits[0]
    shelf.credits[0] = ("elsewhere", ref, minutes)


@pytest.mark.parametrize("plant", [_lost, _a_minute_more, _in_the_wrong_ledger])
async def test_minutes_that_are_not_those_attested_are_red(plant: Any) -> None:
    shelf = Shelf(_planned())
    plant(shelf)
    assert await _red(shelf) == {"credited_once"}


async def test_a_transfer_posted_twice_is_red_whatever_the_sum() -> None:
    shelf = Shelf(_planned())
    shelf.doubled = ["a-transfer"]
    assert await _red(shelf) == {"credited_once"}


async def test_a_host_that_was_not_told_is_red() -> None:
    shelf = Shelf(_planned())
    host, ref, minutes, _ = shelf.served[0]
    shelf.served[0] = (host, ref, minutes, "pending")
    assert await _red(shelf) == {"host_knows"}


@pytest.mark.parametrize("state", ["queued", "sent", "uncertain", "withheld", "refused"])
async def test_a_transfer_that_is_not_credited_is_red(state: str) -> None:
    shelf = Shelf(_planned())
    shelf.states = {"credited": 7, state: 1}
    assert await _red(shelf) == {"transfers_closed"}


async def test_a_good_message_that_came_back_or_was_set_aside_is_red() -> None:
    shelf = Shelf(_planned())
    shelf.refused = [{"message_id": "m", "reason": "not_linked", "detail": ""}]
    assert await _red(shelf) == {"nothing_refused"}
    shelf = Shelf(_planned())
    shelf.aside = {"attendance": [{"reason": "raised", "n": 1, "d": "KeyError"}]}
    assert await _red(shelf) == {"nothing_set_aside"}
    shelf = Shelf(_planned())
    shelf.rejected = 1
    assert await _red(shelf) == {"nothing_set_aside"}
