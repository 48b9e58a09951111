"""A whole linkage in memory under faults: two hundred seeds hold, a seed that fails tells a short story, and safeguards
that are taken away are missed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from tests.simulation.failing import failing
from tests.simulation.faults import FAULTS
from tests.simulation.planted import PLANTED, planted
from tests.simulation.quiet import quiet
from tests.simulation.run import Run, failure_of
from tests.simulation.shrinking import shrunk
from tests.simulation.steps import steps_of

AT_ONCE = 20


@pytest.fixture(autouse=True)
def quietly() -> Iterator[None]:
    before = structlog.get_config()
    quiet()
    yield
    structlog.configure(**before)


@pytest.mark.parametrize("first", range(0, 200, AT_ONCE))
def test_every_promise_holds(first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        if (found := failing(seed)) is not None:
            pytest.fail(str(found), pytrace=False)


def test_a_seed_is_two_hundred_messages_through_all_services_and_twenty_faults() -> None:
    for seed in range(5):
        steps = steps_of(seed)
        run = Run(seed)
        for step in steps:
            run.take(step)
        run.end()
        assert run.said >= 200
        assert sum(step.kind in FAULTS for step in steps) >= 20
        topics = {record.topic.split(".")[0] for record in run.log.records}
        assert topics >= {"registry", "identity", "opportunities", "attendance", "bridge"}


def test_a_seed_is_the_same_run_each_time() -> None:
    runs = [Run(11), Run(11)]
    for run in runs:
        for step in steps_of(11):
            run.take(step)
        run.end()
    assert runs[0].log.records == runs[1].log.records


def test_a_seed_that_fails_is_made_smaller_and_repeated_by_its_steps() -> None:
    row = PLANTED["every home idempotent"]
    with planted(row):
        found = failing(row.seed, most=60)
        assert found is not None
        assert len(found.kept) < len(steps_of(row.seed)) / 2
        again = failing(row.seed, kept=found.kept, most=0)
        assert again is not None
        assert again.broken[:20] == found.broken[:20]
    assert f'--from {row.seed} --seeds 1 --keep {",".join(map(str, found.kept))}"' in str(found)
    assert failing(row.seed, kept=found.kept) is None, "with the safeguard they hold"


def test_steps_are_left_out_until_each_is_needed() -> None:
    assert shrunk(range(100), lambda some: {3, 47, 48} <= set(some)) == [3, 47, 48]


@pytest.mark.parametrize("name", PLANTED)
def test_a_safeguard_that_is_taken_away_is_missed(name: str) -> None:
    row = PLANTED[name]
    with planted(row):
        assert failure_of(row.seed, steps_of(row.seed)) is not None, row.what
