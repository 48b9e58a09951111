"""One decision in the making, with what the border adds to the chassis' draft: deliveries, refusals, the timeline."""

from __future__ import annotations

from functools import cache
from uuid import UUID, uuid5

from contracts.messages.base import Message, Origin
from contracts.messages.refusals import MessageRefused
from contracts.topics import DELIVERIES, REFUSALS, TopicEntry
from services.bridge.states import Refusal, Step
from services.bridge.steps import What
from services.chassis import draft

__all__ = ["Draft"]


@cache
def _topic(template: TopicEntry, code: str) -> TopicEntry:
    return template.of(code)


class Draft(draft.Draft):
    """The ids of rows that are written here follow from the message's id."""

    def deliver(self, registry: str, message: Message) -> None:
        """Send this message to a registry, in that registry's own refs."""
        self.tell(_topic(DELIVERIES, registry), message)

    def refuse(
        self, asked: Origin, key: str, reason: str, pointer: str | None = None, *, standing_version: int | None = None
    ) -> None:
        """Refuse the message ``asked``, which has this key, to its sender. Refusals are counted by registry and
        reason."""
        refused = MessageRefused(
            message_id=asked.message_id,
            message_type=asked.message_type,
            reason=reason,
            pointer=pointer,
            refused_key=key,
            standing_version=standing_version,
        )
        self.tell(_topic(REFUSALS, asked.registry), refused)
        self.change(Refusal(self._fresh(), asked.registry, reason, asked.message_type, self.now))

    def step(self, person: UUID, what: What, host: str, subject: str = "", **detail: str | int | None) -> None:
        """Add a line to the person's timeline."""
        self.change(Step(self._fresh(), person, self.now, self.inbound.time, what, host, subject, detail))

    def _fresh(self) -> UUID:
        return uuid5(self.inbound.own_id, str(len(self._changes)))
