"""Where are my hours: what each side may see, who must act next, and what is only a number."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.messages import opportunities
from services.bridge.reading.answers import next_to_act, timeline
from services.bridge.states import ConsentState, Link, ServiceState, Step, Transfer
from tests.support.bridge import World
from tests.support.bridge_messages import (
    HOME,
    HOST,
    MINUTE,
    PERSON,
    T0,
    THIRD,
    attested,
    broken,
    established,
    signup,
    told_of,
)


def seen(world: World, viewer: str | None) -> dict[str, Any]:
    """The timeline of the one person, from all rows of a world."""
    services = world.rows(ServiceState)
    return timeline(
        viewer,
        list(world.states.group(Link, "person", PERSON)),
        world.rows(ConsentState),
        services,
        {row.id: row for row in world.rows(Transfer)},
        world.rows(Step),
        world.now,
    )


def served() -> World:
    world = World()
    world.link()
    world.say(HOST, signup())
    world.hear(told_of())
    world.confirm(1, 90)
    return world


def test_the_whole_way_can_be_read_with_times_and_who_is_next() -> None:
    world = served()
    (service,) = seen(world, HOME)["services"]
    assert (service["minutes"], service["transfer"]["state"], service["next"]) == (90, "sent", "home")
    world.now += MINUTE
    world.accept(1)
    (service,) = seen(world, HOME)["services"]
    assert (service["credited_minutes"], service["next"]) == (90, None)
    whats = [step["what"] for step in service["steps"]]
    assert whats == ["service_confirmed", "transfer_sent", "transfer_credited"]
    assert service["steps"][-1]["at"] == world.now
    (asked,) = seen(world, HOME)["signups"]
    assert (asked["state"], asked["project_ref"], asked["shift_ref"]) == ("confirmed", "P1", "H1")
    (link,) = seen(world, HOME)["links"]
    assert (link["state"], link["consent"], [step["what"] for step in link["steps"]]) == (
        "active",
        "given",
        ["link_established"],
    )


def test_what_consent_keeps_back_is_a_number_to_the_home_and_all_there_is_to_the_host() -> None:
    world = World()
    world.link()
    world.withdraw(1)
    world.say(HOST, signup())
    world.confirm(1, 90)
    home, host = seen(world, HOME), seen(world, HOST)
    assert (home["services"], home["signups"], home["links"][0]["services_withheld"]) == ([], [], 1)
    assert (host["services"][0]["next"], len(host["signups"])) == ("volunteer", 1)
    assert "G1" not in str(home)
    world.give(2)
    assert seen(world, HOME)["services"][0]["transfer"]["state"] == "sent"


def test_consent_that_ran_out_is_called_expired() -> None:
    """It was called ``given``, and the page at home said that hours were shared."""
    world = World()
    world.link(until=T0 + MINUTE)
    assert [link["consent"] for link in seen(world, HOME)["links"]] == ["given"]
    world.now = T0 + MINUTE
    world.confirm(1, 90)
    (link,) = seen(world, HOME)["links"]
    assert (link["consent"], link["consent_version"], link["services_withheld"]) == ("expired", 1, 1)
    assert seen(world, HOST)["services"][0]["transfer"]["reason"] == "consent_expired"
    world.give(2)
    (link,) = seen(world, HOME)["links"]
    assert (link["consent"], link["services_withheld"]) == ("given", 0)


def test_what_was_sent_stays_visible_at_home_after_consent_is_withdrawn() -> None:
    world = served()
    world.accept(1)
    world.withdraw(1)
    assert [service["credited_minutes"] for service in seen(world, HOME)["services"]] == [90]


def test_a_host_sees_nothing_of_other_hosts_nor_of_the_home() -> None:
    world = served()
    world.hear(established(host=THIRD, host_ref="F1"))
    world.confirm(1, 30, "R9", host=HOME)
    third = seen(world, THIRD)
    assert (third["services"], third["signups"], [link["host"] for link in third["links"]]) == ([], [], [THIRD])
    assert [service["host"] for service in seen(world, HOST)["services"]] == [HOST]
    assert sorted(service["host"] for service in seen(world, None)["services"]) == [HOST, HOME]


def test_a_second_request_refused_leaves_the_first_standing() -> None:
    world = served()
    world.hear(told_of(opportunities.SignupRefused, reason="already_signed_up"))
    assert seen(world, HOST)["signups"][0]["state"] == "confirmed"
    world.hear(told_of(opportunities.SignupWithdrawn))
    assert seen(world, HOST)["signups"][0]["state"] == "withdrawn"


def test_a_record_that_is_not_decided_or_was_refused_is_no_sign_up() -> None:
    world = World()
    world.link()
    world.say(HOST, attested())
    assert (seen(world, HOST)["signups"], seen(world, HOST)["services"]) == ([], [])


@pytest.mark.parametrize(
    ("happens", "who"),
    [
        (lambda world: world.hold(1, 60), "host"),
        (lambda world: (world.withdraw(1), world.confirm(1, 60)), "volunteer"),
        (lambda world: (world.hear(broken(2)), world.confirm(1, 60)), "registries"),
        (lambda world: (world.confirm(1, 60), world.refuse(1, retry=True)), "linkage"),
        (lambda world: (world.confirm(1, 60), world.refuse(1)), "home"),
        (lambda world: (world.confirm(1, 60), world.accept(1, 59)), "operator"),
        (lambda world: (world.configure(HOME, "paused"), world.confirm(1, 60)), "operator"),
        (lambda world: (world.confirm(1, 60), world.refuse(1, "volunteer_unknown", retry=True)), "home"),
        (lambda world: (world.confirm(1, 60), world.accept(1)), None),
        (lambda world: (world.hold(1, 60), world.confirm(1, 60), world.revoke(2)), "home"),
    ],
)
def test_it_says_who_must_act_next(happens: Any, who: str) -> None:
    world = World()
    world.link()
    happens(world)
    service = world.service()
    transfer = world.transfer() if service.transfer_id else None
    assert next_to_act(service, transfer) == who
