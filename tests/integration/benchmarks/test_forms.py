"""Every kind of form in the decider's benchmark applies a small load: none breaks unseen between two measurements."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploy.tryout.local.broker import Broker
from deploy.tryout.local.postgres import Postgres
from tests.lab.benchmarks.decider import FORMS, decider
from tests.lab.benchmarks.forms.stopwatch import Stopwatch
from tests.lab.benchmarks.stage import Stage

PERSONS = 12
KINDS = {form.kind: replace(form, persons=PERSONS) for form in reversed(FORMS)}
"""The first form of each kind: A, B1, and ours with one lane."""


async def test_baselines_stood_still_since_their_states_lacked_a_group_that_the_rules_had_got(
    broker: Broker, postgres: Postgres
) -> None:
    said: list[str] = []
    results = await decider(Stage(broker, postgres), 1, tuple(KINDS.values()), said.append)
    assert {result.form for result in results} == {"A", "B1", "ours, 1 lane"}
    assert {result.form: result.checks for result in results} == {
        result.form: dict.fromkeys(result.checks, True) for result in results
    }
    assert all(result.checks for result in results)


async def test_a_form_that_meets_an_error_ends_with_it_and_does_not_wait_for_events_that_nobody_applies() -> None:
    stopwatch = Stopwatch(2)
    with pytest.raises(KeyError), stopwatch.watching():
        raise KeyError("place")
    with pytest.raises(KeyError, match="place"):
        await stopwatch.finished()
