"""The rows that a table must have, by key, and their comparison with stored rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError

from deploy.audit.world import Line, Row

__all__ = ["AtLeast", "Expected", "Key", "OneOf", "same"]

Key: TypeAlias = tuple[Any, ...]


class OneOf(tuple[Any, ...]):
    """Any of these values: the logs leave open which."""

    __slots__ = ()


class AtLeast(dict[str, Any]):
    """A JSON object with these members, and possibly others."""


@dataclass(slots=True)
class Expected:
    """Rows of one table by key, each with the columns that the logs tell, and the last message that changed it."""

    database: str
    table: str
    key: tuple[str, ...]
    rows: dict[Key, tuple[Row, Line]] = field(default_factory=dict)
    spare: Callable[[Row], bool] = lambda row: False
    """A row that may be there although the logs do not tell it."""
    of: Callable[[Row], bool] = lambda row: True
    """Which rows of the table are compared. Other rows follow other rules."""
    numbered: bool = False
    """The logs know no key of this table: rows that are alike are matched in the order of ``number``."""
    _counts: defaultdict[Key, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def name(self) -> str:
        """Database and table."""
        return f"{self.database}.{self.table}"

    def put(self, line: Line, *key: Any, **columns: Any) -> None:
        """The row has these values now."""
        known = self.rows.get(key)
        self.rows[key] = ({**(known[0] if known else {}), **columns}, line)

    def append(self, line: Line, *key: Any, **columns: Any) -> None:
        """Add a row whose key begins with this key."""
        self._counts[key] += 1
        self.rows[*key, self._counts[key]] = (columns, line)

    def column(self, key: Key, name: str) -> Any:
        """The value of this column in the row of this key so far; None without a row."""
        known = self.rows.get(key)
        return None if known is None else known[0].get(name)

    def stored(self, rows: list[Row]) -> Iterator[tuple[Key, Row]]:
        """The table's rows by the same keys."""
        rows = [row for row in rows if self.of(row)]
        if not self.numbered:
            yield from ((tuple(row[column] for column in self.key), row) for row in rows)
            return
        counts: defaultdict[Key, int] = defaultdict(int)
        for row in sorted(rows, key=lambda row: row.get("number", 0)):
            key = tuple(row[column] for column in self.key)
            counts[key] += 1
            yield (*key, counts[key]), row


def same(stored: Any, wanted: Any) -> bool:
    """Whether a stored value is the expected value. Messages are kept as JSON, as text or as an object."""
    match wanted:
        case OneOf():
            return any(same(stored, one) for one in wanted)
        case AtLeast():
            return isinstance(stored, Mapping) and all(same(stored.get(name), part) for name, part in wanted.items())
        case datetime() if isinstance(stored, str):
            return datetime.fromisoformat(stored) == wanted
        case list() if isinstance(stored, list):
            return len(stored) == len(wanted) and all(map(same, stored, wanted))
        case BaseModel():
            try:
                read = type(wanted).model_validate_json if isinstance(stored, str) else type(wanted).model_validate
                return read(stored) == wanted
            except ValidationError:
                return False
    return bool(getattr(stored, "value", stored) == getattr(wanted, "value", wanted))
