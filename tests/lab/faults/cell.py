"""What a cell of the fault matrix is: data, and one function that does it to a site."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from contracts.registry import Capability
from tests.lab.faults.site import Site

__all__ = ["Act", "Cell", "Outcome"]


@dataclass
class Outcome:
    """How a cell went: every check by name, seconds until all was as it should be, and what was seen of the rest."""

    checks: dict[str, bool]
    recovered_seconds: float | None = None
    notes: list[str] = field(default_factory=list)


Act: TypeAlias = Callable[[Site, random.Random], Awaitable[Outcome]]


@dataclass(frozen=True)
class Cell:
    """One fault done to one service. ``impossible`` says why a cell of the matrix cannot exist."""

    id: str
    service: str
    fault: str
    act: Act | None = None
    impossible: str = ""
    leaves: Literal["whole", "cut"] = "whole"
    """Whether the topics are whole afterwards, so that the outside checker can replay them."""
    takes: float = 10.0
    """Seconds that it takes at most on an idle machine, so that a slice can be fitted into a time."""
    capability: Capability | None = None
    """What the registries' ledgers can do meanwhile; None: as they are configured."""

    def __post_init__(self) -> None:
        if (self.act is None) is not bool(self.impossible):
            raise ValueError(f"{self.id}: either it can be done or there is a reason")
