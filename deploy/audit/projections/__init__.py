"""The rows that the services' tables must have, computed from the logs alone, by database and table.

Each module here has a function of its own name, which gives them for a service or a part of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import iter_modules

from deploy.audit.book import Book
from deploy.audit.projections.expected import Expected, Key, same

__all__ = ["Expected", "Key", "expectations", "same"]

_BUILDERS: tuple[Callable[[Book], Iterator[Expected]], ...] = tuple(
    getattr(import_module(f"{__name__}.{module.name}"), module.name)
    for module in iter_modules(__path__)
    if module.name != "expected"
)


def expectations(book: Book) -> list[Expected]:
    """All tables that follow from the logs. They are computed once. Those of a service that did not exist when the
    snapshot was recorded are left out."""
    return book.once(_expected)


def _expected(book: Book) -> list[Expected]:
    known = (expected for build in _BUILDERS for expected in build(book))
    return [expected for expected in known if expected.database in book.world.tables]
