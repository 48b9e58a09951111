"""The class of an error: the database, the broker, a message or our own code is at fault. Only this module knows.

The table in services/README.md says for each class what is done, and what health, metrics and log say.
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
    """The database, the broker or the network. Never counted against a message: the batch is tried again."""
    PERMANENT = "permanent"
    """The message meets a constraint, or cannot be decided: it fails at each try."""
    LACKING = "lacking"
    """A table, a column or a right is missing that our own statements need. The deployment is at fault, so this is
    never counted against a message either."""
    OUT_OF_TIME = "out_of_time"
    """Our own computing took so long that the database ended the transaction. A smaller batch may succeed."""
    UNLISTED = "unlisted"
    """An error that is on no list. Trying finds out whether the message or the database is at fault."""


class OutOfTime(Exception):
    """A transaction stood idle, while this process computed, until the database ended it."""


class NotDecidable(Exception):
    """A message that is set aside cannot be decided as it is, at no try."""


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
    """Whether no message is at fault: the error is transient, or something of the deployment is missing."""
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
    # A session that heard of a shutdown before its connection is cut raises this class itself, not a subclass.
    return type(error) is asyncpg.InternalClientError
