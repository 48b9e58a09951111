"""What an error says: about the database or the broker, about a message, or about ourselves. The one place that knows.

What is done for each class, and what health, metrics and log say of it, is a table in services/README.md.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import asyncpg
from aiokafka.errors import KafkaError

__all__ = ["FailureClass", "NotDecidable", "OutOfTime", "blames_nobody", "classify", "is_transient"]


class FailureClass(Enum):
    """Why something failed, as far as the error alone can say."""

    TRANSIENT = "transient"
    """The database, the broker or the line between. Never counted: the same again, for as long as it takes."""
    PERMANENT = "permanent"
    """The message meets a constraint, or cannot be decided: it fails as often as it is tried."""
    LACKING = "lacking"
    """A table, a column or a right that our own statements need is not there. Whoever deployed it is at fault, and no
    message: never counted either."""
    OUT_OF_TIME = "out_of_time"
    """Our own computing took so long that the database ended the transaction. Less at once may go."""
    UNLISTED = "unlisted"
    """Nobody has thought of it. Whether the message or the database is at fault is found out by trying."""


class OutOfTime(Exception):
    """A transaction stood idle, while this process computed, until the database ended it."""


class NotDecidable(Exception):
    """A message that stands set aside cannot be decided as it is, whenever it is tried."""


_TRANSIENT_STATES: Final = ("08", "40", "53", "57")
_CONSTRAINTS: Final = "23"
_LACKING: Final = "42"
_LOST: Final = ("closed", "closing", "released")
"""How asyncpg says that a connection or a pool is gone; all other errors of its interface are faults of the caller."""


def classify(error: BaseException) -> FailureClass:
    """The class of an error, by SQLSTATE where the database told it."""
    if isinstance(error, OutOfTime):
        return FailureClass.OUT_OF_TIME
    if isinstance(error, NotDecidable):
        return FailureClass.PERMANENT
    if isinstance(error, asyncpg.PostgresError):
        return _by_state(error.sqlstate or "")
    return FailureClass.TRANSIENT if _lost(error) else FailureClass.UNLISTED


def is_transient(error: BaseException) -> bool:
    """Whether the same may succeed later unchanged: connections, deadlocks, resources, locks, shutdown, broker."""
    return classify(error) is FailureClass.TRANSIENT


def blames_nobody(error: BaseException) -> bool:
    """Whether it says nothing of the message that was tried: transient, or something of ours is lacking."""
    return classify(error) in (FailureClass.TRANSIENT, FailureClass.LACKING)


def _by_state(code: str) -> FailureClass:
    if code[:2] in _TRANSIENT_STATES or code == "55P03":
        return FailureClass.TRANSIENT
    if code == "25P03":
        return FailureClass.OUT_OF_TIME
    if code[:2] == _LACKING:
        return FailureClass.LACKING
    return FailureClass.PERMANENT if code[:2] == _CONSTRAINTS else FailureClass.UNLISTED


def _lost(error: BaseException) -> bool:
    if isinstance(error, OSError | TimeoutError | KafkaError):
        return True
    if type(error) is asyncpg.InterfaceError:
        return any(word in str(error) for word in _LOST)
    # A session that was told of a shutdown, and whose line is not cut yet, meets this error itself, none of its kinds.
    return type(error) is asyncpg.InternalClientError
