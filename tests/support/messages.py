"""Messages for tests: the hand-written examples, and arbitrary ones drawn from the published schemas."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any, cast

from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.envelope import Event
from contracts.messages import Message, message_types
from contracts.tools.schemas import schema_of

EXAMPLES = Path(__file__).parents[2] / "contracts" / "examples"


@dataclass(frozen=True, slots=True)
class Example:
    """One hand-written event. ``reason`` and ``pointer`` are of its refusal, None when it is valid."""

    name: str
    type: str
    event: dict[str, Any]
    reason: str | None
    pointer: str | None

    @property
    def text(self) -> str:
        return json.dumps(self.event, ensure_ascii=False)


@cache
def examples() -> tuple[Example, ...]:
    found = []
    for path in sorted(EXAMPLES.glob("*/*.json")):
        event = json.loads(path.read_text("utf-8"))
        expected = event.pop("x-expected", {})
        name = f"{path.parent.name}/{path.stem}"
        found.append(Example(name, path.parent.name, event, expected.get("reason"), expected.get("pointer")))
    return tuple(found)


def valid_examples() -> list[Example]:
    return [example for example in examples() if example.reason is None]


def invalid_examples() -> list[Example]:
    return [example for example in examples() if example.reason is not None]


def one_line(least: int = 0, most: int = 300) -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=least, max_size=most)


def instants() -> st.SearchStrategy[datetime]:
    """Close together, so that windows and days come out in order often enough."""
    offsets = st.sampled_from([timezone(timedelta(minutes=minutes)) for minutes in (0, 480, -330)])
    start = datetime(2026, 8, 14, 16, tzinfo=timezone(timedelta(0)))
    return st.builds(
        lambda seconds, offset: (start + timedelta(seconds=seconds)).astimezone(offset),
        st.integers(0, 24 * 3600),
        offsets,
    )


def _values(schema: dict[str, Any], root: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        return st.one_of([_values(part, root) for part in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    match schema["type"]:
        case "object":
            required = {name: _values(schema["properties"][name], root) for name in schema["required"]}
            optional = {n: _values(part, root) for n, part in schema["properties"].items() if n not in required}
            return st.fixed_dictionaries(required, optional=optional)
        case "string" if schema.get("format") == "uuid":
            return st.uuids().map(str)
        case "string" if schema.get("format") == "date-time":
            return instants().map(datetime.isoformat)
        case "string" if "maxLength" in schema and "\\x00" in schema["pattern"]:
            return one_line(schema.get("minLength", 0), min(schema["maxLength"], 300))
        case "string":
            text = st.from_regex(schema["pattern"].replace("$", r"\Z"))
            return text.filter(lambda found: len(found) >= schema.get("minLength", 0))
        case "integer":
            return st.integers(schema["minimum"], schema["maximum"])
        case other:
            return {"boolean": st.booleans(), "null": st.none()}[other]


def _valid(message: type[Message], body: dict[str, Any]) -> Message | None:
    try:
        return message.model_validate_json(json.dumps(body), strict=True)
    except ValidationError:
        return None


@cache
def messages_of(message: type[Message]) -> st.SearchStrategy[Message]:
    """Any message of this class that keeps all its rules."""
    schema = schema_of(message)
    built = _values(schema, schema).map(lambda body: _valid(message, body))
    return cast("st.SearchStrategy[Message]", built.filter(lambda found: found is not None))


def events() -> st.SearchStrategy[Event]:
    """Any event of any type."""
    some = st.sampled_from(sorted(message_types())).flatmap(lambda name: messages_of(message_types()[name]))
    maybe = st.none() | one_line(1)
    return st.builds(
        Event,
        id=one_line(1),
        source=st.sampled_from(["urn:shuangcheng:registry:gz", "urn:shuangcheng:service:bridge"]),
        time=instants(),
        data=some,
        correlation=maybe,
        causation=maybe,
        traceparent=st.none()
        | st.from_regex("00-[1-9a-f][0-9a-f]{31}-[1-9a-f][0-9a-f]{15}-[0-9a-f]{2}", fullmatch=True),
    )
