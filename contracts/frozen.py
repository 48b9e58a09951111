"""Value objects that cost no more than any object: there are ten of them for every message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

__all__ = ["frozen"]

C = TypeVar("C")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[C]) -> type[C]:
    """A dataclass with slots whose objects nobody changes; equal by value, and hashable if its fields are.

    The type checker refuses every assignment; at run time nothing does, for ``dataclass(frozen=True)`` pays 0.1 µs a
    field at each construction, a tenth of all that a decision costs.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
