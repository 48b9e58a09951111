"""One person piles up transfers, versions or words on consent: what did not change is not decided again."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from contracts.registry import Capability
from services.bridge.draft import Draft
from services.bridge.states import Transfer
from tests.support.bridge import World, linked
from tests.support.bridge_messages import broken, restored
from tests.support.work import rows_handed_out

CROWD = 200


def with_withheld(world: World) -> World:
    """All records of a crowd are withheld: her consent is withdrawn."""
    world.withdraw(2)
    for number in range(CROWD):
        world.confirm(1, 60, f"R{number}")
    assert reasons(world) == {"consent_withdrawn"}
    return world


def reasons(world: World) -> set[str | None]:
    """Why the crowd's transfers are withheld."""
    found = [world.transfer(1, f"R{number}") for number in range(CROWD)]
    assert {transfer.state for transfer in found} == {"withheld"}
    return {transfer.reason for transfer in found}


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> Counter[type]:
    """How many rows decisions changed, by type."""
    counted: Counter[type] = Counter()
    change = Draft.change

    def counting(self: Draft, row: Any) -> None:
        counted[type(row)] += 1
        change(self, row)

    monkeypatch.setattr(Draft, "change", counting)
    return counted


@pytest.mark.parametrize("capability", ["idempotent", "queryable", "neither"])
def test_consent_that_is_said_200_times_while_the_link_is_broken_changes_200_withheld_transfers_once(
    changed: Counter[type], capability: Capability
) -> None:
    world = with_withheld(linked(capability))
    world.hear(broken(2))
    changed.clear()
    world.give(3)
    assert reasons(world) == {"link_broken"}
    for version in range(4, CROWD + 3):
        world.give(version)
    assert changed[Transfer] == CROWD
    world.hear(restored(3))
    assert {world.transfer(1, f"R{number}").state for number in range(CROWD)} == {"sent"}


def test_what_is_withheld_for_what_still_stands_is_not_even_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    world = with_withheld(linked())
    world.hear(broken(2))
    world.give(3)
    looked_at = rows_handed_out(monkeypatch)
    for version in range(4, CROWD + 4):
        world.give(version)
    assert looked_at[Transfer] == 0


def test_200_versions_of_one_record_are_not_looked_at_once_they_are_booked(monkeypatch: pytest.MonkeyPatch) -> None:
    world = linked()
    looked_at = rows_handed_out(monkeypatch)
    for version in range(1, CROWD + 1):
        world.confirm(version, version)
        world.accept(version)
    assert looked_at[Transfer] <= 2 * CROWD
