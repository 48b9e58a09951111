"""The values by which the border decides: seats, how long a receipt may take, and how old a message may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from contracts.registry import Capability, Dated, Registry, policy_of
from services.bridge.settings import BridgeSettings
from services.chassis.base.configuration import read_folder

__all__ = ["Policy", "Seat", "policy"]


class Seat(NamedTuple):
    """How a registry takes part now. ``left``: its file is no longer in the folder, and there are still rows of it."""

    state: Literal["active", "paused", "closed", "left"]
    capability: Capability


_LEFT: Final = Seat("left", "neither")
"""Its file is gone, so nobody says what its ledger can do. With ``neither`` nothing is tried twice."""


@dataclass(frozen=True, slots=True)
class Policy:
    """``registries``: their files by code. ``receipt_due``: the value for homes whose file has no value of its own."""

    registries: Mapping[str, Registry]
    receipt_due: timedelta

    def seat(self, code: str) -> Seat:
        """How the registry of this code takes part. Every code that is in a row has a seat."""
        registry = self.registries.get(code)
        return _LEFT if registry is None else Seat(registry.state, registry.capability)

    def receipt_due_of(self, home: str, now: datetime) -> timedelta:
        """The time limit of a receipt: after so long without one the bridge acts, as this home's capability allows."""
        values = policy_of(self.registries, home, now)
        if values is None or values.receipt_due_seconds is None:
            return self.receipt_due
        return timedelta(seconds=values.receipt_due_seconds)

    def late_by(self, code: str, kind: Dated, moment: datetime) -> timedelta | None:
        """How much older than its arrival a message of this registry may be that comes at this moment. None: any age,
        as long as no version of the registry's policy is in force, or where the version says ``unlimited``."""
        values = policy_of(self.registries, code, moment)
        return None if values is None else values.late_by.of(kind)


def policy(settings: BridgeSettings) -> Policy:
    """Read from the settings and the files of the registries. Raises ``ConfigurationError``."""
    registries = read_folder(settings.registries, Registry, named_by="code", variable="SHUANGCHENG_REGISTRIES")
    return Policy(registries, timedelta(seconds=settings.receipt_due))
