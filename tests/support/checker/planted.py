"""Planted faults, each with the invariants that it breaks: no more and no fewer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from tests.support.checker.tampering import Tamper

__all__ = ["Fault", "Faults", "breaks", "of_record"]

Fault: TypeAlias = Callable[[Tamper], None]
Faults: TypeAlias = dict[str, tuple[set[str], Fault]]


def breaks(faults: Faults, *invariants: str) -> Callable[[Fault], Fault]:
    """Enter a fault with what it must turn red."""

    def enter(fault: Fault) -> Fault:
        faults[fault.__name__] = (set(invariants), fault)
        return fault

    return enter


def of_record(ref: str, version: int = 1) -> Callable[[Any], bool]:
    """Messages about this version of a service record."""
    return lambda data: (data.record.record_ref, data.record.version) == (ref, version)
