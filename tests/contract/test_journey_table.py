"""The journey's table tells of every message once, on the topic that carries it."""

from __future__ import annotations

from collections import Counter

import pytest

from contracts import topics
from contracts.journey import JOURNEY, Leg
from contracts.messages import message_types, volunteers
from contracts.topics import INNER, TEMPLATES


def test_every_message_of_the_catalogue_stands_in_exactly_one_step() -> None:
    told = Counter(message for step in JOURNEY for leg in (*step.says, *step.inside) for message in leg.messages)
    assert set(told) == set(message_types().values())
    assert max(told.values()) == 1


def test_every_topic_is_on_the_journey() -> None:
    told = {leg.topic.name for step in JOURNEY for leg in (*step.says, *step.inside)}
    assert told == {entry.name for entry in (*TEMPLATES, *INNER)}


def test_who_sends_a_step_is_who_may_write_its_topic() -> None:
    for step in JOURNEY:
        for leg in (*step.says, *step.inside):
            of_registry = leg.topic.writer == "registry"
            assert of_registry is (leg.sender.split(" ")[0] in ("home", "host")), leg
            assert of_registry or leg.sender == leg.topic.writer, leg


def test_a_message_on_a_topic_that_does_not_carry_it_is_no_step() -> None:
    with pytest.raises(ValueError, match="does not carry LinkOffered"):
        Leg("home", topics.SIGNUPS, (volunteers.LinkOffered,))
