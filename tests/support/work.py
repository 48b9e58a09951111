"""How many rows decisions look through: work that is counted, not timed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import pytest

from services.chassis.decisions import States

__all__ = ["rows_handed_out"]


def rows_handed_out(monkeypatch: pytest.MonkeyPatch) -> Counter[type]:
    """Count from here on how many rows decisions get to look through, by the rows' type."""
    counted: Counter[type] = Counter()
    group = States.group

    def counting(self: States, kind: type[Any], name: str, value: Any) -> Any:
        rows: Collection[Any] = group(self, kind, name, value)
        counted[kind] += len(rows)
        return rows

    monkeypatch.setattr(States, "group", counting)
    return counted
