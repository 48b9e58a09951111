"""All rows of a service as its rules see them, changed in place, with the way back from a batch that was lost."""

from __future__ import annotations

from typing import Any, TypeVar

from services.chassis.decisions import States
from services.chassis.service import Store

__all__ = ["RowsInMemory"]

R = TypeVar("R")


class RowsInMemory(States):
    """All rows of a service, for good; a batch changes them in place, and they can be as they were before it."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        for table in store.tables:
            table.declare(self)
        self.added: dict[type, list[Any]] = {table.row: [] for table in store.tables if table.append_only}
        """Rows of tables that are only appended to: no decision sees them again."""
        self._before: list[tuple[type, Any, Any]] = []

    def put(self, row: Any) -> None:
        kind = self._kinds[type(row)]
        key = kind.key(row)
        self._before.append((type(row), key, kind.rows.get(key)))
        super().put(row)

    def drop(self, row: Any) -> None:
        kind = self._kinds[type(row)]
        key = kind.key(row)
        if (old := kind.rows.get(key)) is not None:
            self._before.append((type(row), key, old))
            super().drop(row)

    def keep(self) -> None:
        """What the batch changed stands."""
        for kind in {kind for kind, _, _ in self._before}:
            if kind in self.added:
                rows: list[Any] = self.changed(kind)
                self.added[kind] += rows
                for row in rows:
                    super().drop(row)
            self._kinds[kind].changed.clear()
        self._before.clear()

    def put_back(self) -> None:
        """What the batch changed is as it was."""
        for kind, key, old in reversed(self._before):
            if old is not None:
                self._enter(old)
            elif (row := self._kinds[kind].rows.get(key)) is not None:
                super().drop(row)
        for kind in {kind for kind, _, _ in self._before}:
            self._kinds[kind].changed.clear()
        self._before.clear()

    def copy(self) -> RowsInMemory:
        """All rows as they are between two batches, in the same order."""
        copy = RowsInMemory(self._store)
        for kind, rows in self._kinds.items():
            mine = copy._kinds[kind]
            mine.rows.update(rows.rows)
            for name, groups in rows.grouped.items():
                mine.grouped[name] = {value: dict(members) for value, members in groups.items()}
        copy.added = {kind: list(rows) for kind, rows in self.added.items()}
        return copy

    def all_of(self, kind: type[R]) -> list[R]:
        """Every row of a type."""
        return list(self.added[kind] if kind in self.added else self._kinds[kind].rows.values())
