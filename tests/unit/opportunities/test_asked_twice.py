"""One sign-up that was asked for more than once: from both apps, or under several numbers of one."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.messages import Message
from contracts.messages.opportunities import (
    CommandRefused,
    SignupConfirmed,
    SignupPromoted,
    SignupRefused,
    SignupWaitlisted,
    SignupWithdrawn,
)
from services.opportunities.rules.telling import MOST_ASKS
from tests.support.opportunities import World, close, only, report, request, shift, withdraw


def heard(messages: list[Message], kind: type) -> set[tuple[str, str]]:
    """Who was told so, each under which ref."""
    return {(one.asker, one.signup_ref) for one in messages if isinstance(one, kind)}  # type: ignore[attr-defined]


BOTH = {("sz", "at-home"), ("gz", "over-there")}


@pytest.mark.parametrize(("posts", "answer"), [(3, SignupConfirmed), (0, SignupWaitlisted)])
def test_a_second_asker_is_told_how_it_stands_under_its_own_ref(posts: int, answer: type) -> None:
    """Seen: pressed in both apps at once, it ended as refused in the books of both, and she had a post."""
    world = World()
    she = uuid4()
    world.all_told(shift(posts=posts, waitlist=1), request(she, asker="sz", ref="at-home"))
    second = request(she, asker="gz", ref="over-there")
    (told,) = world.told(second)
    assert type(told) is answer
    assert (told.asker, told.signup_ref, told.origin) == ("gz", "over-there", second.origin)  # type: ignore[attr-defined]
    assert (len(world.signups()), len(world.outcomes)) == (1, 1), "one sign-up, counted once"


def asked_by_both(world: World, she: UUID, **of_shift: Any) -> None:
    world.all_told(
        shift(waitlist=1, **of_shift),
        request(she, asker="sz", ref="at-home"),
        request(she, asker="gz", ref="over-there"),
    )


def test_what_becomes_of_it_reaches_everyone_who_was_told_of_it() -> None:
    world, she = World(), uuid4()
    asked_by_both(world, she, posts=0)
    assert heard(world.told(shift(version=2, posts=1)), SignupPromoted) == BOTH
    assert heard(world.told(withdraw(she, asker="gz", ref="over-there")), SignupWithdrawn) == BOTH
    assert [row.outcome for row in world.outcomes] == ["waitlisted", "promoted", "withdrawn"]


@pytest.mark.parametrize("posts", [0, 1])
def test_a_cancellation_reaches_everyone_who_was_told_of_it(posts: int) -> None:
    world, she = World(), uuid4()
    asked_by_both(world, she, posts=posts)
    assert heard(world.told(shift(version=2, state="cancelled")), SignupWithdrawn) == BOTH


def test_the_end_of_the_line_reaches_everyone_who_was_told_of_it() -> None:
    world, she = World(), uuid4()
    asked_by_both(world, she, posts=0)
    assert heard(world.told(close()), SignupWithdrawn) == BOTH


def test_who_asks_again_after_it_ended_asks_alone() -> None:
    world, she = World(), uuid4()
    asked_by_both(world, she, posts=1)
    world.told(withdraw(she, asker="gz", ref="over-there"))
    world.told(request(she, asker="sz", ref="once-more"))
    gone = world.told(withdraw(she, asker="sz", ref="once-more"))
    assert heard(gone, SignupWithdrawn) == {("sz", "once-more")}


def test_of_one_sign_up_so_many_asks_are_kept_and_no_more() -> None:
    world, she = World(), uuid4()
    world.all_told(shift(posts=1), *(request(she, ref=f"r-{n}") for n in range(MOST_ASKS)))
    assert only(SignupRefused, world.told(request(she, ref="one-more"))).reason == "already_signed_up"
    only(SignupConfirmed, world.told(request(she, ref="r-3")))
    assert len(heard(world.told(withdraw(she, ref="r-0")), SignupWithdrawn)) == MOST_ASKS


def test_of_one_reported_window_so_many_reports_are_kept_and_the_reason_is_the_same() -> None:
    """Seen: it was refused as too_many_reports, which means that too many windows of hers overlap."""
    world, she = World(), uuid4()
    world.all_told(*(report(she).model_copy(update={"signup_ref": f"r-{n}"}) for n in range(MOST_ASKS)))
    refused = only(CommandRefused, world.told(report(she).model_copy(update={"signup_ref": "one-more"})))
    assert refused.reason == "already_signed_up"


def test_a_registry_that_asks_again_and_again_leaves_the_other_one_its_ask() -> None:
    """Seen: a client of the host that loops took all places, and her home was told refused(already_signed_up)."""
    world, she = World(), uuid4()
    world.all_told(shift(posts=1), *(request(she, asker="gz", ref=f"r-{n}") for n in range(MOST_ASKS + 1)))
    only(SignupConfirmed, world.told(request(she, asker="sz", ref="at-home")))
    assert ("sz", "at-home") in heard(world.told(withdraw(she, asker="sz", ref="at-home")), SignupWithdrawn)
