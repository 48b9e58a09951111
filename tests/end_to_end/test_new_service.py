"""The service of CONTRIBUTING's recipe runs: its store on PostgreSQL, and a visit through a whole linkage with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.recipes import echo
from tests.unit.recipes.carried_out import carry_out, run

pytestmark = [pytest.mark.whole, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return carry_out(echo.apply, tmp_path_factory.mktemp("recipe"))


def test_its_store_keeps_what_it_saved_and_rests_on_no_lock(copy: Path) -> None:
    run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "tests/integration/echo")


def test_hours_go_home_through_a_linkage_with_it_and_it_hears_them_and_tells(copy: Path) -> None:
    told = [json.loads(line) for line in run(copy, "-m", "tests.end_to_end.new_service", "echo").splitlines()]
    assert len(told) >= 2, "sent and credited"
    assert [one["times"] for one in told] == list(range(1, len(told) + 1))
    assert len({one["person"] for one in told}) == 1
