"""The values by which identity decides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from services.chassis.settings import Settings

__all__ = ["Policy", "policy"]

_STANDS: Final = 5


@dataclass(frozen=True, slots=True)
class Policy:
    """``request_stands``: how long a request waits for its offer, which comes from another city's system, by people's
    hands."""

    request_stands: timedelta


def policy(settings: Settings) -> Policy:
    """A request waits five times as long as a message waits for a fact."""
    return Policy(request_stands=settings.await_facts_for * _STANDS)
