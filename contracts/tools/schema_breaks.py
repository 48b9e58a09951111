"""What breaks between two JSON Schemas of one message: everything but words, order and added optional fields.

Both directions count. A new reader reads what an old writer sends, and an old reader reads what a new writer sends: it
ignores fields that it does not know, and refuses a value that its own schema refuses. So narrowing and widening break
alike. A keyword that is not in here is never passed over: it is reported as not understood.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Schema", "schema_breaks", "text"]

Schema = Mapping[str, Any]

_SAYS_NOTHING: Final = frozenset({"title", "description", "examples", "$defs"})
_EQUAL: Final = frozenset(
    {
        "$schema", "$id", "const", "default", "format", "pattern", "minimum", "maximum", "exclusiveMinimum",
        "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems",
        "minProperties", "maxProperties",
    }
)  # fmt: skip
_SETS: Final = frozenset({"type", "required", "enum"})
_ALTERNATIVES: Final = frozenset({"anyOf", "oneOf", "allOf"})
_UNDERSTOOD: Final = _SAYS_NOTHING | _EQUAL | _SETS | _ALTERNATIVES | {"properties", "items", "additionalProperties"}


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


_SHAPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "type": lambda value: isinstance(value, str) or (bool(value) and _texts(value)),
    "required": _texts,
    "enum": lambda value: isinstance(value, list),
    "properties": lambda value: isinstance(value, dict),
    **dict.fromkeys(_ALTERNATIVES, lambda value: isinstance(value, list) and bool(value)),
}
"""What a keyword's value must be, for the gate to understand it."""


def schema_breaks(old: Any, new: Any) -> list[str]:
    """Breaks between two schemas of one message, each with its place. Equal schemas can only fail to be understood."""
    return list(_Comparison(old, new).breaks(old, new, "", frozenset()))


def text(holder: Schema, keyword: str) -> str:
    """The value as JSON, where 1, 1.0 and true are three things and null is not absent."""
    return _json(holder[keyword]) if keyword in holder else "absent"


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Two schemas as wholes: a ``$ref`` points into the whole that it stands in."""

    old_root: Any
    new_root: Any

    def breaks(self, old: Any, new: Any, at: str, inside: frozenset[tuple[str, str]]) -> Iterator[str]:
        """Walk both. ``inside`` are the pairs of references under comparison: a schema may contain itself."""
        pair = (_reference(old), _reference(new))
        if all(pair) and pair in inside:
            return
        inside |= {pair}
        old, new = _resolved(old, self.old_root), _resolved(new, self.new_root)
        if isinstance(old, bool) or isinstance(new, bool):
            if old is not new:
                yield f"{at}: schema was {_short(old)}, is {_short(new)}"
                yield from _not_understood(old, new, at)
            return
        yield from _not_understood(old, new, at)
        old, new = _well_formed(old), _well_formed(new)
        for keyword in sorted((_EQUAL | _SETS) & (old.keys() | new.keys())):
            if keyword in old and keyword in new and old[keyword] is new[keyword]:
                continue
            if _comparable(old, keyword) != _comparable(new, keyword):
                yield f"{at}: {keyword} was {text(old, keyword)}, is {text(new, keyword)}"
        yield from self._field_breaks(old, new, at, inside)
        for keyword in ("items", "additionalProperties"):
            yield from self.breaks(old.get(keyword, True), new.get(keyword, True), f"{at}/{keyword}", inside)
        for keyword in sorted(_ALTERNATIVES & (old.keys() | new.keys())):
            yield from self._alternative_breaks(old, new, keyword, at, inside)

    def _field_breaks(self, old: Schema, new: Schema, at: str, inside: frozenset[tuple[str, str]]) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name, schema in before.items():
            if name in after:
                yield from self.breaks(schema, after[name], f"{at}/{name}", inside)
            else:
                yield f"{at}/{name}: field removed"
        open_before = _resolved(old.get("additionalProperties", True), self.old_root) is True
        for name in sorted(after.keys() - before.keys()):
            if not open_before:
                yield f"{at}/{name}: field added where old readers refuse fields that they do not know"
            if isinstance(_resolved(after[name], self.new_root), bool):
                yield f"{at}/{name}: the added field says nothing of its values"
            # An added field is compared with itself: whatever the gate does not understand in it is found.
            alone = _Comparison(self.new_root, self.new_root)
            yield from alone.breaks(after[name], after[name], f"{at}/{name}", frozenset())

    def _alternative_breaks(
        self, old: Schema, new: Schema, keyword: str, at: str, inside: frozenset[tuple[str, str]]
    ) -> Iterator[str]:
        """Alternatives have no order: each old one needs a new one without a break, and none may be left."""
        before, after = old.get(keyword, []), list(new.get(keyword, []))
        if len(before) != len(after):
            yield f"{at}: {keyword} was {text(old, keyword)}, is {text(new, keyword)}"
            return
        alone: list[tuple[int, Any]] = []
        for place, one in enumerate(before):
            fits = (place for place, other in enumerate(after) if not any(self.breaks(one, other, "", inside)))
            match = next(fits, None)
            if match is None:
                alone.append((place, one))
            else:
                del after[match]
        for (place, one), other in zip(alone, after, strict=True):
            yield from self.breaks(one, other, f"{at}/{keyword}/{place}", inside)


def _reference(schema: Any) -> str:
    return str(schema["$ref"]) if isinstance(schema, dict) and "$ref" in schema else ""


def _resolved(schema: Any, root: Any) -> Any:
    """Follow references to the end. A schema that allows everything is ``True``; what is no schema is not understood.

    Both a ``$ref`` and its target hold. So the two are one schema, unless they speak of the same keyword.
    """
    followed: list[str] = []
    while reference := _reference(schema):
        prefix, _, name = reference.rpartition("/")
        definitions = root.get("$defs") if isinstance(root, dict) else None
        if prefix != "#/$defs" or not isinstance(definitions, dict) or name not in definitions:
            return {f"$ref to nowhere in the schema, {reference}": None}
        if reference in followed:
            return {f"$ref to itself, {reference}": None}
        followed.append(reference)
        beside = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
        schema = definitions[name]
        if beside.keys() - _SAYS_NOTHING:
            if not isinstance(schema, dict) or (beside.keys() & schema.keys()) - _SAYS_NOTHING:
                return {f"keywords both beside $ref and at {reference}": None}
            schema = {**schema, **beside}
    if isinstance(schema, dict):
        return schema if schema.keys() - _SAYS_NOTHING else True
    return schema if isinstance(schema, bool) else {f"schema {_json(schema)}": None}


def _not_understood(old: Any, new: Any, at: str) -> Iterator[str]:
    sides = [side for side in (old, new) if isinstance(side, dict)]
    for keyword in sorted({keyword for side in sides for keyword in side} - _UNDERSTOOD):
        yield f"{at}: the gate does not understand {keyword!r}"
    for keyword, is_right in _SHAPES.items():
        wrong = [side for side in sides if keyword in side and not is_right(side[keyword])]
        if wrong:
            yield f"{at}: the gate does not understand {keyword} {text(wrong[-1], keyword)}"


def _well_formed(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key not in _SHAPES or _SHAPES[key](value)}


def _comparable(schema: Schema, keyword: str) -> object:
    """What is equal when both mean the same: sets have no order, and nothing required is as good as no word of it."""
    if keyword not in _SETS:
        return text(schema, keyword)
    if keyword not in schema:
        return frozenset() if keyword == "required" else None
    value = schema[keyword]
    return frozenset(map(_json, value if isinstance(value, list) else [value]))


def _short(schema: Any) -> str:
    return _json(schema) if isinstance(schema, bool) else "another"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
