"""Named places at which a test can kill the process, by SIGKILL, as a power cut would. Off unless a test arms a place.

P1 after fetch, P2 inside the transaction, P3 after commit before the offset hint, P4 after the outbox was read,
P5 after the broker's ack before rows are deleted, P6 before a call to an outside system, P7 after that call before
its answer is saved, P8 in the orderly stop, P9 during migration and start-up, P10 during a rebalance.

A test can also make decisions raise (SHUANGCHENG_RAISE_ON): the decision of every message that comes from the log and
whose id, or correlation id, begins with the given text. The correlation id is the id of the message that began the
chain, or on inner topics the ``own_id`` of a stranger's message, so a test that chooses the one, or computes the other
(``Naming.own_id``), reaches every service behind. The decision of a message that was set aside is not made to raise.
"""

from __future__ import annotations

import os
import signal
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Literal, get_args

if TYPE_CHECKING:  # a migration passes P9, and needs no contracts
    from contracts.envelope import Event

__all__ = ["NAMES", "Failpoint", "RaisedOnRequest", "arm", "begin", "failpoint", "raise_if_asked"]

Failpoint = Literal["P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9", "P10"]
NAMES: Final[tuple[Failpoint, ...]] = get_args(Failpoint)

_of_the_process: Final[dict[str, int]] = {}
_armed: ContextVar[dict[str, int]] = ContextVar("armed", default=_of_the_process)
"""The points of the service that runs in this context, each with the passings that are left."""


class RaisedOnRequest(RuntimeError):
    """A decision raised because a test asked for it."""


def begin() -> None:
    """Give the service that this context begins points of its own, where several services run in one process."""
    _armed.set({})


def arm(text: str) -> None:
    """Arm ``P3`` or ``P3:5`` (the fifth passing). Raises ``ValueError`` for an unknown name or count."""
    name, _, count = text.partition(":")
    if name not in NAMES or (count and (not count.isdigit() or int(count) < 1)):
        raise ValueError(f"failpoint {text!r}: expected one of {', '.join(NAMES)}, with :n for the n-th passing")
    _armed.get()[name] = int(count or 1)


def failpoint(name: Failpoint) -> None:
    """Die here if this point is armed and its count is up."""
    armed = _armed.get()
    if not armed:
        return
    left = armed.get(name)
    if left is None:
        return
    armed[name] = left - 1
    if left == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def raise_if_asked(prefix: str | None, event: Event) -> None:
    """Raise ``RaisedOnRequest`` if an id of this message begins with ``prefix``; never with a prefix of None."""
    if prefix is not None and (event.id.startswith(prefix) or (event.correlation or "").startswith(prefix)):
        raise RaisedOnRequest(f"as asked by SHUANGCHENG_RAISE_ON={prefix}")
