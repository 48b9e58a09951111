"""Givings, withdrawals and offers over border and identity, in any order and repeated: both end with one consent."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.messages.refusals import MessageRefused
from services.bridge.states import Account as AtBorderAccount
from services.bridge.states import ConsentState as AtBorder
from services.identity.states import Account
from services.identity.states import ConsentState as AtIdentity
from tests.support.bridge import of_kind
from tests.support.bridge_and_identity import Linkage
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


def standing(linkage: Linkage) -> tuple[Word | None, Word | None]:
    border = linkage.border.states.get(AtBorder, (HOME, HOME_REF, HOST))
    account = linkage.identity.states.get(Account, (HOME, HOME_REF))
    inner = None if account is None else linkage.identity.states.get(AtIdentity, (account.person, HOST))
    return (
        None if border is None else (border.state, border.version),
        None if inner is None else (inner.state, inner.version),
    )


def linked(linkage: Linkage) -> bool:
    """Whether the border knows of the link: an offer is a fresh code then, and no word on consent."""
    return linkage.border.states.get(AtBorderAccount, (HOME, HOME_REF)) is not None


def say(linkage: Linkage, kind: str, number: int) -> None:
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
    linkage = Linkage()
    said = []
    for kind, number in story:
        if kind in ("give", "withdraw") or (kind == "offer" and not linked(linkage)):
            said.append((kind, number))
        say(linkage, kind, number)
    linkage.settle()
    stands, stale = expected(said)
    assert standing(linkage) == (stands, stands)
    refused = [m.reason for m in of_kind(linkage.border.sent, MessageRefused) if m.refused_key == HOME_REF]
    assert refused == ["stale_consent"] * stale
