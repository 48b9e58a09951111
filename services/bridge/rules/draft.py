"""One decision in the making: what it changes, sends and notes down."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID, uuid5

from contracts.messages.base import Message, Origin
from contracts.messages.refusals import MessageRefused
from contracts.topics import DELIVERIES, REFUSALS, TopicEntry
from services.bridge.states import Refusal, Step
from services.chassis.decisions import CancelTimer, Decision, Inbound, Send, Timer

__all__ = ["Draft"]


@cache
def _seat(template: TopicEntry, code: str) -> TopicEntry:
    return template.of(code)


class Draft:
    """Collects effects in order; ``decision`` gives them. Rows written here carry ids derived from the message's."""

    def __init__(self, inbound: Inbound, now: datetime) -> None:
        self.inbound = inbound
        self.now = now
        self._rows: list[Any] = []
        self._gone: list[Any] = []
        self._sends: list[Send] = []
        self._timers: list[Timer | CancelTimer] = []
        self._facts: list[str] = []

    def change(self, row: Any) -> None:
        """A state as it stands from now on."""
        self._rows.append(row)

    def forget(self, row: Any) -> None:
        """A state that nothing needs any longer."""
        self._gone.append(row)

    def command(self, topic: TopicEntry, message: Message) -> None:
        """To an inner service, at the time of the registry's own message: windows are judged at it."""
        self._sends.append(Send(topic, message, time=self.inbound.time))

    def tell(self, topic: TopicEntry, message: Message) -> None:
        """A fact of this moment."""
        self._sends.append(Send(topic, message))

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

    def timer(self, name: str, after: timedelta, topic: TopicEntry, message: Message) -> None:
        """This message comes back to us after a while; the same name again replaces it."""
        self._timers.append(Timer(name, self.now + after, topic, message))

    def cancel(self, name: str) -> None:
        """No timer of this name."""
        self._timers.append(CancelTimer(name))

    def fact(self, name: str) -> None:
        """What waits for this name can be decided now."""
        self._facts.append(name)

    def step(self, person: UUID, what: str, host: str, subject: str = "", **detail: str | int | None) -> None:
        """A line of the person's timeline."""
        self.change(Step(self._fresh(), person, self.now, self.inbound.time, what, host, subject, detail))

    def decision(self) -> Decision:
        """All of it."""
        return Decision(
            tuple(self._rows), tuple(self._sends), tuple(self._timers), tuple(self._facts), gone=tuple(self._gone)
        )

    def _fresh(self) -> UUID:
        return uuid5(self.inbound.own_id, str(len(self._rows)))
