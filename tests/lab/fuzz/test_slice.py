"""Twenty thousand whole Kafka records through the real border. Half a million: ``make fuzz``."""

from __future__ import annotations

import os

import pytest

from tests.lab.faults.test_slice import seed_of_today
from tests.lab.fuzz.border import border
from tests.lab.fuzz.judging import run
from tests.support.backends import Backends

_RECORDS = 20_000


@pytest.mark.whole
@pytest.mark.real_kafka
@pytest.mark.timeout(1800)
async def test_good_records_are_applied_and_bad_ones_turned_away_whatever_a_log_may_hold(backends: Backends) -> None:
    """Its own broker, for topics have the names of the contract there."""
    assert backends.broker is not None
    if backends.broker.kind == "address":
        pytest.skip("the broker is somebody else's, and has topics of these names: make fuzz")
    count = int(os.environ.get("SHUANGCHENG_FUZZ_RECORDS", "") or _RECORDS)
    async with border(backends.broker.kind) as place:
        result = await run(place, seed_of_today(), count, print)
    print(result)
    assert not result.faults, f"seed {result.seed}: {result.faults}"
