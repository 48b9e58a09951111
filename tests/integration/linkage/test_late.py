"""What registries say of long ago, on seats as they are shipped and on those for a first look. In memory and on
PostgreSQL."""

from __future__ import annotations

from datetime import timedelta

from tests.integration.linkage.conftest import Way
from tests.support.linkages import MOMENT
from tests.support.pausing import Seen, end_pauses, pause, resume
from tests.support.said import HOUR, Shift, attested, presence, project

YEAR = timedelta(days=365)
LAST_YEAR = Shift("gz", "P1", "H1", MOMENT - YEAR)


async def _invented(way: Way) -> None:
    """Registries that stamp what they like: a shift of last year, her post in it, and three hours that she served."""
    await way.linked()
    way.say("gz", project("P1"))
    way.say("gz", LAST_YEAR.published())
    await way.settle()
    way.say("sz", LAST_YEAR.requested("S1", "N1"), time=LAST_YEAR.starts_at - HOUR)
    await way.settle()
    way.say("gz", presence(LAST_YEAR, "G1", LAST_YEAR.starts_at), time=LAST_YEAR.starts_at)
    way.say("gz", attested(LAST_YEAR, "G1", "R1"), time=LAST_YEAR.ends_at)
    await way.settle()


async def test_a_sign_up_stamped_a_year_back_into_a_shift_that_is_over_gets_no_post_and_no_hours(shipped: Way) -> None:
    await _invented(shipped)
    assert shipped.refused("sz") == ["time_in_past"]
    assert shipped.refused("gz") == ["time_in_past", "time_in_past"]
    assert (shipped.signups("sz"), shipped.decided(), shipped.credits()) == ([], [], [])


async def test_where_a_seat_says_unlimited_the_same_messages_are_decided_as_they_would_have_been_then(way: Way) -> None:
    await _invented(way)
    assert (way.refused("sz"), way.refused("gz")) == ([], [])
    assert (way.signups("sz"), way.decided(), way.credits()) == (["confirmed"], ["confirmed"], [60])


async def test_presence_of_last_year_in_a_message_of_today_is_refused(shipped: Way) -> None:
    await shipped.linked()
    shipped.say("gz", presence(LAST_YEAR, "G1", LAST_YEAR.starts_at))
    await shipped.settle()
    assert shipped.refused("gz") == ["time_in_past"]


async def test_an_honest_service_is_credited_under_the_limits_that_are_shipped(shipped: Way) -> None:
    await shipped.served()
    assert shipped.credits() == [60]


async def test_what_lay_unread_through_a_long_pause_is_as_old_as_it_was_when_the_log_took_it(shipped: Way) -> None:
    await (await shipped.linked()).published()
    bridge, seen = shipped.linkage.members["bridge"], Seen()
    await pause(bridge, "sz")
    shipped.say("sz", shipped.shift.requested("S1", "N1"))
    shipped.say("sz", shipped.shift.requested("S1", "N2"), time=MOMENT - timedelta(hours=25))
    await shipped.pass_time(timedelta(days=3))
    assert shipped.refused("sz") == []
    await resume(bridge, "sz")
    await shipped.settle()
    await end_pauses(bridge, seen)
    assert shipped.signups("sz") == ["confirmed"]
    assert shipped.refused("sz") == ["time_in_past"]


async def test_a_restored_border_decides_again_as_it_did_however_late_it_is_restored(shipped: Way) -> None:
    await (await shipped.linked()).published()
    bridge = shipped.linkage.members["bridge"]
    await bridge.restart()
    dump = await bridge.base.dump()
    shipped.say("sz", shipped.shift.requested("S1", "N1"), time=MOMENT - timedelta(hours=23))
    shipped.say("sz", shipped.shift.requested("S1", "N2"), time=MOMENT - timedelta(hours=25))
    await shipped.settle()
    assert (shipped.signups("sz"), shipped.refused("sz")) == (["confirmed"], ["time_in_past"])
    records = len(shipped.linkage.log.records)
    await shipped.pass_time(timedelta(days=10))
    await bridge.base.restore(dump)
    await bridge.restart()
    await shipped.settle()
    assert await shipped.aside("bridge") == []
    assert (shipped.signups("sz"), shipped.refused("sz")) == (["confirmed"], ["time_in_past"])
    assert len(shipped.linkage.log.records) == records
