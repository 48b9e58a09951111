"""What "my hours" makes of a timeline: a later version hides nothing of what counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from deploy.tryout.sandbox.web.hours import Correction, Hour, hours_of
from services.bridge.reading.answers import timeline
from services.bridge.states import ConsentState, Link, ServiceState, Transfer
from tests.support.bridge import World
from tests.support.bridge_messages import HOME, HOST, PERSON


def hour(world: World, at: str = HOME) -> Hour:
    """The one service of the one person, as this registry shows it."""
    told = timeline(
        at,
        list(world.states.group(Link, "person", PERSON)),
        world.rows(ConsentState),
        world.rows(ServiceState),
        {row.id: row for row in world.rows(Transfer)},
        [],
        world.now,
    )
    (found,) = hours_of(told["services"])
    return found


def credited(minutes: int = 90) -> World:
    world = World()
    world.link()
    world.confirm(1, minutes)
    world.accept(1)
    return world


def shown(found: Hour) -> tuple[int, int, str, str]:
    return found.stop, found.minutes, found.tone, found.state


def test_a_service_without_a_correction_is_shown_as_it_stands() -> None:
    world = World()
    world.link()
    world.hold(1, 60)
    found = hour(world)
    assert (shown(found), found.reason, found.correction) == ((1, 60, "waiting", "held"), "no_check_in", None)
    found = hour(credited())
    assert (shown(found), found.next, found.correction) == ((3, 90, "done", "credited"), "next_nobody", None)


def test_a_held_correction_leaves_the_credit_in_sight() -> None:
    """The page said that the record does not count, while its first version was credited."""
    world = credited()
    world.hold(2, 120)
    found = hour(world)
    assert shown(found) == (3, 90, "done", "credited")
    assert found.correction == Correction(120, "waiting", "held", "no_check_in")
    assert (found.reason, found.next) == (None, "next_host")


@pytest.mark.parametrize(
    ("happens", "at", "correction"),
    [
        (lambda world: world.confirm(2, 120), HOME, Correction(120, "moving", "sent", None)),
        (
            lambda world: (world.withdraw(1), world.confirm(2, 120)),
            HOST,
            Correction(120, "waiting", "withheld", "consent_withdrawn"),
        ),
        (
            lambda world: (world.confirm(2, 60), world.refuse(2)),
            HOME,
            Correction(60, "waiting", "refused", "daily_cap"),
        ),
        (lambda world: world.revoke(2), HOME, Correction(0, "moving", "sent", None)),
    ],
    ids=["sent", "withheld", "refused", "revoked"],
)
def test_a_correction_that_is_not_booked_leaves_the_credit_in_sight(
    happens: Callable[[World], Any], at: str, correction: Correction
) -> None:
    world = credited()
    happens(world)
    found = hour(world, at)
    assert (shown(found), found.correction) == ((3, 90, "done", "credited"), correction)


def test_a_correction_that_is_booked_is_the_service() -> None:
    world = credited()
    world.confirm(2, 120)
    world.accept(2)
    found = hour(world)
    assert (shown(found), found.correction) == ((3, 120, "done", "credited"), None)


def test_a_held_correction_at_home_leaves_in_sight_what_counts_there() -> None:
    at_home = {
        "host": HOME, "home": HOME, "state": "held", "reason": "over_cap", "minutes": 600, "confirmed_minutes": 60,
        "credited_minutes": 0, "transfer": None, "next": "host",
    }  # fmt: skip
    (found,) = hours_of([at_home])
    assert shown(found) == (1, 60, "done", "confirmed")
    assert found.correction == Correction(600, "waiting", "held", "over_cap")
