"""Planted faults, each with the invariants that it breaks, no more and no fewer, and what the verdict must name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from tests.support.checker.tampering import Tamper
from tests.support.checker.world import Line

__all__ = ["Fault", "Faults", "Named", "Offence", "breaks", "of_record"]


class Named(NamedTuple):
    """What the first finding names, where it is not just the message's own place, person and record."""

    person: UUID | None = None
    record: str | None = None
    at: Line | None = None
    """None where no message speaks of it."""
    topic: str | None = None
    """Where it would stand if it were published."""


Where: TypeAlias = Line | Named | list[Line]
"""A list: any of these, which were published at the same moment."""
Offence: TypeAlias = Where | dict[str, Where]
"""By invariant, where they differ."""
Fault: TypeAlias = Callable[[Tamper], Offence]
Faults: TypeAlias = dict[str, tuple[set[str], Fault]]


def breaks(faults: Faults, *invariants: str) -> Callable[[Fault], Fault]:
    """Enter a fault with what it must turn red."""

    def enter(fault: Fault) -> Fault:
        assert fault.__name__ not in faults
        faults[fault.__name__] = (set(invariants), fault)
        return fault

    return enter


def of_record(ref: str, version: int = 1) -> Callable[[Any], bool]:
    """Messages about this version of a service record."""
    return lambda data: (data.record.record_ref, data.record.version) == (ref, version)
