"""Sign-up meets service, through all services: what was served counts, whatever becomes of the sign-up after the
begin. In memory and on PostgreSQL."""

from __future__ import annotations

from contracts.messages.deliveries import ServiceDecided
from tests.integration.linkage.conftest import Way
from tests.support.said import HOUR, Shift, attested, presence


async def _serving(way: Way) -> None:
    """She has signed up and come, and the shift has begun an hour ago."""
    await (await way.linked()).published()
    way.say("sz", way.shift.requested("S1", "N1"))
    await way.settle()
    await way.pass_time(2 * HOUR)
    way.say("gz", presence(way.shift, "G1", way.shift.starts_at))
    await way.pass_time(1 * HOUR)


async def test_a_post_that_is_given_back_after_the_begin_is_kept_and_its_hours_count(way: Way) -> None:
    await _serving(way)
    way.say("sz", way.shift.withdrawn("S1", "N1"))
    await way.settle()
    assert way.refused("sz") == ["shift_started"]
    assert way.signups("gz") == ["confirmed"]
    way.say("gz", attested(way.shift, "G1", "R1"))
    await way.settle()
    assert way.decided() == ["confirmed"]
    assert way.credits() == [60]


async def test_a_typhoon_at_half_time_ends_the_posts_and_what_was_served_counts(way: Way) -> None:
    await _serving(way)
    way.say("gz", way.shift.published(2, cancelled=True))
    await way.settle()
    assert way.signups("sz") == ["confirmed", "withdrawn"]
    await way.pass_time(3 * HOUR)
    way.say("gz", attested(way.shift, "G1", "R1"))
    await way.settle()
    assert way.decided() == ["confirmed"]
    assert way.credits() == [60]


async def test_a_post_that_was_given_back_before_the_begin_gives_no_right(way: Way) -> None:
    await (await way.linked()).published()
    way.say("sz", way.shift.requested("S1", "N1"))
    way.say("sz", way.shift.withdrawn("S1", "N1"))
    await way.settle()
    await way.pass_time(2 * HOUR)
    way.say("gz", presence(way.shift, "G1", way.shift.starts_at))
    await way.pass_time(1 * HOUR)
    way.say("gz", attested(way.shift, "G1", "R1"))
    await way.settle()
    await way.pass_time(1 * HOUR)
    assert way.decided() == ["held"]


async def test_a_window_at_home_that_is_given_up_at_half_time_keeps_the_hour_before(way: Way) -> None:
    await way.linked()
    own = Shift("sz", "P2", "H2", way.shift.starts_at)
    way.say("sz", own.reported("S1", "W1"))
    await way.settle()
    await way.pass_time(2 * HOUR)
    way.say("sz", presence(own, "S1", own.starts_at))
    await way.pass_time(1 * HOUR)
    way.say("sz", own.reported("S1", "W1", "withdrawn"))
    await way.settle()
    way.say("sz", attested(own, "S1", "R1"))
    await way.settle()
    assert [told.state for told in way.told("sz", ServiceDecided)] == ["confirmed"]
