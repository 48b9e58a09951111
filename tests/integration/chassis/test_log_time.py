"""The log's own time of a record counts on topics whose log stamps it, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from deploy.operate.topics import ensure_topics
from services.chassis.decisions import Decision, Inbound, States
from tests.support.rig import Rig
from tests.support.tally import as_record, credit
from tests.support.waiting import eventually

_LONG_AGO = timedelta(days=10)
_A_MILLISECOND = timedelta(milliseconds=1)


async def _send_stamped(rig: Rig, ref: str) -> None:
    """As a producer does whose own clock is wrong."""
    key, value, headers = as_record(credit(ref, 1))
    stamp = int((datetime.now(UTC) - _LONG_AGO).timestamp() * 1000)
    await rig.producer.send_and_wait(rig.tally.inlet.name, key=key, value=value, headers=headers, timestamp_ms=stamp)


@pytest.mark.real_kafka
async def test_a_topic_that_exists_is_given_the_logs_time_and_only_what_the_log_stamped_has_it(rig: Rig) -> None:
    seen: dict[str, Inbound] = {}
    decide = rig.tally.decide

    def noted(states: States, inbound: Inbound, now: datetime, policy: None) -> Decision:
        seen[inbound.data.volunteer_ref] = inbound
        return decide(states, inbound, now, policy)

    rig.tally.decide = noted  # type: ignore[method-assign]
    await _send_stamped(rig, "before")
    rig.tally.inlet = replace(rig.tally.inlet, log_time=True)
    report = await ensure_topics(rig.settings.kafka, [rig.tally.inlet])
    assert report.altered == (rig.tally.inlet.name,)
    assert (await ensure_topics(rig.settings.kafka, [rig.tally.inlet])).altered == ()
    begun = datetime.now(UTC)
    await _send_stamped(rig, "after")
    ended = datetime.now(UTC)
    async with rig.running():
        await eventually(lambda: len(seen) == 2)
    before, after = seen["before"], seen["after"]
    assert before.appended_at == before.received_at, "by our own clock: the stamp is the producer's"
    assert after.appended_at is not None
    # The log tells whole milliseconds, and another process may round them up.
    assert begun - _A_MILLISECOND <= after.appended_at <= ended + _A_MILLISECOND
    assert after.appended_at < after.received_at


async def test_on_a_topic_of_our_own_the_time_of_a_message_is_its_own(rig: Rig) -> None:
    seen: list[Inbound] = []
    decide = rig.tally.decide

    def noted(states: States, inbound: Inbound, now: datetime, policy: None) -> Decision:
        seen.append(inbound)
        return decide(states, inbound, now, policy)

    rig.tally.decide = noted  # type: ignore[method-assign]
    await rig.send(credit("x", 1))
    async with rig.running():
        await eventually(lambda: len(seen) == 1)
    assert seen[0].appended_at is None
    assert seen[0].time == seen[0].event.time
