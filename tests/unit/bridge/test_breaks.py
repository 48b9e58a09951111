"""A break counts from the time of its own message: border and identity side by side decide a replay as the day did."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.messages import deliveries, identity, volunteers
from contracts.messages.base import AgeBand
from services.bridge.states import Link
from tests.support.bridge_and_identity import BorderAndIdentity, offer
from tests.support.bridge_messages import (
    HOME,
    HOME_REF,
    HOST,
    HOST_REF,
    MINUTE,
    T0,
    attested,
    checked_in,
    established,
    signup,
)

DAY = timedelta(days=1)
SUNDAY, MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = (T0 + n * DAY for n in range(1, 7))
BROKEN = {
    HOST: volunteers.LinkBroken(volunteer_ref=HOST_REF, registry=HOME, reason="abuse"),
    HOME: volunteers.LinkBroken(volunteer_ref=HOME_REF, registry=HOST, reason="volunteer_asked"),
}
RESTORED = {
    HOST: volunteers.LinkRestored(volunteer_ref=HOST_REF, registry=HOME),
    HOME: volunteers.LinkRestored(volunteer_ref=HOME_REF, registry=HOST),
}


@pytest.fixture
def next_week() -> BorderAndIdentity:
    """G1 and S1 were linked on a Saturday, and it is the Saturday after the next."""
    linkage = BorderAndIdentity()
    linkage.link()
    linkage.pass_time(14 * DAY)
    return linkage


def link_of(linkage: BorderAndIdentity) -> Link:
    [link] = linkage.at_border(Link)
    assert link.person == linkage.told_by_identity(identity.LinkEstablished)[0].person
    return link


@pytest.mark.parametrize("by", [HOST, HOME])
def test_last_weeks_file_with_a_break_on_monday_and_a_signup_on_tuesday_is_decided_as_last_week(
    next_week: BorderAndIdentity, by: str
) -> None:
    """The break counted from identity's clock, so that Tuesday's sign-up was accepted."""
    next_week.say(by, BROKEN[by], at=MONDAY)
    next_week.settle()
    next_week.say(HOST, signup(), at=SUNDAY, id="on-sunday")
    next_week.say(HOST, signup(), at=TUESDAY, id="on-tuesday")
    next_week.say(HOST, checked_in(TUESDAY), at=TUESDAY, id="came-on-tuesday")
    next_week.say(HOST, attested(), at=TUESDAY, id="served-on-tuesday")
    assert next_week.outcomes("on-sunday") == ["RequestSignup"]
    for id in ("on-tuesday", "came-on-tuesday", "served-on-tuesday"):
        assert next_week.outcomes(id) == ["refused(link_broken)"]


@pytest.mark.parametrize("by", [HOST, HOME])
def test_a_signup_of_the_days_on_which_the_link_rested_is_refused_after_its_restoration_too(
    next_week: BorderAndIdentity, by: str
) -> None:
    next_week.say(by, BROKEN[by], at=MONDAY)
    next_week.say(by, RESTORED[by], at=WEDNESDAY)
    next_week.settle()
    for moment, outcome in (
        (SUNDAY, "RequestSignup"),
        (MONDAY, "refused(link_broken)"),
        (TUESDAY, "refused(link_broken)"),
        (WEDNESDAY, "RequestSignup"),
        (THURSDAY, "RequestSignup"),
    ):
        next_week.say(HOST, signup(), at=moment, id=f"{moment}")
        assert next_week.outcomes(f"{moment}") == [outcome], moment


def test_where_both_broke_the_link_it_rested_from_the_first_break_to_the_last_restoration(
    next_week: BorderAndIdentity,
) -> None:
    """Also when the earlier break comes second: no order exists between the topics of two registries."""
    next_week.say(HOME, BROKEN[HOME], at=TUESDAY)
    next_week.say(HOST, BROKEN[HOST], at=MONDAY)
    next_week.settle()
    next_week.say(HOST, signup(), at=MONDAY, id="on-monday")
    next_week.say(HOST, RESTORED[HOST], at=WEDNESDAY)
    next_week.settle()
    assert (link_of(next_week).state, link_of(next_week).since) == ("broken", MONDAY)
    next_week.say(HOME, RESTORED[HOME], at=FRIDAY)
    next_week.settle()
    next_week.say(HOST, signup(), at=THURSDAY, id="on-thursday")
    next_week.say(HOST, signup(), at=FRIDAY, id="on-friday")
    assert next_week.outcomes("on-monday") == ["refused(link_broken)"]
    assert next_week.outcomes("on-thursday") == ["refused(link_broken)"]
    assert next_week.outcomes("on-friday") == ["RequestSignup"]


def test_a_break_that_waited_for_its_link_counts_from_when_it_was_said() -> None:
    linkage = BorderAndIdentity()
    linkage.request()
    linkage.settle()
    linkage.pass_time(MINUTE)
    linkage.say(HOST, BROKEN[HOST], at=T0 + MINUTE)
    linkage.pass_time(2 * MINUTE)
    linkage.offer()
    linkage.settle()
    assert (link_of(linkage).state, link_of(linkage).since) == ("broken", T0 + MINUTE)


def test_a_newer_offer_leaves_standing_since_when_the_link_holds_and_when_it_rested(
    next_week: BorderAndIdentity,
) -> None:
    next_week.say(HOME, BROKEN[HOME], at=MONDAY)
    next_week.say(HOME, RESTORED[HOME], at=WEDNESDAY)
    grown = offer("new", age_band=AgeBand.ADULT, expires_at=T0 + 21 * DAY)
    next_week.say(HOME, grown)
    next_week.settle()
    link = link_of(next_week)
    assert link.age_band == AgeBand.ADULT
    assert (link.link_version, link.since, link.rests) == (4, WEDNESDAY, ((MONDAY, WEDNESDAY),))


def test_of_a_link_broken_again_and_again_the_last_rests_are_remembered() -> None:
    link = Link(
        person=established().person,
        host=HOST,
        host_ref=HOST_REF,
        home=HOME,
        home_ref=HOME_REF,
        age_band=AgeBand.ADULT,
        guardian_approved=False,
        link_version=1,
        state="active",
        since=T0,
    )
    for day in range(1, 41, 2):
        link = link.rest_from(T0 + day * DAY, day + 1).hold_from(T0 + (day + 1) * DAY, day + 2)
    assert len(link.rests) == 16
    assert link.broken_at(T0 + 39 * DAY)
    assert not link.broken_at(T0 + 40 * DAY)
    assert link.rest_from(T0 + 50 * DAY, 50).hold_from(T0 + 49 * DAY, 51).rests == link.rests


def told_to_host(linkage: BorderAndIdentity) -> list[tuple[str, AgeBand | None, bool | None]]:
    told = linkage.told(HOST, deliveries.LinkChanged)
    return [(link.state, link.age_band, link.guardian_approved) for link in told]


def test_age_and_guardian_are_not_told_to_the_host_once_consent_is_withdrawn_though_the_link_was_on_its_way() -> None:
    """The home withdrew between identity's word and the border's telling (promise 6)."""
    linkage = BorderAndIdentity()
    linkage.offer()
    linkage.request()
    linkage.identity_hears()
    linkage.identity_hears()
    linkage.withdraw(1)
    linkage.settle()
    assert told_to_host(linkage) == [("established", None, None)]
    linkage.give(2)
    linkage.settle()
    assert told_to_host(linkage) == [("established", None, None), ("established", AgeBand.FROM_16, True)]


def test_consent_given_under_a_broken_link_is_acted_on_when_the_link_is_restored(next_week: BorderAndIdentity) -> None:
    next_week.withdraw(1)
    next_week.say(HOME, BROKEN[HOME])
    next_week.settle()
    next_week.give(2)
    next_week.say(HOME, RESTORED[HOME])
    next_week.settle()
    assert told_to_host(next_week) == [
        ("established", AgeBand.FROM_16, True),
        ("broken", None, None),
        ("restored", AgeBand.FROM_16, True),
    ]
