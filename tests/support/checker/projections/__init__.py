"""The rows that the services' tables must have, computed from the logs alone, by database and table."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.support.checker.book import Book
from tests.support.checker.projections.adapters import adapters
from tests.support.checker.projections.attendance import attendance
from tests.support.checker.projections.border import border
from tests.support.checker.projections.expected import Expected, Key, same
from tests.support.checker.projections.identity import identity
from tests.support.checker.projections.opportunities import opportunities
from tests.support.checker.projections.timeline import timeline
from tests.support.checker.projections.transfers import transfers

__all__ = ["Expected", "Key", "expectations", "same"]

_BUILDERS: tuple[Callable[[Book], Iterator[Expected]], ...] = (
    identity,
    opportunities,
    attendance,
    border,
    transfers,
    timeline,
    adapters,
)


def expectations(book: Book) -> list[Expected]:
    """All tables that follow from the logs. They are computed once."""
    if "expectations" not in book.memo:
        book.memo["expectations"] = [expected for build in _BUILDERS for expected in build(book)]
    found: list[Expected] = book.memo["expectations"]
    return found
