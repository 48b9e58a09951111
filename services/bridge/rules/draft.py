"""One decision in the making: what it changes, sends and notes down."""

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
def _seat(template: TopicEntry, code: str) -> TopicEntry:
    return template.of(code)


class Draft(draft.Draft):
    """Knows registries, refusals and the timeline. Rows written here carry ids derived from the message's."""

    def deliver(self, registry: str, message: Message) -> None:
        """To a registry, in its own refs."""
        self.tell(_seat(DELIVERIES, registry), message)

    def refuse(
        self, asked: Origin, reason: str, pointer: str | None = None, *, standing_version: int | None = None
    ) -> None:
        """Back to the sender of the message ``asked``; counted by registry and reason."""
        refused = MessageRefused(
            message_id=asked.message_id,
            message_type=asked.message_type,
            reason=reason,
            pointer=pointer,
            refused_key=asked.key,
            standing_version=standing_version,
        )
        self.tell(_seat(REFUSALS, asked.registry), refused)
        self.change(Refusal(self._fresh(), asked.registry, reason, asked.message_type, self.now))

    def step(self, person: UUID, what: What, host: str, subject: str = "", **detail: str | int | None) -> None:
        """A line of the person's timeline."""
        self.change(Step(self._fresh(), person, self.now, self.inbound.time, what, host, subject, detail))

    def _fresh(self) -> UUID:
        return uuid5(self.inbound.own_id, str(len(self._changes)))
