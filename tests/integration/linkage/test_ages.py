"""A minimum age within an age band: only the home knows, and it may say so in a second request."""

from __future__ import annotations

from contracts.messages.base import AgeBand
from contracts.messages.deliveries import SignupChanged
from tests.integration.linkage.conftest import Way
from tests.support.linkages import MOMENT
from tests.support.said import offered, project, requested


async def test_who_is_14_or_15_is_told_that_her_age_is_needed_and_her_home_asks_again_with_it(way: Way) -> None:
    """Seen: a 15-year-old was told that she is below the minimum age of a shift from 15."""
    of_14 = {"age_band": AgeBand.FROM_14, "guardian_approved": True}
    way.say("sz", offered("S1", "gz", MOMENT).model_copy(update=of_14))
    way.say("gz", requested("G1", "sz", "S1"))
    way.say("gz", project("P1"))
    way.say("gz", way.shift.published().model_copy(update={"minimum_age": 15}))
    await way.settle()
    way.say("gz", way.shift.requested("G1", "N1"))
    await way.settle()
    for code in ("gz", "sz"):
        [told] = way.told(code, SignupChanged)
        assert (told.state, told.reason, told.signup_ref) == ("refused", "needs_age", "N1"), code
    way.say("gz", way.shift.requested("G1", "N2").model_copy(update={"at_least": 15}))
    way.say("sz", way.shift.requested("S1", "N3").model_copy(update={"at_least": 15}))
    await way.settle()
    assert way.refused("gz") == ["not_yours"]
    assert way.signups("sz") == ["refused", "confirmed"]
