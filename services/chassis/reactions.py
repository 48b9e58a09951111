"""One row per message: how it is decided, what it is about, what it locks and what it needs loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from services.chassis.decisions import Decide, Inbound

__all__ = ["Reaction"]


def _no_locks(_: Inbound) -> Iterable[str]:
    return ()


def _no_needs(_: Inbound, __: Any) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Reaction:
    """How a service treats one message type. The chassis calls each function once a message."""

    decide: Decide
    subject: Callable[[Inbound], str]
    """The entity decided, as a lock name such as ``account:…``. Messages of one subject keep their order."""
    locks: Callable[[Inbound], Iterable[str]] = _no_locks
    """Further names to lock, with the facts that the message may wait for or make known."""
    needs: Callable[[Inbound, Any], None] = _no_needs
    """Enters the rows that the decision may read into the needs of a batch (``Store.needs``)."""
