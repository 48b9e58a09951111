"""What waits, stands behind, is refused, fires and comes twice: the same in memory and on PostgreSQL."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from aiokafka import TopicPartition

from contracts.messages import receipts, volunteers
from contracts.messages.deliveries import CreditPosted, LinkChanged, SignupChanged
from contracts.topics import ATTENDANCE_COMMANDS, IDENTITY_EVENTS
from services.chassis.decisions import Decide, Decision, Inbound, States
from services.chassis.log.positions import FenceLost
from tests.integration.linkage.conftest import Way
from tests.support.clocks import SkewedClock
from tests.support.linkages import MOMENT
from tests.support.pausing import Seen, end_pauses, pause, resume
from tests.support.reacting import decided_by
from tests.support.said import HOUR, Shift, attested, consent_given, consent_withdrawn, offered, presence, requested

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


async def test_a_service_is_credited_at_home(way: Way) -> None:
    await way.served()
    assert way.decided() == ["confirmed"]
    assert way.credits() == [60]
    [credit] = way.told("sz", CreditPosted)
    way.say("sz", accepted(credit, way))
    await way.settle()
    assert way.reported() == ["credited"]
    assert not await way.linkage.members["bridge"].base.due(), "the timer of its receipt is cancelled"


async def test_what_comes_before_its_link_waits_and_goes_on_in_order(way: Way) -> None:
    await way.published()
    way.say("sz", offered("S1", "gz", MOMENT))
    way.say("gz", requested("G1", "sz", "S1"))
    way.say("gz", way.shift.requested("G1", "N1"))
    way.say("gz", way.shift.withdrawn("G1", "N1"))
    await way.settle("bridge")
    assert await way.aside("bridge") == ["waiting", "behind"]
    await way.settle()
    assert await way.aside("bridge") == []
    assert way.signups("gz") == ["confirmed", "withdrawn"]


async def test_whoever_is_never_linked_is_refused_when_the_time_is_up(way: Way) -> None:
    way.say("gz", way.shift.requested("G1", "N1"))
    way.say("gz", requested("G2", "sz", "S1"))
    way.say("gz", way.shift.requested("G2", "N2"))
    await way.settle()
    await way.pass_time(59 * timedelta(seconds=1))
    assert way.refused("gz") == []
    await way.pass_time(timedelta(seconds=1))
    assert way.refused("gz") == ["not_linked"], "G2 waits for as long as nobody answers her request"
    await way.pass_time(HOUR)
    assert [told.reason for told in way.told("gz", LinkChanged)] == ["no_offer"]
    assert way.refused("gz") == ["not_linked", "not_linked"]


async def test_no_wait_is_over_while_what_could_end_it_lies_unread(way: Way) -> None:
    await way.published()
    way.say("sz", offered("S1", "gz", MOMENT))
    way.say("gz", requested("G1", "sz", "S1"))
    way.say("gz", way.shift.requested("G1", "N1"))
    await way.settle("bridge", "identity")
    [fact] = way.linkage.log.events(IDENTITY_EVENTS.name)
    assert fact.type.endswith("link_established.v1")
    border = way.linkage.members["bridge"]
    way.linkage.clock.moment += HOUR
    assert await border.reenter() == 0, "the link lies unread"
    await way.settle()
    assert way.signups("gz") == ["confirmed"]
    assert way.refused("gz") == []


async def test_a_record_that_comes_before_its_presence_is_held_and_released(way: Way) -> None:
    await (await way.linked()).published()
    way.say("sz", way.shift.requested("S1", "N1"))
    await way.settle()
    await way.pass_time(4 * HOUR)
    way.say("gz", attested(way.shift, "G1", "R1"))
    await way.settle()
    assert way.decided() == ["held"]
    way.say("gz", presence(way.shift, "G1", way.shift.starts_at))
    await way.settle()
    assert way.decided() == ["held", "confirmed"]


async def test_a_message_that_comes_twice_counts_once_and_one_with_a_used_id_not_at_all(way: Way) -> None:
    await way.linked()
    message = way.shift.requested("G1", "N1")
    id = way.say("gz", message)
    way.say("gz", message, id=id)
    await way.settle()
    way.say("gz", message, id=id)
    way.say("gz", way.shift.requested("G1", "N2"), id=id)
    await way.settle()
    assert len(way.linkage.log.events("opportunities.commands.v1")) == 1
    assert await way.aside("bridge") == ["reused_id"]
    assert way.refused("gz") == ["reused_id"]


async def test_an_honest_repeat_behind_a_message_that_used_its_id_again_is_not_refused(way: Way) -> None:
    """In one batch the repeat was compared with the message between, and its sender was told of ``reused_id`` twice."""
    await way.linked()
    message = way.shift.requested("G1", "N1")
    id = way.say("gz", message)
    await way.settle()
    way.say("gz", way.shift.requested("G1", "N2"), id=id)
    way.say("gz", message, id=id)
    await way.settle()
    assert way.refused("gz") == ["reused_id"]
    assert await way.aside("bridge") == ["reused_id"]


async def test_a_break_a_consent_taken_back_and_a_record_race(way: Way) -> None:
    await way.served()
    way.say("sz", volunteers.LinkBroken(volunteer_ref="S1", registry="gz", reason="volunteer_asked"))
    way.say("gz", attested(way.shift, "G1", "R1", 2, 90))
    way.say("sz", consent_withdrawn("S1", "gz", 1))
    await way.settle()
    assert way.credits() == [60]
    way.say("sz", volunteers.LinkRestored(volunteer_ref="S1", registry="gz"))
    await way.settle()
    assert way.credits() == [60], "she has taken her consent back"
    way.say("sz", consent_given("S1", "gz", 2, way.linkage.now))
    [credit] = way.told("sz", CreditPosted)
    way.say("sz", accepted(credit, way))
    await way.settle()
    assert sum(way.credits()) in (60, 90)


async def test_a_receipt_that_does_not_come_is_asked_for_and_a_retry_is_a_timer(way: Way) -> None:
    await way.served()
    await way.pass_time(31 * timedelta(seconds=1))
    assert way.credits() == [60, 60], "an idempotent home is sent it again"
    first, second = way.told("sz", CreditPosted)
    assert (first.transfer_id, first.attempt, second.attempt) == (second.transfer_id, 1, 2)
    refusal = receipts.CreditRefused(
        transfer_id=first.transfer_id, volunteer_ref="S1", reason="account_locked", retry=True, attempt=2
    )
    way.say("sz", refusal)
    await way.settle()
    before = len(way.credits())
    await way.pass_time(10 * MINUTE)
    assert len(way.credits()) > before


async def test_a_place_that_comes_free_goes_to_the_head_of_the_line(way: Way) -> None:
    await (await way.linked()).published(posts=1, waitlist=1)
    way.say("sz", offered("S2", "gz", MOMENT, code="two"))
    way.say("gz", requested("G2", "sz", "S2", code="two"))
    await way.settle()
    way.say("sz", way.shift.requested("S1", "N1"))
    way.say("sz", way.shift.requested("S2", "N2"))
    await way.settle()
    assert sorted(way.signups("sz")) == ["confirmed", "waitlisted"]
    first = next(told for told in way.told("sz", SignupChanged) if told.state == "confirmed")
    way.say("sz", way.shift.withdrawn(first.volunteer_ref, first.signup_ref))
    await way.settle()
    assert sorted(way.signups("sz")) == ["confirmed", "promoted", "waitlisted", "withdrawn"]


async def test_a_decision_that_raises_parks_its_subject_and_nothing_else(way: Way) -> None:
    border = way.linkage.members["attendance"]
    whole = border.service
    border.service = decided_by(whole, lambda decide: _raising(decide, "R1"))
    await border.start()
    await way.served()
    way.say("gz", attested(way.shift, "G1", "R1", 2, 90))
    way.say("gz", attested(way.shift, "G1", "R2"))
    await way.settle()
    assert await way.aside("attendance") == ["raised", "behind"]
    assert way.decided() == ["confirmed"], "another record of hers is decided"


async def test_what_a_decision_led_to_is_gone_with_its_transaction(way: Way) -> None:
    await way.served()
    border = way.linkage.members["bridge"]
    before = await border.base.standing(), await border.base.due(), await border.base.set_aside()
    [credit] = way.told("sz", CreditPosted)
    way.say("sz", accepted(credit, way))
    way.say("gz", way.shift.requested("G9", "N9"))

    async def lost(*_: object) -> None:
        raise ConnectionError("the line is cut")

    processor = border.processor
    write, processor.write = processor.write, lost  # type: ignore[method-assign, assignment]
    for group in border.lanes:
        if places := border.unread(group):
            with pytest.raises(ConnectionError):
                await border.take(group, places)
    assert (await border.base.standing(), await border.base.due(), await border.base.set_aside()) == before
    processor.write = write  # type: ignore[method-assign]
    await way.settle()
    assert way.reported() == ["credited"]


async def test_who_knows_old_offsets_changes_nothing(way: Way) -> None:
    await way.linked()
    border = way.linkage.members["bridge"]
    old = dict(border.lanes["bridge.gz"].next)
    way.say("gz", way.shift.requested("G1", "N1"))
    await way.settle()
    records = [record for tp in old for record in way.linkage.log.partitions[tp][old[tp] :]]
    with pytest.raises(FenceLost):
        await border.lanes["bridge.gz"].apply(records, old)
    assert len(way.linkage.log.events("opportunities.commands.v1")) == 1
    assert way.linkage.log.end(TopicPartition(ATTENDANCE_COMMANDS.name, 0)) == 0


def accepted(credit: CreditPosted, way: Way) -> receipts.CreditAccepted:
    return receipts.CreditAccepted(
        transfer_id=credit.transfer_id,
        volunteer_ref=credit.volunteer_ref,
        delta=credit.delta,
        posted_at=way.linkage.now,
        attempt=credit.attempt,
    )


def _raising(decide: Decide, record_ref: str) -> Decide:
    def decided(states: States, inbound: Inbound, now: datetime, policy: Any) -> Decision:
        record = getattr(inbound.data, "record", None)
        if record is not None and record.record_ref == record_ref:
            raise RuntimeError("a fault")
        return decide(states, inbound, now, policy)

    return decided


async def test_a_restored_service_whose_clock_runs_behind_the_brokers_decides_in_the_order_of_its_own_clock(
    way: Way,
) -> None:
    """A sign-up leads to no message of attendance. By the broker's clock it was written after the answer to the record
    of service behind it, which counts because of that sign-up."""
    await (await way.linked()).published()
    attendance = way.linkage.members["attendance"]
    attendance.clock = SkewedClock(way.linkage.clock, -3 * SECOND)
    await attendance.restart()
    dump = await attendance.base.dump()
    way.say("sz", way.shift.requested("S1", "N1"))
    way.linkage.clock.moment = way.shift.starts_at
    await way.settle()
    way.say("gz", attested(way.shift, "G1", "R1", minutes=1))
    await way.settle()
    records = len(way.linkage.log.records)
    await attendance.base.restore(dump)
    await attendance.restart()
    await way.settle()
    assert await way.aside("attendance") == []
    assert len(way.linkage.log.records) == records


async def test_what_a_replay_decides_has_moments_in_the_order_of_its_transactions(way: Way) -> None:
    """The shift that released a request, the answer before it and the request itself had one moment in the replay, and
    the next replay refused the request: its shift was unknown."""
    await (await way.linked()).published()
    other = Shift("gz", "P1", "H2", MOMENT + 8 * HOUR)
    opportunities = way.linkage.members["opportunities"]
    await opportunities.restart()
    dump = await opportunities.base.dump()
    way.say("sz", other.requested("S1", "N2"))
    way.say("sz", way.shift.requested("S1", "N1"))
    await way.settle()
    assert way.signups("sz") == ["confirmed"]
    way.say("gz", other.published())
    await way.settle("bridge")
    for _ in range(2):
        await opportunities.base.restore(dump)
        await opportunities.restart()
        await way.settle()
        assert await way.aside("opportunities") == []
        assert way.signups("sz") == ["confirmed", "confirmed"]


async def test_a_pause_of_a_border_whose_clock_is_set_back_ends_once_all_is_applied_that_was_said_in_it(
    way: Way,
) -> None:
    bridge = way.linkage.members["bridge"]
    bridge.clock = clock = SkewedClock(way.linkage.clock, 2 * SECOND)
    await bridge.restart()
    seen: Seen = {}
    await pause(bridge, "sz")
    await resume(bridge, "sz")
    assert await end_pauses(bridge, seen) == ["sz"], "nothing was said, and the logs are heard to this moment"
    await pause(bridge, "sz")
    way.say("sz", offered("S1", "gz", MOMENT))
    clock.offset = timedelta()
    await resume(bridge, "sz")
    assert await end_pauses(bridge, seen) == []
    await way.settle()
    assert await end_pauses(bridge, seen) == ["sz"]
