"""The rows of an adapter: credits for a registry's ledger, and notices to pass on. Also letters, and outcomes of
calls."""

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
    "Letter",
    "Lost",
    "NotPosted",
    "Notice",
    "Outcome",
    "Posted",
    "Refused",
    "Waiting",
    "account_name",
]

CreditRefusal = Literal["conflict", "consent_withdrawn", "volunteer_unknown", "form_not_accepted", "refused_by_home"]
"""An adapter's own reasons for refusing a credit. A registry's own word is handed on unchanged."""
CreditState = Literal["due", "calling", "unknown", "accepted", "refused", "uncertain"]
"""due: surely not at the registry, to be called. calling: a call is committed and under way. unknown: a call was made,
and nobody knows its result. uncertain: the same, and the adapter cannot find out. The others are answers."""


@frozen
class Credit:
    """One transfer and its state with the registry's system. ``body`` is None where the linkage only asked about it."""

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
    """Until when a call whose result nobody knows was under way: its end, and after a crash the moment at which the
    next process found the row. The column has the name of the attempt; the time is that of its end."""
    asked: tuple[int, ...] = ()
    """The numbers of the linkage's attempts that no receipt has named yet."""
    trouble: str | None = None
    """The last error, while the credit is not answered, or where this error is why it is uncertain."""


@frozen
class Notice:
    """A message to pass on unchanged: one that the linkage tells, or one that was sent in the registry's name
    (``own``).

    Notices of one ``key`` (a volunteer's ref or a project's) are passed on in their order of arrival.
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
    """How often the registry's system failed over this notice alone."""


@frozen
class Letter:
    """A letter of the registry about something that people did there: its number, and the message in it (``event``) or
    the reason why there is none (``trouble``).

    ``number`` is None where the letter has none that can be kept. ``digest`` is that of the whole letter, so letters
    with one number and different content are different.
    """

    number: int | None
    event: Event | None
    trouble: str | None
    digest: bytes


@frozen
class Posted:
    """The registry says that the credit is in its ledger. ``times``: how often it said this in its answer."""

    delta: int
    posted_at: datetime
    times: int = 1


@frozen
class NotPosted:
    """The registry was asked and has not seen this transfer. A call that it still works on may not be seen yet."""


@frozen
class Refused:
    """The registry refuses the credit, so it is surely not posted."""

    reason: str
    retry: bool


@frozen
class Lost:
    """The answer is missing or cannot be read: nobody knows whether the credit is posted."""

    detail: str


@frozen
class Away:
    """The registry's system did not take the call. ``surely``: the call cannot have reached the ledger; where it is
    False, a gateway may have passed it on before it gave up. ``seconds``: how long the system asked to be left
    alone."""

    detail: str
    surely: bool = True
    seconds: float = 0.0


class Waiting(NamedTuple):
    """How many rows are due to the registry's system, and for how many seconds the oldest has been due."""

    rows: int
    seconds: float


Outcome: TypeAlias = Posted | NotPosted | Refused | Lost | Away


def account_name(registry: str, key: str) -> str:
    """Lock name of one key of this registry: a volunteer's ref, or a project's."""
    return f"account:{registry}:{key}"
