"""The rows that the services' tables must have, computed from the logs alone, by database and table."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from deploy.audit.book import Book
from deploy.audit.projections.adapters import adapters
from deploy.audit.projections.attendance import attendance
from deploy.audit.projections.border import border
from deploy.audit.projections.expected import Expected, Key, same
from deploy.audit.projections.identity import identity
from deploy.audit.projections.opportunities import opportunities
from deploy.audit.projections.timeline import timeline
from deploy.audit.projections.transfers import transfers

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
