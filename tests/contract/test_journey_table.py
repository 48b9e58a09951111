"""The journey has a step for every message, and each step is said by whom may write there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from contracts import topics
from contracts.journey import JOURNEY, Step, said
from contracts.topics import INNER, TEMPLATES
from deploy.audit.translated import COMMAND_OF

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


def _names() -> list[list[set[str]]]:
    """The names of messages in the cells of the README's table of names, row by row."""
    readme = (Path(topics.__file__).parent / "README.md").read_text("utf-8")
    found = re.search(r"<!-- names -->\n.*?\n.*?\n(.*?)\n<!-- end -->", readme, re.DOTALL)
    assert found is not None
    known = {message.__name__ for entry in (*TEMPLATES, *INNER) for message in entry.messages}
    rows = [line.strip("|").split("|") for line in found[1].splitlines()]
    return [[set(re.findall(r"\w+", cell)) & known for cell in row] for row in rows]


def test_the_table_of_names_has_once_what_a_registry_says_with_the_command_that_the_checker_expects() -> None:
    said = [name for row in _names() for name in row[0]]
    inbound = {message.__name__: message for entry in topics.INBOUND for message in entry.messages}
    assert len(said) == len(set(said))
    assert {name for name, message in inbound.items() if not message.OPTIONAL} <= set(said) <= set(inbound)
    for row in _names():
        expected = {COMMAND_OF[inbound[name]].__name__ for name in row[0] if inbound[name] in COMMAND_OF}
        assert row[1] == expected, row


def of_bridge(entry: topics.TopicEntry) -> bool:
    return "bridge" in (entry.writer, *entry.readers)


def test_the_table_of_names_has_every_event_of_the_border_and_every_delivery_in_its_column() -> None:
    # What the bridge neither says nor reads stays among services.
    events = {m.__name__ for e in INNER if e.name.endswith(".events.v1") and of_bridge(e) for m in e.messages}
    deliveries = {message.__name__ for message in topics.DELIVERIES.messages if not message.OPTIONAL}
    assert set().union(*(row[2] for row in _names())) == events - {"CommandRefused"}
    assert deliveries <= set().union(*(row[3] for row in _names()))
