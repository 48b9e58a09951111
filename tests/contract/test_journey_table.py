"""The journey has a step for every message, and each step is said by whom may write there."""

from __future__ import annotations

import pytest

from contracts import topics
from contracts.journey import JOURNEY, Step, said
from contracts.topics import INNER, TEMPLATES

LEGS = [(step, leg) for step in JOURNEY for leg in said(step)]


def test_every_message_of_the_catalogue_stands_in_a_step() -> None:
    told = [message for _, leg in LEGS for message in leg.messages]
    assert len(told) == len(set(told))
    assert set(told) == {message for entry in (*TEMPLATES, *INNER) for message in entry.messages}


def test_steps_are_told_in_order_and_once() -> None:
    numbers = [step.number for step in JOURNEY]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("step", JOURNEY, ids=lambda step: str(step.number))
def test_a_step_is_said_on_its_topic(step: Step) -> None:
    assert any(leg.topic is step.topic for leg in said(step))


def test_who_sends_a_step_is_who_may_write_its_topic() -> None:
    for _, leg in LEGS:
        of_registry = leg.topic.writer == "registry"
        assert of_registry is (leg.sender.split(" ")[0] in ("home", "host")), leg
        assert of_registry or leg.sender in (leg.topic.writer, *leg.topic.readers), leg


def test_what_the_linkage_passes_on_stands_behind_what_is_said_and_before_what_is_delivered() -> None:
    (links,) = (step for step in JOURNEY if step.number == 4)
    assert [leg.topic for leg in said(links)] == [
        topics.VOLUNTEERS,
        topics.VOLUNTEERS,
        topics.IDENTITY_COMMANDS,
        topics.IDENTITY_EVENTS,
        topics.DELIVERIES,
    ]
