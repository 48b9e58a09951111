"""One decision in the making: rules enter what follows from a message, in order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from contracts.messages import Message
from contracts.topics import TopicEntry
from services.chassis.decisions import CancelTimer, Channel, Decision, Inbound, Send, Timer, Wait

__all__ = ["Draft"]


class Draft:
    """Lives for one message. ``decision`` gives all that was entered."""

    def __init__(self, inbound: Inbound, now: datetime) -> None:
        self.inbound = inbound
        self.now = now
        self._changes: list[Any] = []
        self._gone: list[Any] = []
        self._sends: list[Send] = []
        self._timers: list[Timer | CancelTimer] = []
        self._facts: list[str] = []
        self._wait: Wait | None = None

    def change(self, row: Any) -> None:
        """Enter a state as it is from now on. It replaces the row with the same key."""
        self._changes.append(row)

    def forget(self, row: Any) -> None:
        """Delete the row with this key: it is no longer needed."""
        self._gone.append(row)

    def tell(self, topic: TopicEntry, message: Message, *, time: datetime | None = None) -> None:
        """Send an event, which happened at this moment unless another ``time`` is given."""
        self._sends.append(Send(topic, message, time))

    def command(self, topic: TopicEntry, message: Message) -> None:
        """Send a command at the time of the message that is decided: windows are judged at that time."""
        self.tell(topic, message, time=self.inbound.time)

    def timer(self, name: str, due: datetime, topic: TopicEntry, message: Message) -> None:
        """At ``due`` this message goes to the service's own topic. The same name again replaces the timer."""
        self._timers.append(Timer(name, due, topic, message))

    def cancel(self, name: str) -> None:
        """Forget the timer of this name."""
        self._timers.append(CancelTimer(name))

    def fact(self, name: str) -> None:
        """A fact is known now: messages that wait for it are decided again."""
        self._facts.append(name)

    def wait(self, fact: str | None, brought_by: Sequence[Channel], until: datetime | None = None) -> None:
        """The message waits for a fact (``Wait``). Nothing else that was entered counts."""
        self._wait = Wait(fact, tuple(brought_by), until)

    def decision(self) -> Decision:
        """What follows from the message."""
        if self._wait is not None:
            return Decision(wait=self._wait)
        return Decision(
            tuple(self._changes), tuple(self._sends), tuple(self._timers), tuple(self._facts), gone=tuple(self._gone)
        )
