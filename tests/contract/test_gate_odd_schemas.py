"""Schemas of kinds that no message has today: lists, choices, closed objects, trees, booleans, no schema at all."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from contracts.tools.schema_breaks import schema_breaks

OTHER = {"type": "string", "maxLength": 7, "pattern": "^[a-z]$"}
LIST = {"type": "object", "properties": {"days": {"type": "array", "items": OTHER, "minItems": 1, "maxItems": 9}}}
UNION = {
    "type": "object",
    "properties": {
        "how": {"oneOf": [LIST, {"const": 1}], "allOf": [{"type": "object"}]},
        "more": {"type": "object", "additionalProperties": OTHER},
        "shut": {"type": "object", "properties": {"a": OTHER}, "additionalProperties": False},
    },
}
AT_HOW = UNION["properties"]["how"]  # type: ignore[index]
ITSELF = {
    "$ref": "#/$defs/Tree",
    "$defs": {"Tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}, "size": OTHER}}},
}


def _changed(schema: Any, change: Callable[[Any], object]) -> Any:
    schema = copy.deepcopy(schema)
    change(schema)
    return schema


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (LIST, _changed(LIST, lambda s: s["properties"]["days"].update(items=[OTHER]))),
        (_changed(LIST, lambda s: s["properties"]["days"].update(items=[OTHER])), LIST),
        (LIST, _changed(LIST, lambda s: s["properties"]["days"].pop("items"))),
        (LIST, _changed(LIST, lambda s: s["properties"]["days"].update(items=True))),
        (LIST, _changed(LIST, lambda s: s["properties"]["days"].update(items=False))),
        (LIST, _changed(LIST, lambda s: s["properties"]["days"]["items"].update(maxLength=8))),
        (UNION, _changed(UNION, lambda s: s["properties"]["how"]["oneOf"][1].update(const=2))),
        (UNION, _changed(UNION, lambda s: s["properties"]["how"]["oneOf"].pop())),
        (UNION, _changed(UNION, lambda s: s["properties"]["how"].update(anyOf=s["properties"]["how"].pop("oneOf")))),
        (UNION, _changed(UNION, lambda s: s["properties"]["how"]["allOf"].append({"maxProperties": 3}))),
        (UNION, _changed(UNION, lambda s: s["properties"]["more"].pop("additionalProperties"))),
        (UNION, _changed(UNION, lambda s: s["properties"]["more"]["additionalProperties"].update(type="integer"))),
        (UNION, _changed(UNION, lambda s: s["properties"]["shut"]["properties"].update(b=OTHER))),
        (ITSELF, _changed(ITSELF, lambda s: s["$defs"]["Tree"]["properties"]["size"].update(maxLength=8))),
        (ITSELF, _changed(ITSELF, lambda s: s["$defs"]["Tree"]["properties"].update(left=OTHER))),
        (ITSELF, _changed(ITSELF, lambda s: s["$defs"].update(Tree={"$ref": "#/$defs/Tree"}))),
        (ITSELF, _changed(ITSELF, lambda s: s.update(maxProperties=1))),
        (ITSELF, _changed(ITSELF, lambda s: s.update(type="string"))),
        (ITSELF, {"$ref": "#/$defs/Tree", "$defs": []}),
        (OTHER, False),
        (False, OTHER),
        (True, False),
        ({}, False),
        (None, None),
        (OTHER, [OTHER]),
    ],
)
def test_what_no_message_of_today_has_is_compared_too(old: Any, new: Any) -> None:
    assert schema_breaks(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (True, True),
        (False, False),
        (True, {}),
        (ITSELF, ITSELF),
        (UNION, UNION),
        (UNION, _changed(UNION, lambda s: s["properties"]["how"]["oneOf"].reverse())),
        (UNION, _changed(UNION, lambda s: s["properties"].update(x={"$ref": "#/$defs/T"}, **{}) or s.update(ITSELF))),
        (ITSELF, _changed(ITSELF, lambda s: s["$defs"]["Tree"]["properties"].update(right={"$ref": "#/$defs/Tree"}))),
    ],
)
def test_what_no_message_of_today_has_may_stay(old: Any, new: Any) -> None:
    if isinstance(new, dict) and "x" in new.get("properties", {}):
        new = {
            **{k: v for k, v in new.items() if k != "$ref"},
            "$defs": {"T": {"$ref": "#/$defs/Tree"}, **new["$defs"]},
        }
    assert schema_breaks(old, new) == []
