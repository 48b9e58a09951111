"""Hundreds of requests for one home account in one batch: what is answered is not looked at again."""

from __future__ import annotations

import pytest

from contracts.messages.identity import LinkEstablished
from services.identity.case import MOST_PENDING
from services.identity.states import Request
from tests.support.identity import World
from tests.support.work import rows_handed_out

CROWD = 400


@pytest.mark.parametrize("offered", [False, True], ids=["before_the_offer", "behind_the_offer"])
def test_each_of_400_guesses_at_one_account_looks_at_no_more_than_what_stands(
    monkeypatch: pytest.MonkeyPatch, offered: bool
) -> None:
    world = World()
    if offered:
        world.take(world.offer())
    looked_at = rows_handed_out(monkeypatch)
    for number in range(CROWD):
        world.take(world.request(f"guess {number}", f"G{number}"))
    assert looked_at[Request] <= CROWD * 2 * MOST_PENDING


def test_an_own_request_that_stands_before_400_guesses_is_answered_by_the_offer() -> None:
    world = World()
    world.take(world.request())
    for number in range(CROWD):
        world.take(world.request(f"guess {number}", f"G{number}"))
    established = [fact for fact in world.take(world.offer()) if isinstance(fact, LinkEstablished)]
    assert [fact.host_ref for fact in established] == ["G1"]
