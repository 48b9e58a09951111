"""A window of home that clashes loses nothing for good: it is decided again when what it lost to ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID, uuid4

import pytest

from contracts.messages import Message
from contracts.messages.opportunities import (
    CommandRefused,
    SignupConfirmed,
    SignupNoted,
    SignupPromoted,
    SignupRefused,
    SignupWithdrawn,
)
from services.opportunities.rules import windows
from services.opportunities.rules.windows import WISHES
from services.opportunities.states import Signup, Wish
from tests.support.opportunities import BEFORE, World, hour, only, report, request, shift, withdraw


def busy_elsewhere(she: UUID, *, posts: int = 1) -> World:
    """She has a post (or a place in line) from 9 to 12; her home's window from 8 to 16 lost to it."""
    world = World()
    world.all_told(shift(posts=posts, waitlist=5), request(she))
    assert only(SignupRefused, world.told(report(she, window=(8, 16)))).reason == "clash"
    return world


def states(world: World, she: UUID) -> list[tuple[str, str]]:
    return sorted((row.shift_ref, row.state) for row in world.rows(Signup) if row.person == she)


_ENDS: list[tuple[str, Callable[[UUID], Message]]] = [
    ("the post is withdrawn", withdraw),
    ("its shift is cancelled", lambda _: shift(version=2, state="cancelled")),
]


@pytest.mark.parametrize(("_", "ending"), _ENDS)
@pytest.mark.parametrize("posts", [1, 0])
def test_a_home_window_that_lost_is_noted_once_what_it_lost_to_ends(
    _: str, ending: Callable[[UUID], Message], posts: int
) -> None:
    she = uuid4()
    world = busy_elsewhere(she, posts=posts)
    gone, noted = world.told(ending(she))
    assert isinstance(gone, SignupWithdrawn)
    assert isinstance(noted, SignupNoted)
    assert (noted.person, noted.key, noted.shift_ref, noted.asker) == (she, "sz:ph", "h1", "sz")
    assert (noted.starts_at, noted.ends_at) == (hour(8), hour(16))
    assert states(world, she) == [("h1", "reported"), ("s1", "withdrawn")]


def test_a_home_window_that_came_to_stand_keeps_new_sign_ups_out() -> None:
    """Seen: after the winner withdrew, a new overlapping sign-up was confirmed beside the home's own window."""
    she = uuid4()
    world = busy_elsewhere(she)
    world.all_told(withdraw(she), shift("s2", window=(13, 15)))
    assert only(SignupRefused, world.told(request(she, "s2"))).reason == "clash"


def test_a_window_that_lost_occupies_nothing_until_then() -> None:
    she = uuid4()
    world = busy_elsewhere(she)
    world.told(shift("s2", window=(13, 15)))
    only(SignupConfirmed, world.told(request(she, "s2")))
    # Both have to end before it stands.
    only(SignupWithdrawn, world.told(withdraw(she)))
    assert [type(message) for message in world.told(withdraw(she, "s2"))] == [SignupWithdrawn, SignupNoted]


def test_a_home_window_lost_to_another_one_is_noted_when_that_ends_or_moves_away() -> None:
    she = uuid4()
    for moved in (report(she, "h0", window=(9, 12), state="withdrawn"), report(she, "h0", window=(18, 20))):
        world = World()
        world.all_told(report(she, "h0", window=(9, 12)), report(she, "h1", window=(11, 14)))
        assert states(world, she) == [("h0", "reported"), ("h1", "clashed")]
        told = world.told(moved)[-1]
        assert isinstance(told, SignupNoted)
        assert (told.shift_ref, told.starts_at) == ("h1", hour(11))


def test_of_two_that_lost_the_one_that_lost_first_comes_first_and_the_other_waits_on() -> None:
    she = uuid4()
    world = World()
    world.all_told(shift(), request(she))
    world.told(report(she, "z-first", window=(9, 13)), BEFORE)
    world.told(report(she, "a-second", window=(10, 14)), hour(-0.5))
    gone, noted = world.told(withdraw(she))
    assert isinstance(gone, SignupWithdrawn)
    assert isinstance(noted, SignupNoted)
    assert noted.shift_ref == "z-first"
    ended, noted = world.told(report(she, "z-first", window=(9, 13), state="withdrawn"))
    assert isinstance(ended, SignupWithdrawn)
    assert isinstance(noted, SignupNoted)
    assert noted.shift_ref == "a-second"


def test_two_that_lost_to_the_same_and_fit_beside_each_other_stand_both() -> None:
    she = uuid4()
    world = World()
    world.all_told(shift(), request(she), report(she, "h1", window=(8, 10)), report(she, "h2", window=(10, 13)))
    assert [type(message) for message in world.told(withdraw(she))] == [SignupWithdrawn, SignupNoted, SignupNoted]


def test_a_window_that_cannot_move_yet_keeps_where_it_stood_and_moves_later() -> None:
    she = uuid4()
    world = World()
    world.all_told(shift(), request(she), report(she, "h1", window=(14, 15)))
    assert only(SignupRefused, world.told(report(she, "h1", window=(10, 13)))).reason == "clash"
    # One more of home wants the place that the first one has not left yet.
    assert only(SignupRefused, world.told(report(she, "h2", window=(14, 15)))).reason == "clash"
    assert [type(message) for message in world.told(withdraw(she))] == [SignupWithdrawn, SignupNoted, SignupNoted]
    windows = {row.shift_ref: row.starts_at for row in world.signups(("reported",))}
    assert windows == {"h1": hour(10), "h2": hour(14)}


def test_a_report_that_lost_can_be_ended_and_asks_for_nothing_any_more() -> None:
    she = uuid4()
    world = busy_elsewhere(she)
    ended = report(she, state="withdrawn")
    assert only(SignupWithdrawn, world.told(ended)).origin == ended.origin
    assert only(CommandRefused, world.told(report(she, state="withdrawn"))).reason == "no_signup"
    only(SignupWithdrawn, world.told(withdraw(she)))
    assert states(world, she) == [("h1", "withdrawn"), ("s1", "withdrawn")]


def test_a_report_that_lost_ends_with_its_own_shift() -> None:
    she = uuid4()
    world = busy_elsewhere(she)
    world.told(shift("h1", of="ph", host="sz", window=(8, 16)))
    cancelled = shift("h1", of="ph", host="sz", version=2, window=(8, 16), state="cancelled")
    gone = only(SignupWithdrawn, world.told(cancelled))
    assert (gone.person, gone.reason) == (she, "shift_cancelled")
    only(SignupWithdrawn, world.told(withdraw(she)))
    assert world.outcomes[-1].outcome == "withdrawn"
    assert len(world.outcomes) == 2, "what home reports is no request"


def test_a_report_of_a_shift_that_is_cancelled_is_refused_whichever_comes_first() -> None:
    she = uuid4()
    world = World()
    world.told(shift("h1", of="ph", host="sz", state="cancelled"))
    assert only(SignupRefused, world.told(report(she))).reason == "shift_cancelled"
    assert states(world, she) == []


def test_a_report_repeated_while_it_lost_is_refused_again_with_the_window_that_it_wants_now() -> None:
    she = uuid4()
    world = busy_elsewhere(she)
    assert only(SignupRefused, world.told(report(she, window=(10, 11)))).reason == "clash"
    assert only(SignupNoted, world.told(report(she, window=(12, 13)))).starts_at == hour(12)
    only(SignupWithdrawn, world.told(withdraw(she)))


def test_a_post_handed_on_and_a_window_let_in_are_told_by_one_withdrawal() -> None:
    she, waiting = uuid4(), uuid4()
    world = busy_elsewhere(she)
    world.told(request(waiting))
    told = world.told(withdraw(she))
    assert [type(message) for message in told] == [SignupWithdrawn, SignupPromoted, SignupNoted]


def test_a_cancelled_shift_lets_in_the_windows_of_all_its_people() -> None:
    people = [uuid4() for _ in range(5)]
    world = World()
    world.all_told(shift(posts=3, waitlist=5), *map(request, people), *(report(she) for she in people))
    told = world.told(shift(version=2, posts=3, waitlist=5, state="cancelled"))
    assert [type(message) for message in told] == [SignupWithdrawn] * 5 + [SignupNoted] * 5
    assert {row.person for row in world.signups(("reported",))} == set(people)


def test_a_request_that_lost_is_final_and_asked_again_under_a_new_message() -> None:
    """Differs from a report: nobody may find herself signed up by something she asked for days ago."""
    she = uuid4()
    world = World()
    world.all_told(shift(), shift("s2", window=(11, 14)), request(she))
    assert only(SignupRefused, world.told(request(she, "s2"))).reason == "clash"
    only(SignupWithdrawn, world.told(withdraw(she)))
    only(SignupConfirmed, world.told(request(she, "s2")))


def test_of_one_person_so_many_windows_that_lost_are_kept_and_no_more() -> None:
    she, other = uuid4(), uuid4()
    world = busy_elsewhere(she)
    for n in range(1, WISHES):
        assert only(SignupRefused, world.told(report(she, f"h{n + 1}"))).reason == "clash"
    assert only(CommandRefused, world.told(report(she, "h-more"))).reason == "too_many_reports"
    assert only(SignupRefused, world.told(report(she, "h7", window=(10, 11)))).reason == "clash"
    only(SignupNoted, world.told(report(she, "free", window=(17, 18))))
    only(SignupNoted, world.told(report(other, "h1")))
    only(SignupWithdrawn, world.told(report(she, "h7", state="withdrawn")))
    assert only(SignupRefused, world.told(report(she, "h-more"))).reason == "clash"


def test_windows_that_lost_are_looked_at_once_each_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """From before there was a limit: what gave one window back compared all with all, again after each that stood."""
    monkeypatch.setattr(windows, "WISHES", 10_000)
    she = uuid4()
    world = busy_elsewhere(she)
    world.told(report(she, state="withdrawn"))
    for n in range(400):  # each window is wanted twice
        world.told(report(she, f"w{n}", window=(9 + n // 2 / 100, 9 + (n // 2 + 1) / 100)))
    looks: list[object] = []
    is_taken = windows._is_taken

    def counting(taken: list[tuple[datetime, datetime, UUID]], wish: Wish) -> bool:
        looks.append(wish)
        return is_taken(taken, wish)

    monkeypatch.setattr(windows, "_is_taken", counting)
    told = world.told(withdraw(she))
    assert [type(message) for message in told] == [SignupWithdrawn] + [SignupNoted] * 200
    assert len(looks) == 400
