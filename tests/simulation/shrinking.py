"""Fewer steps that fail in the same way: delta debugging (Zeller's ddmin) over the list of steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["shrunk"]

T = TypeVar("T")


def shrunk(steps: Sequence[T], fails: Callable[[Sequence[T]], bool], most: int = 400) -> list[T]:
    """A part of ``steps``, in order, that still ``fails``, and from which no step can be left out; or, after ``most``
    runs, what was found by then."""
    kept, parts, left = list(steps), 2, most
    while len(kept) > 1:
        size = -(-len(kept) // parts)
        for start in range(0, len(kept), size):
            fewer = kept[:start] + kept[start + size :]
            if left == 0:
                return kept
            left -= 1
            if fails(fewer):
                kept, parts = fewer, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(kept))
    return kept
