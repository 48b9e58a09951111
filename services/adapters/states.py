"""The rows of an adapter: credits for a registry's ledger, notices to pass on; and what comes of a call."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias
from uuid import UUID

from contracts.envelope import Event
from contracts.frozen import frozen
from contracts.messages.deliveries import CreditPosted

__all__ = [
    "Away",
    "Credit",
    "CreditRefusal",
    "CreditState",
    "Lost",
    "NotPosted",
    "Notice",
    "Outcome",
    "Posted",
    "Refused",
    "Said",
    "Waiting",
    "account_name",
]

CreditRefusal = Literal["conflict", "consent_withdrawn", "volunteer_unknown", "form_not_accepted", "refused_by_home"]
"""Why a credit is refused, in an adapter's own words; a registry's own word is handed on as it is."""
CreditState = Literal["due", "calling", "unknown", "accepted", "refused", "uncertain"]
"""due: surely not at the registry, to be called; calling: an attempt is committed and under way; unknown: an attempt
was made and nobody knows what came of it; uncertain: the same, and nobody will find out here. The rest are answers."""


@frozen
class Credit:
    """One transfer and how far it is with the registry's system. ``body`` is None for a mere question."""

    transfer_id: UUID
    volunteer_ref: str
    body: CreditPosted | None
    state: CreditState
    attempts: int
    due_at: datetime
    posted_delta: int | None = None
    posted_at: datetime | None = None
    reason: str | None = None
    retry: bool = False
    attempted_at: datetime | None = None
    """When the last call ended whose result nobody knows; where a crash cut the call off, when that was noticed."""
    asked: tuple[int, ...] = ()
    """The linkage's attempts that no receipt has named yet."""
    trouble: str | None = None
    """What went wrong with it last, where it is not answered yet or for that reason."""


@frozen
class Notice:
    """A message to pass on as it is: told by the linkage, or sent in the registry's name (``own``).

    In the order of arrival within a ``key``: a volunteer's ref or a project's.
    """

    id: UUID
    key: str
    own: bool
    source: str
    message_id: str
    type: str
    time: datetime
    body: dict[str, Any]
    tries: int = 0
    """How often the registry's system failed over it alone."""


@frozen
class Said:
    """What the registry says that people did there: its number for it, and the message or what is wrong with it.

    ``number`` is None where it says none that can be kept. ``digest`` is of all that it said: two that differ stand
    apart, though they have one number, and the same again is the same.
    """

    number: int | None
    event: Event | None
    trouble: str | None
    digest: bytes


@frozen
class Posted:
    """The registry says that it stands in the ledger; ``times`` is how often it said so."""

    delta: int
    posted_at: datetime
    times: int = 1


@frozen
class NotPosted:
    """The registry was asked and has not seen this transfer; what it still works on, it may not have seen yet."""


@frozen
class Refused:
    """The registry refuses: surely not posted."""

    reason: str
    retry: bool


@frozen
class Lost:
    """The answer is missing or cannot be read: nobody knows."""

    detail: str


@frozen
class Away:
    """The registry's system did not take the call. ``surely``: it cannot have reached the ledger; else it may have,
    and something in between gave up on it. ``seconds``: so long it asked to be left alone."""

    detail: str
    surely: bool = True
    seconds: float = 0.0


class Waiting(NamedTuple):
    """Rows that are due to the registry's system, and for how long the oldest has been."""

    rows: int
    seconds: float


Outcome: TypeAlias = Posted | NotPosted | Refused | Lost | Away


def account_name(registry: str, key: str) -> str:
    """The entity of one key of this registry: a volunteer's ref, or a project's."""
    return f"account:{registry}:{key}"
