"""JSON that every parser reads alike: no key twice in one object, no NaN, 5.0 the same number as 5."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from pydantic_core import from_json, to_json

__all__ = ["check_unambiguous", "with_whole_numbers"]


def check_unambiguous(raw: bytes) -> None:
    """Raises ``ValueError`` for bytes that are no JSON or ambiguous, ``RecursionError`` for what is nested too deep."""
    if not _comes_back(raw):
        _STRICT.decode(raw.decode())


def with_whole_numbers(raw: bytes) -> bytes | None:
    """The same JSON with 5 in the place of 5.0 or 5e0; None if it has no such number."""
    try:
        read = from_json(raw)
    except ValueError:
        return None
    whole = _whole(read)
    return None if repr(whole) == repr(read) else to_json(whole)


def _whole(part: Any) -> Any:
    if isinstance(part, float):
        return int(part) if part.is_integer() else part
    if isinstance(part, list):
        return [_whole(one) for one in part]
    if isinstance(part, dict):
        return {name: _whole(one) for name, one in part.items()}
    return part


def _comes_back(raw: bytes) -> bool:
    """Whether the same bytes come out when these are read and written again. Then no key stands twice, since the second
    would be lost.

    This is so for nearly all messages. It takes half the time of looking at each key, which other messages need too.
    """
    try:
        return to_json(from_json(raw, allow_inf_nan=False, cache_strings="keys")) == raw
    except ValueError:
        return False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


_STRICT: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
