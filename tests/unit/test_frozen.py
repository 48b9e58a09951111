"""Value objects are equal by value, and the type checker guards what the interpreter does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.frozen import frozen


@frozen
class _Place:
    topic: str
    offset: int = 0


def test_value_objects_are_equal_by_value_and_can_be_keys() -> None:
    assert {_Place("a"): 1}[_Place("a", 0)] == 1
    assert _Place("a", 1) != _Place("a", 2)
    assert replace(_Place("a", 1), offset=2) == _Place("a", 2)


def test_a_field_that_there_is_not_cannot_be_made_up() -> None:
    with pytest.raises(AttributeError):
        _Place("a").partition = 1  # type: ignore[attr-defined]


def test_an_assignment_is_the_type_checkers_business_alone() -> None:
    place = _Place("a")
    place.offset = 2  # type: ignore[misc] # once this is let pass, the comment is one too many, and the check fails
    assert place.offset == 2
