"""Value objects that cost no more than plain objects, since each message makes ten of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

__all__ = ["frozen"]

C = TypeVar("C")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[C]) -> type[C]:
    """A dataclass with slots whose objects do not change; equal by value, and hashable if its fields are.

    The type checker refuses every assignment. At run time nothing refuses it: ``dataclass(frozen=True)`` would cost
    0.1 µs a field at each construction, a tenth of the price of a decision.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
