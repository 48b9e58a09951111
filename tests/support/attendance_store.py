"""Attendance on PostgreSQL, told of messages batch by batch."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from unittest.mock import patch

from contracts.messages import Message
from contracts.registry import Registry
from services.attendance.policy import Policy
from services.chassis.batch.processing import Effects
from tests.support.attendance import NOW, event_of
from tests.support.instances import Instance

__all__ = ["AttendanceOnPostgres"]


@dataclass(frozen=True)
class AttendanceOnPostgres(Instance):
    """Each message bears a time a second after the one before it; the clock stands still."""

    seconds: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def apply(self, messages: Sequence[Message], *, patient: bool = True) -> Effects:
        """One batch; where it is not ``patient``, the time of what waits is up at once."""
        events = [event_of(message, NOW + timedelta(seconds=next(self.seconds))) for message in messages]
        # A replay ends waits where they ended before. Whoever is not patient ends all of them so.
        over = patch.object(self.member.processor, "ends_unheard", return_value=True)
        with nullcontext() if patient else over:
            return await self.take(*events)

    async def under(self, cap: int, seats: Mapping[str, Registry] | None = None) -> None:
        """From now on under this cap, and the policy of these seats."""
        self.member.service = replace(self.member.service, policy=Policy(cap, seats or {}))
        await self.member.start()
