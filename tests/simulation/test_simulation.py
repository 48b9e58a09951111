"""A whole linkage in memory under faults: two hundred seeds hold, a seed that fails tells a short story, and safeguards
that are taken away are missed."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import structlog

from deploy.linkage import SERVICES
from tests.simulation.failing import failing
from tests.simulation.faults import FAULTS
from tests.simulation.planted import PLANTED, README, known, table
from tests.simulation.quiet import quiet
from tests.simulation.removing import planted
from tests.simulation.run import Run, failure_of
from tests.simulation.shrinking import shrunk
from tests.simulation.steps import steps_of

AT_ONCE = 20
SEEDS = 200
FOUND = known()
SEARCH = 'a change of what runs do moves the seeds; search anew: make simulate ARGS="--planted --find"'


@pytest.fixture(autouse=True)
def quietly() -> Iterator[None]:
    before, garbage = structlog.get_config(), gc.get_threshold()
    quiet()
    yield
    structlog.configure(**before)
    gc.set_threshold(*garbage)


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_every_promise_holds(first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        if (found := failing(seed)) is not None:
            pytest.fail(str(found), pytrace=False)


def test_a_seed_is_two_hundred_messages_through_all_services_and_twenty_faults() -> None:
    story = ""
    for seed in range(5):
        steps = steps_of(seed)
        run = Run(seed)
        for step in steps:
            run.take(step)
        run.end()
        assert run.said >= 200
        assert sum(step.kind in FAULTS for step in steps) >= 20
        topics = {record.topic.split(".")[0] for record in run.log.records}
        assert topics >= {"registry", *SERVICES}
        story += "\n".join(run.story)
    for happened in ("is restored to", "replay is interrupted", "operator pauses", "operator resumes", "uses the id"):
        assert happened in story


def test_a_seed_is_the_same_run_each_time() -> None:
    runs = [Run(11), Run(11)]
    for run in runs:
        for step in steps_of(11):
            run.take(step)
        run.end()
    assert runs[0].log.records == runs[1].log.records


def test_a_seed_that_fails_is_made_smaller_and_repeated_by_its_steps() -> None:
    name = "every home idempotent"
    seed = FOUND[name].seed
    with planted(PLANTED[name]):
        found = failing(seed, most=60)
        assert found is not None
        assert len(found.kept) < len(steps_of(seed)) / 2
        again = failing(seed, kept=found.kept, most=0)
        assert again is not None
        assert again.broken[:20] == found.broken[:20]
    assert f'--from {seed} --seeds 1 --keep {",".join(map(str, found.kept))}"' in str(found)
    assert failing(seed, kept=found.kept) is None, "with the safeguard they hold"


def test_steps_are_left_out_until_each_is_needed() -> None:
    assert shrunk(range(100), lambda some: {3, 47, 48} <= set(some)) == [3, 47, 48]


@pytest.mark.parametrize("name", FOUND)
def test_a_safeguard_that_is_taken_away_is_missed(name: str) -> None:
    seed, row = FOUND[name].seed, PLANTED[name]
    with planted(row):
        assert failure_of(seed, steps_of(seed)) is not None, f"{row.what}; {SEARCH}"


@pytest.mark.parametrize("seed", sorted({found.seed for found in FOUND.values()} - set(range(SEEDS))))
def test_with_its_safeguard_a_seed_holds(seed: int) -> None:
    assert failing(seed, most=60) is None


def test_the_table_of_safeguards_is_what_the_last_search_found() -> None:
    assert FOUND.keys() <= PLANTED.keys(), SEARCH
    assert len(FOUND) >= 30, SEARCH
    assert table(FOUND) == README.read_text(), SEARCH
