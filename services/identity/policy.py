"""The values by which identity decides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from services.chassis.base.settings import Settings

__all__ = ["Policy", "policy"]

_TIMES_AWAIT_FACTS: Final = 5


@dataclass(frozen=True, slots=True)
class Policy:
    """``request_waits``: how long a request waits for its offer. People make the offer, in another city's system."""

    request_waits: timedelta


def policy(settings: Settings) -> Policy:
    """A request waits five times as long as a message waits for a fact."""
    return Policy(request_waits=settings.await_facts_for * _TIMES_AWAIT_FACTS)
