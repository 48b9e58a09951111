"""Which attempts of a transfer its home may still book, and what a home's "not booked" says of them.

Receipts come late, out of order, and again under new ids. So a receipt counts once, for the attempt whose number it
says. A receipt without a number counts for the first attempt, and only while there was no other: later it may be an old
receipt that comes again, and to believe it could book the minutes twice.
"""

from __future__ import annotations

from typing import Literal

from services.bridge.states import Transfer

__all__ = ["Meaning", "left_open", "of_unknown"]

Meaning = Literal["never_seen", "cannot_say", "may_be_old", "nothing"]
_THE_FIRST = (1,)


def left_open(transfer: Transfer, attempt: int | None) -> tuple[int, ...]:
    """What the home may still book once it said of ``attempt`` that it did not."""
    posts = transfer.unanswered
    if attempt is None:
        return () if posts == _THE_FIRST else posts
    if _answers_the_question(transfer, attempt):
        return ()
    return tuple(one for one in posts if one != attempt)


def of_unknown(transfer: Transfer, attempt: int | None) -> Meaning:
    """What CreditUnknown means: to the last question that it never saw the transfer, to a posting that nobody knows."""
    said_before = (transfer.state, transfer.reason) == ("uncertain", "unknown")
    if attempt is not None:
        if _answers_the_question(transfer, attempt):
            return "never_seen"
        return "cannot_say" if attempt in transfer.unanswered and not (transfer.queried or said_before) else "nothing"
    if not transfer.queried:
        return "nothing" if said_before else "cannot_say"
    return "never_seen" if transfer.unanswered == _THE_FIRST and not said_before else "may_be_old"


def _answers_the_question(transfer: Transfer, attempt: int) -> bool:
    """A home takes one volunteer's messages in order: what it says to the last question holds for all before it."""
    return transfer.queried and attempt == transfer.attempts
