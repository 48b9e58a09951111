"""I13 consent: nothing goes to another registry after a withdrawal that took effect before it was sent."""

from __future__ import annotations

from collections.abc import Iterator

from contracts.messages import deliveries
from deploy.audit.book import Book
from deploy.audit.sharing import Permission, Sharing
from deploy.audit.violations import Violation, at
from deploy.audit.world import Line, code_of

__all__ = ["consent"]


def consent(book: Book) -> Iterator[Violation]:
    """I13: consent stands when a CreditPosted with a record is sent, a SignupChanged to a home that neither hosts nor
    asked, or a word to a host on her age.
    """
    for line in book.of(deliveries.CreditPosted):
        # Minutes are taken back without consent, and then nothing of the record is told.
        if line.data.record is not None:
            yield from _covered(book, (code_of(line.topic), line.data.volunteer_ref, line.data.host), line)
    for line in book.of(deliveries.SignupChanged):
        home = code_of(line.topic)
        if home not in (line.data.host, line.data.asker):
            yield from _covered(book, (home, line.data.volunteer_ref, line.data.host), line)
    for line in book.of(deliveries.LinkChanged):
        if line.data.age_band is not None or line.data.guardian_approved is not None:
            host, home = code_of(line.topic), line.data.registry
            person = book.person_of.get((host, line.data.volunteer_ref))
            home_ref = "" if person is None else book.home_of[person][1]
            yield from _covered(book, (home, home_ref, host), line)


def _covered(book: Book, key: Permission, line: Line) -> Iterator[Violation]:
    assert line.event is not None
    stands = Sharing.of(book).word(key, line.moment)
    if stands is None:
        yield at(book, "I13", line, f"{key[0]} never gave consent for {key[2]}")
    elif stands.withdrawn:
        place = "/".join(map(str, stands.line.place))
        yield at(
            book,
            "I13",
            line,
            f"this message was sent after version {stands.version} of consent was withdrawn ({place})",
        )
    elif not stands.covers(line.event.time):
        yield at(
            book,
            "I13",
            line,
            f"this message was sent after version {stands.version} of consent ended at {stands.valid_until}",
        )
