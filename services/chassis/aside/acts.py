"""The record of operators' acts: each change of this database by an operator is said on a topic that is kept for ever,
in the transaction of the act.

No message in the log causes an act, so a restored database does not do it again by itself. ``shuangcheng restore``
reads the topic and shows which acts an operator has to do again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from contracts.messages.operations import OperatorActed
from contracts.topics import OPERATIONS_EVENTS
from services.chassis.base.database import Connection
from services.chassis.base.settings import Settings
from services.chassis.batch import outbox
from services.chassis.decisions import Send

__all__ = ["OF_THE_COMMAND", "Acts"]

OF_THE_COMMAND: Final = "command"
"""The operator of an act for which nobody showed a token: a command of the service's own program."""

_WHOLE: Final[Mapping[str, str]] = MappingProxyType({})


class Acts(NamedTuple):
    """Whose database it is: the service, and its part where it has one (``Settings.part``)."""

    service: str
    part: Mapping[str, str] = _WHOLE

    @classmethod
    def of(cls, service: str, settings: Settings) -> Acts:
        """Of a service as it is set up here."""
        return cls(service, settings.part)

    async def say(self, db: Connection, act: str, about: Iterable[str], operator: str, now: datetime) -> None:
        """Say that an operator did ``act`` to each of these. Within the transaction of the act; never commits.

        ``about`` is what an operator can name again in a restored database: a place in the log, a topic, a party;
        never a number of this database.
        """
        said = [
            OperatorActed(service=self.service, **self.part, act=act, about=one, operator=operator, at=now)
            for one in about
        ]
        await outbox.publish(db, [Send(OPERATIONS_EVENTS, one) for one in said], self.service, now)
