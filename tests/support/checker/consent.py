"""I13 consent: nothing goes to another registry after a withdrawal that took effect before it was sent.

No order exists between topics, so the bridge's own event ids give it: UUIDv7 of one clock, drawn while the person
is locked. A withdrawal takes effect with the command that its admission made (rule 40).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from contracts.messages import deliveries, identity
from tests.support.checker.book import Book
from tests.support.checker.violations import Violation, at
from tests.support.checker.world import Line, code_of

__all__ = ["consent"]

Permission: TypeAlias = tuple[str, str, str]
"""home, home_ref, host"""


class _Word(NamedTuple):
    """What a home said, in the order in which the border heard it."""

    heard: UUID
    version: int
    withdrawn: bool
    valid_until: datetime | None
    line: Line


def consent(book: Book) -> Iterator[Violation]:
    """I13: each CreditPosted, and each SignupChanged to a home that neither hosts nor asked, has consent behind it."""
    words = _words(book)
    for line in book.of(deliveries.CreditPosted):
        key = (code_of(line.topic), line.data.volunteer_ref, line.data.host)
        yield from _covered(book, words, key, line)
    for line in book.of(deliveries.SignupChanged):
        home = code_of(line.topic)
        if home not in (line.data.host, line.data.asker):
            yield from _covered(book, words, (home, line.data.volunteer_ref, line.data.host), line)


def _words(book: Book) -> dict[Permission, list[_Word]]:
    found: defaultdict[Permission, list[_Word]] = defaultdict(list)
    for line in book.of(identity.OfferLink, identity.RecordConsent):
        command: Any = line.data
        given = command.consent
        withdrawn = getattr(command, "state", "given") == "withdrawn"
        version = given.version if isinstance(command, identity.OfferLink) else command.version
        until = None if withdrawn or given is None else given.valid_until
        key = (command.home, command.home_ref, command.host)
        found[key].append(_Word(UUID(line.id), version, withdrawn, until, line))
    for said in found.values():
        said.sort(key=lambda word: word.heard)
    return dict(found)


def _covered(book: Book, words: dict[Permission, list[_Word]], key: Permission, line: Line) -> Iterator[Violation]:
    assert line.event is not None
    stands: _Word | None = None
    for word in words.get(key, ()):
        if word.heard > UUID(line.id):
            break
        if stands is None or (word.version, word.withdrawn) > (stands.version, stands.withdrawn):
            stands = word
    person = book.person_of.get(key[:2])
    if stands is None:
        yield at("I13", line, f"{key[0]} never gave consent for {key[2]}", person=person)
    elif stands.withdrawn:
        place = "/".join(map(str, stands.line.place))
        yield at("I13", line, f"sent after consent {stands.version} was withdrawn ({place})", person=person)
    elif stands.valid_until is not None and line.event.time >= stands.valid_until:
        yield at("I13", line, f"sent after consent {stands.version} ended at {stands.valid_until}", person=person)
