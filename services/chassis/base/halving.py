"""Finds the items that cannot be taken: all are tried together, and a part that fails is tried in halves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar

__all__ = ["Halving", "halves"]

Item = TypeVar("Item")


def halves(items: Sequence[Item]) -> tuple[Sequence[Item], Sequence[Item]]:
    """The first half of these items, and the others; of a single item the first half is empty."""
    middle = len(items) // 2
    return items[:middle], items[middle:]


class Halving(Iterator[Sequence[Item]], Generic[Item]):
    """The parts to try, in order; none is empty. Whoever tries a part says ``failed`` where it failed.

    Of ``n`` items in one part, of which ``k`` cannot be taken, each is found after at most ``1 + 2k·log2(n)`` tries
    (the logarithm rounded up), and each other item is taken once.
    """

    def __init__(self, parts: Iterable[Sequence[Item]]) -> None:
        self._waiting = [part for part in parts if part]
        self._waiting.reverse()

    def __next__(self) -> Sequence[Item]:
        """The next part to try."""
        if not self._waiting:
            raise StopIteration
        return self._waiting.pop()

    def failed(self, part: Sequence[Item]) -> Item | None:
        """This part failed: the only item of it, which is found; None where the halves of the part are tried next."""
        if len(part) == 1:
            return part[0]
        self._waiting += [half for half in reversed(halves(part)) if half]
        return None
