"""Planted faults, each with exactly the invariants that it breaks, and the place that the verdict must name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from deploy.audit.world import Line
from tests.support.checker.tampering import Tamper

__all__ = ["Fault", "Faults", "Named", "Offence", "breaks", "of_record"]


class Named(NamedTuple):
    """The place, person and record that the first finding names, if they are not the message's own."""

    person: UUID | None = None
    record: str | None = None
    at: Line | None = None
    """None if no message is about it."""
    topic: str | None = None
    """The topic on which it would be if it were published."""


Where: TypeAlias = Line | Named | list[Line]
"""A list means: any of these messages, which were published at the same moment."""
Offence: TypeAlias = Where | dict[str, Where]
"""By invariant, if the invariants name different places."""
Fault: TypeAlias = Callable[[Tamper], Offence]
Faults: TypeAlias = dict[str, tuple[set[str], Fault]]


def breaks(faults: Faults, *invariants: str) -> Callable[[Fault], Fault]:
    """Enter a fault with the invariants that it must turn red."""

    def enter(fault: Fault) -> Fault:
        assert fault.__name__ not in faults
        faults[fault.__name__] = (set(invariants), fault)
        return fault

    return enter


def of_record(ref: str, version: int = 1) -> Callable[[Any], bool]:
    """The messages about this version of a service record."""
    return lambda data: (data.record.record_ref, data.record.version) == (ref, version)
