"""Many notices are told at once. A notice that the system cannot take is found by halving, and the others are taken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import UUID

from services.adapters.kinds.systems import NoticeOutcomes, SystemAway
from services.adapters.states import Notice
from services.chassis.base.database import describe
from services.chassis.base.halving import Halving

__all__ = ["Send", "Unreadable", "in_portions"]

Send = Callable[[Sequence[Notice]], Awaitable[Mapping[UUID, str]]]
"""Tells a portion, and returns the notices that the system named as unreadable, with its reasons. Raises
``Unreadable``, ``SystemAway``, or any other exception where the system failed."""
_FAILURES = 3
"""After failures over so many single notices in a row the fault may be elsewhere: the rest is told another time."""


class Unreadable(Exception):
    """The system says that it cannot read the portion."""


async def in_portions(portions: Sequence[Sequence[Notice]], send: Send) -> NoticeOutcomes:
    """Tell these portions in order. A portion that fails is halved until the notice is found over which the system
    fails.

    Later notices of such a notice's key are not told, for they would overtake it. Raises ``SystemAway`` where the
    system was away before any notice had an outcome.
    """
    outcomes = NoticeOutcomes()
    waiting_keys: set[str] = set()
    failures = 0
    halving = Halving(portions)
    for whole in halving:
        portion = [notice for notice in whole if notice.key not in waiting_keys]
        if not portion:
            continue
        try:
            rejected = await send(portion)
        except SystemAway:
            if outcomes.taken or outcomes.rejected or outcomes.failed:
                break
            raise
        except Exception as error:
            notice = halving.failed(portion)
            if notice is None:
                continue
            if isinstance(error, Unreadable):
                outcomes.rejected[notice.id] = str(error)
                continue
            outcomes.failed[notice.id] = describe(error)
            waiting_keys.add(notice.key)
            failures += 1
            if failures == _FAILURES:
                break
            continue
        failures = 0
        outcomes.rejected.update(rejected)
        outcomes.taken.update(notice.id for notice in portion if notice.id not in rejected)
    return outcomes
