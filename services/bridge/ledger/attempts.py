"""Which attempts of a transfer its home may still book, and what a home's "not booked" means for them.

Receipts come late, out of order, and again under new ids. Therefore a receipt counts once, for the attempt whose number
it has. A receipt without a number counts for the first attempt, and only while there was no other. Later it may be an
old receipt that comes again, and believing it could book the minutes twice.
"""

from __future__ import annotations

from typing import Literal

from services.bridge.states import Transfer

__all__ = ["Meaning", "is_contradicted", "left_open", "of_unknown"]

Meaning = Literal["never_seen", "cannot_say", "may_be_old", "nothing"]
_THE_FIRST = (1,)


def is_contradicted(transfer: Transfer) -> bool:
    """The home says that it booked other minutes. Only a receipt with the right minutes or an operator ends this."""
    return transfer.state == "uncertain" and transfer.reason == "delta_conflict"


def left_open(transfer: Transfer, attempt: int | None) -> tuple[int, ...]:
    """The attempts that the home may still book, after it said that it did not book ``attempt``."""
    posts = transfer.unanswered
    if attempt is None:
        return () if posts == _THE_FIRST else posts
    if _answers_the_question(transfer, attempt):
        return ()
    return tuple(post for post in posts if post != attempt)


def of_unknown(transfer: Transfer, attempt: int | None) -> Meaning:
    """What CreditUnknown means. In answer to the last question, that the home never saw the transfer; in answer to a
    posting, that nobody can say whether it was booked."""
    said_before = (transfer.state, transfer.reason) == ("uncertain", "unknown")
    if attempt is not None:
        if _answers_the_question(transfer, attempt):
            return "never_seen"
        return "cannot_say" if attempt in transfer.unanswered and not (transfer.queried or said_before) else "nothing"
    if not transfer.queried:
        return "nothing" if said_before else "cannot_say"
    return "never_seen" if transfer.unanswered == _THE_FIRST and not said_before else "may_be_old"


def _answers_the_question(transfer: Transfer, attempt: int) -> bool:
    """Whether this is the last question. A home takes one volunteer's messages in order, so its answer to the last
    question holds for all earlier attempts too."""
    return transfer.queried and attempt == transfer.attempts
