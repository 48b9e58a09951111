"""Telling many notices at once, so that one which a system cannot take is found and the others are taken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import UUID

from services.adapters.states import Notice
from services.adapters.systems import SystemAway, Told
from services.chassis.database import describe

__all__ = ["Send", "Unreadable", "in_portions"]

Send = Callable[[Sequence[Notice]], Awaitable[Mapping[UUID, str]]]
"""Tells a portion and gives those of it that were named as unreadable. Raises ``Unreadable``, ``SystemAway``, or
anything else where the system failed."""
_FAILURES = 3
"""So many single notices in a row: it may not be the notices. The rest is told another time."""


class Unreadable(Exception):
    """The system says that it cannot read the portion."""


async def in_portions(portions: Sequence[Sequence[Notice]], send: Send) -> Told:
    """Tell these portions in order; one that fails is halved until the notice is found that it fails over.

    What comes after such a notice and has its key is not told, for it would overtake it. Raises ``SystemAway`` when
    that is all there is to say.
    """
    told = Told()
    held: set[str] = set()
    failures = 0
    waiting = list(reversed(portions))
    while waiting and failures < _FAILURES:
        portion = [notice for notice in waiting.pop() if notice.key not in held]
        if not portion:
            continue
        try:
            rejected = await send(portion)
        except SystemAway:
            if told.taken or told.rejected or told.failed:
                break
            raise
        except Exception as error:
            if len(portion) > 1:
                middle = len(portion) // 2
                waiting += [portion[middle:], portion[:middle]]
            elif isinstance(error, Unreadable):
                told.rejected[portion[0].id] = str(error)
            else:
                told.failed[portion[0].id] = describe(error)
                held.add(portion[0].key)
                failures += 1
            continue
        failures = 0
        told.rejected.update(rejected)
        told.taken.update(notice.id for notice in portion if notice.id not in rejected)
    return told
