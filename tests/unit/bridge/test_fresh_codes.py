"""The way back: a fresh code of a pair that is linked, at border and identity side by side."""

from __future__ import annotations

from datetime import datetime

import pytest

from contracts.messages import deliveries
from services.bridge.states import ConsentState, LinkUnderWay
from tests.support.bridge_and_identity import AWAIT_FACTS, BorderAndIdentity, offer, request
from tests.support.bridge_messages import HOME, HOME_REF, HOST, HOST_REF, MINUTE, T0, signup


@pytest.fixture
def linkage() -> BorderAndIdentity:
    return BorderAndIdentity()


@pytest.mark.parametrize("at", [T0 - MINUTE, None], ids=["late", "now"])
def test_an_offer_of_a_linked_pair_gives_no_consent_again_to_border_or_identity(
    linkage: BorderAndIdentity, at: datetime | None
) -> None:
    """Whoever went over a second time had given again, without a word, what she had taken back."""
    linkage.link()
    linkage.withdraw(1)
    linkage.say(HOME, offer("new", version=2, expires_at=T0 + 60 * MINUTE), at=at)
    linkage.request("new", ref="G2")
    linkage.settle()
    [kept] = linkage.at_border(ConsentState)
    assert kept.account == (HOME, HOME_REF)
    assert (kept.state, kept.version) == ("withdrawn", 1)
    consents = linkage.told(HOST, deliveries.ConsentChanged)
    assert [(consent.state, consent.version) for consent in consents] == [("withdrawn", 1)]
    assert [told.state for told in linkage.told(HOST, deliveries.LinkChanged)] == ["established"]


@pytest.mark.parametrize("version", [1, None])
def test_a_fresh_code_is_answered_to_the_request_with_the_account_that_she_has(
    linkage: BorderAndIdentity, version: int | None
) -> None:
    linkage.link()
    linkage.offer("new", version=version)
    linkage.say(HOST, request("new", ref="G2"), id="again")
    linkage.say(HOST, signup(ref="G2"), id="n-1")
    linkage.settle()
    first, again = linkage.told(HOST, deliveries.LinkChanged)
    assert (again.volunteer_ref, again.link_version, again.answers) == (HOST_REF, first.link_version, "again")
    assert linkage.at_border(LinkUnderWay) == []
    linkage.pass_time(AWAIT_FACTS)
    assert linkage.outcomes("n-1") == ["refused(not_linked)"]


def test_refused_requests_leave_nothing_behind_at_the_border(linkage: BorderAndIdentity) -> None:
    for number in range(20):
        linkage.request(f"guess{number}", ref=f"G{number}", home_ref=f"nobody{number}")
    linkage.settle()
    linkage.pass_time(5 * AWAIT_FACTS)
    linkage.settle()
    assert linkage.at_border(LinkUnderWay) == []
