"""The right to serve: I9 a sign-up ends at the moment of the word that ends it, I17 who had the right serves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from contracts.messages import attendance, opportunities
from deploy.audit.book import Book
from deploy.audit.violations import Violation, at
from deploy.audit.world import Line

__all__ = ["Rights", "ends", "held_with_a_right"]

_GIVES_A_RIGHT = (opportunities.SignupConfirmed, opportunities.SignupPromoted, opportunities.SignupNoted)


class Rights:
    """Who may serve, as attendance heard it at the end, and until when somebody served whose sign-up ended later. Built
    once from the log: ``Rights.of(book)``."""

    @classmethod
    def of(cls, book: Book) -> Rights:
        """The ``Rights`` of this book."""
        return book.once(cls)

    def __init__(self, book: Book) -> None:
        self.has: set[UUID] = set()
        self.until: dict[UUID, datetime] = {}
        for line in book.published("opportunities.events.v1"):
            if not book.stands_aside(line, "attendance"):
                self._hear(line)

    def _hear(self, line: Line) -> None:
        fact = line.data
        if isinstance(fact, _GIVES_A_RIGHT):
            self.has.add(fact.signup_id)
        elif isinstance(fact, opportunities.SignupWaitlisted):
            self.has.discard(fact.signup_id)
        elif isinstance(fact, opportunities.SignupWithdrawn) and fact.signup_id in self.has:
            self.has.remove(fact.signup_id)
            ended, begins = fact.withdrawn_at, fact.starts_at
            if ended is not None and begins is not None and begins < ended:
                self.until[fact.signup_id] = max(ended, self.until.get(fact.signup_id, ended))

    def covers(self, signup: UUID, moment: datetime) -> bool:
        """Whether a service that began at this moment counts under this sign-up."""
        return signup in self.has or (signup in self.until and moment < self.until[signup])


def ends(book: Book) -> Iterator[Violation]:
    """A sign-up ends at the time of the message that ends it, and no volunteer gives it back once its shift has begun.
    Ends of earlier versions of the linkage have no moment, and are not judged."""
    for line in book.of(opportunities.SignupWithdrawn):
        fact, cause = line.data, book.cause(line, "opportunities")
        if fact.withdrawn_at is None or fact.starts_at is None or cause is None or cause.event is None:
            continue
        if cause.event.time != fact.withdrawn_at:
            yield at(book, "I9", line, "this sign-up ended at another moment than the message that ended it")
        elif isinstance(cause.data, opportunities.WithdrawSignup) and fact.starts_at <= fact.withdrawn_at:
            yield at(book, "I9", line, "a volunteer gave this post back, but its shift had begun")


def held_with_a_right(book: Book) -> Iterator[Violation]:
    """I17: no record is held for want of a sign-up that gave the right when the service began."""
    if not book.drained:
        return
    rights = Rights.of(book)
    for record in book.records.values():
        fact = record.last.data
        if not isinstance(fact, attendance.ServiceHeld) or fact.reason != "no_signup":
            continue
        if rights.covers(fact.signup_id, fact.record.started_at):
            yield at(book, "I17", record.last, "this record is held for want of a sign-up that gave the right then")
