"""A safeguard is taken away: something else stands in its place, or some text of a function is another."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from textwrap import dedent
from types import CodeType, FunctionType
from typing import Any, NamedTuple
from unittest.mock import patch

__all__ = ["Planted", "planted", "without"]


class Planted(NamedTuple):
    """``what`` goes wrong without the safeguard. ``patches``: place, name, and what stands there instead."""

    what: str
    patches: tuple[tuple[Any, str, Any], ...]


@contextmanager
def planted(row: Planted) -> Iterator[None]:
    """While this lasts, the safeguard is not there."""
    with ExitStack() as stack:
        for place, name, instead in row.patches:
            stack.enter_context(_code(place, instead) if name == "__code__" else patch.object(place, name, instead))
        yield


@contextmanager
def _code(function: FunctionType, instead: CodeType) -> Iterator[None]:
    """``patch`` would delete the changed code before it puts the other back, and a function without code cannot be."""
    before, function.__code__ = function.__code__, instead
    try:
        yield
    finally:
        function.__code__ = before


def without(what: str, function: Any, *changes: tuple[str, str]) -> Planted:
    """A function in which these texts are others. Whoever holds the function runs the changed one: rows of messages
    hold functions, not their names."""
    source = dedent(inspect.getsource(function))
    for old, new in changes:
        assert source.count(old) == 1, f"{function.__qualname__} has {old!r} {source.count(old)} times"
        source = source.replace(old, new)
    return Planted(what, ((function, "__code__", _code_of(function, source)),))


def _code_of(function: FunctionType, source: str) -> CodeType:
    """The code of the changed function, as if it stood in the module of the other."""
    whole = compile("from __future__ import annotations\n" + source, function.__code__.co_filename, "exec")
    made: dict[str, Any] = {}
    exec(whole, dict(function.__globals__), made)
    code: CodeType = made[function.__name__].__code__
    return code
