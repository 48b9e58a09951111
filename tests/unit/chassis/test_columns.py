"""Of what type the column of a row's field is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Literal

import pytest

from contracts.frozen import frozen
from services.chassis.tables import Table

Colour = Literal["red", "green"]
Shape = Literal["round", "square"]


@frozen
class Thing:
    name: str
    colour: Colour
    shape: Shape | None
    look: Colour | Shape | None
    size: str | int


def test_words_of_several_closed_lists_are_text_like_the_words_of_one() -> None:
    """Seen: a reason out of two closed lists was kept as a text of JSON, in quotation marks."""
    columns = {column.name: column.sql_type for column in Table(Thing, "thing", key=("name",)).columns}
    assert columns == {"name": "text", "colour": "text", "shape": "text", "look": "text", "size": "jsonb"}


async def test_a_statement_that_does_not_begin_with_the_whole_row_is_not_sent() -> None:
    """Columns and row version stand in the place of the star; a statement without it would be sent as it is."""
    things: Table[Thing] = Table(Thing, "thing", key=("name",))
    nowhere: Any = SimpleNamespace(fetch=None)
    for statement in (
        "WHERE true",
        "SELECT name FROM thing",
        "SELECT other.* FROM other",
        "x SELECT thing.* FROM thing",
    ):
        with pytest.raises(ValueError, match=r"begins with SELECT thing\.\*"):
            await things.fetch(nowhere, statement)
