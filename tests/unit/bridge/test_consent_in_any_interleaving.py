"""Givings, withdrawals and offers over border and identity, in any order and repeated: both end with one consent."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.bridge.states import Account as AtBorderAccount
from services.bridge.states import ConsentState as AtBorder
from services.identity.states import Account
from services.identity.states import ConsentState as AtIdentity
from tests.support.bridge_and_identity import BorderAndIdentity
from tests.support.bridge_messages import HOME, HOME_REF, HOST

Word = tuple[str, int]
"""give, offer or withdraw, and the version; or a step of what is on its way."""

words = st.one_of(
    st.tuples(st.sampled_from(["give", "withdraw", "offer"]), st.integers(1, 5)),
    st.tuples(st.sampled_from(["identity hears", "border hears", "request"]), st.integers(0, 3)),
)


def expected(said: Sequence[Word]) -> tuple[Word | None, int]:
    """What stands by the words of the rule, and how many givings were stale."""
    highest, state, stale = 0, "", 0
    for kind, version in said:
        if kind == "withdraw":
            state = "withdrawn"
        elif version > highest:
            state = "given"
        elif (state, version) != ("given", highest):
            stale += 1
        highest = max(highest, version)
    return ((state, highest) if state else None), stale


def standing(linkage: BorderAndIdentity) -> tuple[Word | None, Word | None]:
    border = [row for row in linkage.at_border(AtBorder) if (row.account, row.host) == ((HOME, HOME_REF), HOST)]
    persons = [row.person for row in linkage.at_identity(Account) if (row.home, row.home_ref) == (HOME, HOME_REF)]
    inner = [row for row in linkage.at_identity(AtIdentity) if row.person in persons and row.host == HOST]
    assert len(border) <= 1
    assert len(inner) <= 1
    return (
        next(((row.state, row.version) for row in border), None),
        next(((row.state, row.version) for row in inner), None),
    )


def linked(linkage: BorderAndIdentity) -> bool:
    """Whether the border knows of the link: an offer is a fresh code then, and no word on consent."""
    return (HOME, HOME_REF) in [(row.registry, row.ref) for row in linkage.at_border(AtBorderAccount)]


def say(linkage: BorderAndIdentity, kind: str, number: int) -> None:
    match kind:
        case "give":
            linkage.give(number)
        case "withdraw":
            linkage.withdraw(number)
        case "offer":
            linkage.offer(version=number)
        case "request":
            linkage.request()
        case "identity hears":
            linkage.identity_hears(number)
        case _:
            linkage.border_hears(number)


@settings(max_examples=400, deadline=None)
@given(st.lists(words, max_size=20))
@example([("give", 5), ("withdraw", 4), ("give", 5)])
@example([("withdraw", 3), ("give", 3), ("offer", 3), ("give", 4)])
@example([("offer", 1), ("request", 0), ("give", 2), ("identity hears", 0), ("withdraw", 1), ("border hears", 0)])
def test_border_and_identity_end_with_the_same_consent(story: list[Word]) -> None:
    linkage = BorderAndIdentity()
    said = []
    for kind, number in story:
        if kind in ("give", "withdraw") or (kind == "offer" and not linked(linkage)):
            said.append((kind, number))
        say(linkage, kind, number)
    linkage.settle()
    stands, stale = expected(said)
    assert standing(linkage) == (stands, stands)
    refused = [told.reason for told in linkage.refusals() if told.refused_key == HOME_REF]
    assert refused == ["stale_consent"] * stale
