"""Every field of every message and of every topic is mutated in every way; the gate reports each break, and no more.

Each message is judged as it is published, with its parts written out in place, and with each field behind a reference
to a reference. The suite tries an eighth of the mutations of messages, another eighth for each message; all of them:
``python -m tests.contract.test_gate_misses_nothing``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from contracts.tools.compatibility import compare, current
from contracts.tools.schema_breaks import schema_breaks

NOW = current()
Schema = dict[str, Any]
Path = tuple[str | int, ...]
Mutation = tuple[str, Any]
EIGHTHS = 8
OTHER = {"type": "string", "maxLength": 7, "pattern": "^[a-z]$"}


def _written_out(node: Any, root: Schema) -> Any:
    """The schema with every reference replaced by what it means."""
    if isinstance(node, list):
        return [_written_out(part, root) for part in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        node = {**root["$defs"][node["$ref"].rpartition("/")[2]], **{k: v for k, v in node.items() if k != "$ref"}}
    return {name: _written_out(part, root) for name, part in node.items() if name != "$defs"}


def _behind_two_references(schema: Schema) -> Schema:
    """Each field's schema is moved to a definition, to which another definition points."""
    definitions: Schema = {}

    def moved(node: Schema, at: str) -> Schema:
        node = dict(node)
        for name, part in node.get("properties", {}).items():
            definitions[f"{at}.{name}.near"] = {"$ref": f"#/$defs/{at}.{name}.far"}
            definitions[f"{at}.{name}.far"] = moved(part, f"{at}.{name}") if isinstance(part, dict) else part
        if "properties" in node:
            node["properties"] = {name: {"$ref": f"#/$defs/{at}.{name}.near"} for name in node["properties"]}
        return node

    return {**moved(schema, "m"), "$defs": definitions}


OUT = {name: _written_out(schema, dict(schema)) for name, schema in NOW.schemas.items()}
REFERRED = {name: _behind_two_references(schema) for name, schema in OUT.items()}


def _nodes(node: Schema, path: Path = ()) -> Iterator[tuple[Path, Schema]]:
    """Every schema in a schema: the message, its fields, theirs, and alternatives."""
    yield path, node
    for name, part in node.get("properties", {}).items():
        yield from _nodes(part, (*path, "properties", name))
    for place, part in enumerate(node.get("anyOf", [])):
        yield from _nodes(part, (*path, "anyOf", place))
    if "items" in node:
        yield from _nodes(node["items"], (*path, "items"))


def _with(node: Any, path: Path, change: Any) -> Any:
    """The same with another schema at the path."""
    if not path:
        return change
    first, rest = path[0], path[1:]
    if isinstance(node, list):
        return [_with(part, rest, change) if place == first else part for place, part in enumerate(node)]
    return {**node, first: _with(node[first], rest, change)}


def _without(node: Schema, *keywords: str) -> Schema:
    return {name: value for name, value in node.items() if name not in keywords}


NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "multipleOf")
ADDED = {
    **dict.fromkeys((*NUMBERS, "minItems", "maxItems", "minProperties", "maxProperties"), 1),
    "pattern": "^b", "format": "uri", "const": "c", "enum": ["d"], "default": "e", "type": "array", "items": OTHER,
    "uniqueItems": True, "additionalProperties": False, "anyOf": [OTHER], "oneOf": [OTHER], "allOf": [OTHER],
    "not": OTHER, "if": OTHER, "then": OTHER, "prefixItems": [OTHER], "patternProperties": {"^x": OTHER},
    "propertyNames": OTHER, "dependentRequired": {"a": ["b"]}, "contentEncoding": "base64", "$dynamicRef": "#a",
    "unevaluatedProperties": False, "nullable": True,
}  # fmt: skip


def _breaking(node: Schema) -> Iterator[Mutation]:
    """Every way in which one schema can become narrower, wider or another."""
    for keyword, value in ADDED.items():
        if keyword not in node:
            yield f"{keyword} added", {**node, keyword: value}
    for keyword in node.keys() - {"title", "description", "examples", "properties", "$schema"}:
        yield f"{keyword} dropped", _without(node, keyword)
        for odd in (None, False, 0, "x", [], {}, ["x"], {"x": 1}):
            if odd != node[keyword] and (keyword, odd) != ("anyOf", []):
                yield f"{keyword} is {odd!r}", {**node, keyword: odd}
    for keyword in node.keys() & set(NUMBERS):
        yield f"{keyword} lowered", {**node, keyword: node[keyword] - 1}
        yield f"{keyword} raised", {**node, keyword: node[keyword] + 1}
    for place, value in enumerate(node.get("enum", [])):
        rest = node["enum"][:place] + node["enum"][place + 1 :]
        yield f"enum loses {value!r}", {**node, "enum": rest}
        yield f"enum has another for {value!r}", {**node, "enum": [*rest, f"{value}-"]}
    if "enum" in node:
        yield "enum widened", {**node, "enum": [*node["enum"], "another"]}
        yield "enum is its first", {**_without(node, "enum"), "const": node["enum"][0]}
    if isinstance(node.get("type"), str):
        for kind in {"string", "integer", "number", "boolean", "object", "array", "null"} - {node["type"]}:
            yield f"type {kind}", {**node, "type": kind}
            yield f"type or {kind}", {**node, "type": [node["type"], kind]}
    for place in range(len(node.get("anyOf", []))):
        yield f"anyOf loses {place}", {**node, "anyOf": node["anyOf"][:place] + node["anyOf"][place + 1 :]}
        yield f"anyOf doubles {place}", {**node, "anyOf": [*node["anyOf"], node["anyOf"][place]]}
        yield f"anyOf {place} is another", {**node, "anyOf": _with(node["anyOf"], (place,), OTHER)}
    yield "or null", {"anyOf": [node, {"type": "null"}]}
    yield from _broken_fields(node)


def _broken_fields(node: Schema) -> Iterator[Mutation]:
    """What can be done to the fields of an object."""
    required = node.get("required", [])
    for name, part in node.get("properties", {}).items():
        others = _without(node["properties"], name)
        yield f"{name} removed", {**node, "properties": others}
        yield f"{name} renamed", {**node, "properties": {**others, f"{name}_": part}}
        wanted = [one for one in required if one != name] if name in required else [*required, name]
        yield f"{name} required the other way", {**node, "required": wanted}
        oddities: list[Any] = [True, False, {}, [], None, 0, "x", [part], {"$ref": "#/$defs/nowhere"}, {"$ref": 1}]
        for odd in oddities:
            yield f"{name} is {str(odd)[:30]}", {**node, "properties": {**others, name: odd}}
        yield f"{name} is a list of it", {**node, "properties": {**others, name: {"type": "array", "items": part}}}
    if "properties" in node:
        yield (
            "added and required",
            {
                **node,
                "properties": {**node["properties"], "x": OTHER},
                "required": [*required, "x"],
            },
        )
        for odd in (True, False, {}, {"not": {}}, {"items": [OTHER]}, {"type": 7}):
            yield f"added {odd}", {**node, "properties": {**node["properties"], "x": odd}}


def _harmless(node: Schema) -> Iterator[Mutation]:
    """Words, order, and optional fields more."""
    yield "words", {**node, "description": "other words", "title": "A title", "examples": [1]}
    yield "order of keywords", dict(reversed(node.items()))
    for keyword in node.keys() & {"enum", "required", "anyOf"}:
        yield f"order of {keyword}", {**node, keyword: node[keyword][::-1]}
    if "type" in node:
        yield "type as a list", {**node, "type": [node["type"]]}
    yield "open, said aloud", {**node, "additionalProperties": True}
    if "properties" in node:
        more = {"x": {"anyOf": [OTHER, {"type": "null"}], "default": None}, "y": {"type": "array", "items": OTHER}}
        yield "optional fields", {**node, "properties": {**node["properties"], **more}}


def _pointer(path: Path) -> str:
    return "".join(f"/{part}" for part in path if part != "properties")


def _missed(name: str, mutations: Iterator[tuple[Path, str, Schema]]) -> Iterator[str]:
    """Mutations of a message that the gate does not report, or not where they are."""
    for path, what, changed in mutations:
        new = _with(OUT[name], path, changed)
        found = schema_breaks(NOW.schemas[name], new)
        behind = schema_breaks(REFERRED[name], _behind_two_references(new))
        within = _pointer(path).partition("/anyOf")[0]  # alternatives have no order, so no number of their own
        if not behind or not any(line.startswith(within) for line in found):
            yield f"{name}{_pointer(path)}: {what}: {found}, {behind}"


def _mutations(name: str) -> Iterator[tuple[Path, str, Schema]]:
    return ((path, what, changed) for path, node in _nodes(OUT[name]) for what, changed in _breaking(node))


@pytest.mark.parametrize("name", sorted(NOW.schemas))
def test_every_break_of_every_field_is_reported_where_it_is(name: str) -> None:
    first = sorted(NOW.schemas).index(name) % EIGHTHS
    tried = list(islice(_mutations(name), first, None, EIGHTHS))
    assert len(tried) > 25
    assert list(_missed(name, iter(tried))) == []


@pytest.mark.parametrize("name", sorted(NOW.schemas))
def test_nothing_harmless_is_reported(name: str) -> None:
    reported = []
    for path, node in _nodes(OUT[name]):
        for what, changed in _harmless(node):
            new = _with(OUT[name], path, changed)
            found = schema_breaks(NOW.schemas[name], new)
            found += schema_breaks(REFERRED[name], _behind_two_references(new))
            if found:
                reported.append((_pointer(path), what, found))
    assert not reported
    assert schema_breaks(NOW.schemas[name], REFERRED[name]) == []
    assert schema_breaks(REFERRED[name], NOW.schemas[name]) == []


def _other_values(topic: Schema, field: str) -> Iterator[Any]:
    """Values of a topic's field that break whoever builds on it."""
    value = topic[field]
    if field == "retention_ms":
        shorter = [3_600_000, 0] if value is None else [3_600_000, value - 1, 0]
        yield from [*shorter, *([None, value + 1] if topic["personal_data"] and value else [])]
    elif field == "max_message_bytes":
        yield from [value - 1, 1, None]
    elif field in ("messages", "readers"):
        for one in value:
            yield [other for other in value if other != one]
            yield [*(other for other in value if other != one), "another"]
        if field == "readers" and topic["personal_data"]:
            yield [*value, "another"]
    else:
        yield from [one for one in (None, 0, 16, "another", not value) if one != value or type(one) is not type(value)]


def _topic_with(topic: Schema, changed: Schema) -> list[str]:
    topics = tuple(changed if one["name"] == topic["name"] else one for one in NOW.topics)
    return compare(NOW, replace(NOW, topics=topics))


@pytest.mark.parametrize("topic", NOW.topics, ids=lambda topic: topic["name"])
def test_every_break_of_every_field_of_a_topic_is_reported(topic: Schema) -> None:
    for field in topic.keys() - {"name", "meaning"}:
        for value in _other_values(topic, field):
            assert _topic_with(topic, {**topic, field: value}), (field, value)
        assert _topic_with(topic, _without(topic, field)), field
    assert _topic_with(topic, {**topic, "a_setting_of_tomorrow": 1})
    assert _topic_with(topic, {**topic, "name": "another"})


@pytest.mark.parametrize("topic", NOW.topics, ids=lambda topic: topic["name"])
def test_what_is_harmless_in_a_topic_passes(topic: Schema) -> None:
    more: Schema = {"meaning": "other words", "messages": [*topic["messages"][::-1], "shuangcheng.x.y.v1"]}
    if not topic["personal_data"]:
        kept = topic["retention_ms"]
        more |= {"readers": ["another", *topic["readers"]], "retention_ms": None if kept is None else kept + 1}
    if "max_message_bytes" in topic:
        more["max_message_bytes"] = topic["max_message_bytes"] + 1
    assert _topic_with(topic, {**topic, **more}) == []
    assert _topic_with(topic, json.loads(json.dumps(topic))) == []


if __name__ == "__main__":
    every = {name: list(_mutations(name)) for name in sorted(NOW.schemas)}
    missed = [line for name, mutations in every.items() for line in _missed(name, iter(mutations))]
    print(*missed, f"{sum(map(len, every.values()))} breaks tried, {len(missed)} missed", sep="\n")
    raise SystemExit(bool(missed))
