"""Telling many at once: the one that a system fails over is found, and nothing of its key overtakes it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.adapters.kinds.portions import Unreadable, in_portions
from services.adapters.kinds.systems import SystemAway
from services.adapters.states import Notice
from tests.support.registries import MORNING


def notices(keys: Sequence[int]) -> list[Notice]:
    return [
        Notice(uuid.UUID(int=number), f"K-{key}", True, "s", f"m-{number}", "t", MORNING, {})
        for number, key in enumerate(keys)
    ]


class Line:
    """A system that takes a portion whole or not at all, and what it was told."""

    def __init__(self, fails: set[UUID] | None = None, *, everything: bool = False) -> None:
        self.fails = fails or set()
        self.everything = everything
        self.requests = 0
        self.taken: list[Notice] = []

    async def send(self, portion: Sequence[Notice]) -> Mapping[UUID, str]:
        self.requests += 1
        if self.everything or any(notice.id in self.fails for notice in portion):
            raise RuntimeError("answered 500")
        self.taken += portion
        return {}


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.booleans()), max_size=40))
async def test_in_the_end_all_is_told_but_what_fails_and_what_stands_behind_it_and_in_the_order_of_each_key(
    plan: list[tuple[int, bool, bool]],
) -> None:
    left = notices([key for key, _, _ in plan])
    line = Line({one.id for one, (_, fails, rare) in zip(left, plan, strict=True) if fails and rare})
    sent, held = list(left), set[str]()
    while left:
        told = await in_portions([[one for one in left if one.key not in held]], line.send)
        held |= {one.key for one in left if one.id in told.failed}
        left = [one for one in left if one.id not in told.taken]
        if not told.taken and not told.failed:
            break
    for key in {one.key for one in sent}:
        of_key = [one for one in sent if one.key == key]
        until = next((place for place, one in enumerate(of_key) if one.id in line.fails), len(of_key))
        assert [one for one in line.taken if one.key == key] == of_key[:until]


async def test_a_system_that_fails_over_everything_is_not_asked_about_each_notice() -> None:
    line = Line(everything=True)
    told = await in_portions([notices(range(500))], line.send)
    assert (len(told.failed), len(told.taken)) == (3, 0)
    assert line.requests < 20


async def test_what_was_taken_before_the_system_went_away_is_known() -> None:
    async def send(portion: Sequence[Notice]) -> Mapping[UUID, str]:
        if portion[0].key == "K-1":
            raise SystemAway("closed")
        return {}

    first, second = notices([0, 1])
    told = await in_portions([[first], [second]], send)
    assert told.taken == {first.id}
    with pytest.raises(SystemAway):
        await in_portions([[second]], send)


async def test_what_it_cannot_read_is_found_and_is_no_reason_to_hold_its_key_back() -> None:
    bad, good = notices([0, 0])

    async def send(portion: Sequence[Notice]) -> Mapping[UUID, str]:
        if bad in portion:
            raise Unreadable("answered 400")
        return {}

    told = await in_portions([[bad, good]], send)
    assert (told.rejected, told.taken, told.failed) == ({bad.id: "answered 400"}, {good.id}, {})
