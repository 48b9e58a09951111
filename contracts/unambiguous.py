"""JSON that one parser reads as the next does: no key twice in one object, no NaN."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from pydantic_core import from_json, to_json

__all__ = ["check_unambiguous"]


def check_unambiguous(raw: bytes) -> None:
    """Raises ``ValueError`` for bytes that are no JSON or ambiguous, ``RecursionError`` for what is nested too deep."""
    if not _comes_back(raw):
        _STRICT.decode(raw.decode())


def _comes_back(raw: bytes) -> bool:
    """Whether these bytes come back when they are read and written: then nothing stands twice, for it would be lost.

    Nearly all that is sent does. It takes half the time of looking at each key, which all else needs besides.
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
