"""One decision in the making, with what the border adds to the chassis' draft: deliveries, refusals, the timeline."""

from __future__ import annotations

from functools import cache
from uuid import UUID, uuid5

from contracts.messages.base import Message
from contracts.messages.refusals import MessageRefused
from contracts.topics import DELIVERIES, REFUSALS, TopicEntry
from services.bridge.states import Refusal, RegistryMessage, Step
from services.bridge.steps import What
from services.chassis import draft
from services.chassis.decisions import CancelTimer, Decision, Inbound

__all__ = ["Draft", "registry_message", "sender"]


@cache
def _topic(template: TopicEntry, code: str) -> TopicEntry:
    return template.of(code)


def sender(inbound: Inbound) -> str:
    """The code of the registry that sent it. The chassis has checked that this registry owns the topic."""
    return inbound.event.source.rpartition(":")[2]


def registry_message(inbound: Inbound) -> RegistryMessage:
    """What its registry calls this message, under the border's own id."""
    return RegistryMessage(inbound.own_id, sender(inbound), inbound.event.id, inbound.event.type)


class Draft(draft.Draft):
    """The ids of rows that are written here follow from the message's id."""

    def deliver(self, registry: str, message: Message) -> None:
        """Send this message to a registry, in that registry's own refs."""
        self.tell(_topic(DELIVERIES, registry), message)

    def refuse(
        self,
        said: RegistryMessage,
        key: str,
        reason: str,
        pointer: str | None = None,
        *,
        standing_version: int | None = None,
    ) -> None:
        """Refuse the message ``said``, which has this key, to its sender. Refusals are counted by registry and
        reason."""
        refused = MessageRefused(
            message_id=said.message_id,
            message_type=said.message_type,
            reason=reason,
            pointer=pointer,
            refused_key=key,
            standing_version=standing_version,
        )
        self.tell(_topic(REFUSALS, said.registry), refused)
        self.change(Refusal(self._fresh(), said.registry, reason, said.message_type, self.now))

    def step(self, person: UUID, what: What, host: str, subject: str = "", **detail: str | int | None) -> None:
        """Add a line to the person's timeline."""
        self.change(Step(self._fresh(), person, self.now, self.inbound.time, what, host, subject, detail))

    def decision(self) -> Decision:
        """What follows from the message. If that goes to an inner topic, the border keeps which message it was."""
        topics = [one.topic for one in (*self._sends, *self._timers) if not isinstance(one, CancelTimer)]
        if any(map(self.inbound.is_named_by_own_id, topics)):
            self.change(registry_message(self.inbound))
        return super().decision()

    def _fresh(self) -> UUID:
        return uuid5(self.inbound.own_id, str(len(self._changes)))
