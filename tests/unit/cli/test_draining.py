"""When a linkage is at rest: what every version says of itself, and what it does not say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from deploy.operate import draining
from deploy.operate.draining import Left, left_of, paused_by_us
from deploy.operate.errors import EnvironmentProblem, LocalError

HEALTH: Mapping[str, Any] = {"service": "bridge", "lag": 3, "outbox_rows": 2, "ready": True}


def test_a_group_that_reads_a_paused_registry_has_nothing_to_read() -> None:
    groups = {"bridge.gz": {"lag": 3, "paused": True}, "bridge": {"lag": 1, "paused": False}}
    assert left_of("bridge", {**HEALTH, "lag": 4, "groups": groups}) == Left("bridge", 1, 2)


def test_the_first_version_names_no_groups_and_counts_none_that_is_paused() -> None:
    assert left_of("bridge", HEALTH) == Left("bridge", 3, 2)


@pytest.mark.parametrize("lacks", ["lag", "outbox_rows"])
def test_who_cannot_tell_is_not_taken_for_drained(lacks: str) -> None:
    health = {name: value for name, value in HEALTH.items() if name != lacks} | {"database": "it does not answer"}
    with pytest.raises(LocalError, match="bridge does not tell what it has to do: it does not answer"):
        left_of("bridge", health)


def test_only_pauses_of_drain_are_ours() -> None:
    paused: dict[str, dict[str, Any]] = {
        "gz": {"paused": {"why": draining.WHY}},
        "sz": {"paused": {"why": "its ledger is down"}},
        "fs": {"paused": None},
    }
    assert paused_by_us(paused) == ["gz"]


async def test_a_service_that_does_not_answer_is_named() -> None:
    with pytest.raises(EnvironmentProblem, match="identity does not answer at"):
        await draining.drained({"identity": "http://127.0.0.1:1"}, lambda text: None, seconds=120)
