"""What a home shares with its host, moment by moment: consent as the border heard it, and whether the link holds.

Between topics there is no order. The moments of the bridge's own decisions give an order: they are taken from one clock
while the person is locked. Consent counts from the command that its admission made (rule 40), a break or its end from
the moment at which the border told the host.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from contracts.messages import deliveries, identity
from deploy.audit.book import Book
from deploy.audit.world import Line

__all__ = ["LinkState", "Permission", "Sharing", "Word"]

Permission: TypeAlias = tuple[str, str, str]
"""home, home_ref, host"""
_LINKS = (identity.LinkEstablished, identity.LinkBroken, identity.LinkRestored)


class Word(NamedTuple):
    """A home's word on consent, beside the newest word that was heard until then."""

    heard: int
    version: int
    withdrawn: bool
    valid_until: datetime | None
    line: Line

    def after(self, last: Word | None) -> Word | None:
        """The consent that stands after this word; None if it changes nothing. A withdrawal always counts, under the
        highest version heard. A giving counts only under a higher version."""
        if last is None:
            return self
        if self.withdrawn:
            stands = self._replace(version=max(self.version, last.version))
            return None if last.withdrawn and stands.version == last.version else stands
        return self if self.version > last.version else None

    def covers(self, moment: datetime) -> bool:
        """Whether this word permits sharing at this moment."""
        return not self.withdrawn and (self.valid_until is None or moment < self.valid_until)


class LinkState(NamedTuple):
    """The state of a link since this moment."""

    since: int
    active: bool
    line: Line


class Sharing:
    """All words and links, built once from the logs: ``Sharing.of(book)``."""

    def __init__(self, book: Book) -> None:
        self.words: dict[Permission, list[Word]] = {}
        """The consent after each word that changed it, in the order in which the border heard the words."""
        self._states: defaultdict[tuple[UUID, str], list[LinkState]] = defaultdict(list)
        self._hear(book)
        for line in book.published("identity.events.v1"):
            if isinstance(line.data, _LINKS):
                told = [
                    x for x in book.effects(line, deliveries.LinkChanged) if x.topic.split(".")[1] == line.data.host
                ]
                since = (told[0] if told else line).moment
                state = LinkState(since, not isinstance(line.data, identity.LinkBroken), line)
                self._states[line.data.person, line.data.host].append(state)
        for states in self._states.values():
            states.sort(key=lambda state: state.since)

    @classmethod
    def of(cls, book: Book) -> Sharing:
        """The ``Sharing`` of this book."""
        return book.once(cls)

    def _hear(self, book: Book) -> None:
        said: defaultdict[Permission, list[Word]] = defaultdict(list)
        for line in book.of(identity.OfferLink, identity.RecordConsent):
            command: Any = line.data
            given = command.consent
            if given is None and isinstance(command, identity.OfferLink):
                continue  # a new code for a pair that is linked already
            withdrawn = getattr(command, "state", "given") == "withdrawn"
            version = given.version if isinstance(command, identity.OfferLink) else command.version
            until = None if withdrawn or given is None else given.valid_until
            key = (command.home, command.home_ref, command.host)
            said[key].append(Word(line.moment, version, withdrawn, until, line))
        for key, words in said.items():
            kept: list[Word] = []
            for word in sorted(words, key=lambda word: word.heard):
                if (stands := word.after(kept[-1] if kept else None)) is not None:
                    kept.append(stands)
            self.words[key] = kept

    def word(self, key: Permission, moment: int) -> Word | None:
        """The consent that stands at this moment of the border."""
        words = self.words.get(key, [])
        at = bisect_right(words, moment, key=lambda word: word.heard)
        return words[at - 1] if at else None

    def link_state(
        self, person: UUID, host: str, moment: int
    ) -> tuple[LinkState | None, identity.LinkEstablished | None]:
        """The state of the link at this moment of the border, and the last word on the accounts that it joins."""
        states = self._states.get((person, host), [])
        at = bisect_right(states, moment, key=lambda state: state.since)
        told = (t.line.data for t in reversed(states[:at]) if isinstance(t.line.data, identity.LinkEstablished))
        return (states[at - 1] if at else None), next(told, None)

    def open(self, link: identity.LinkEstablished, line: Line) -> bool:
        """Whether the home shares with the host at the moment of this message of the border."""
        assert line.event is not None
        word = self.word((link.home, link.home_ref, link.host), line.moment)
        state, _ = self.link_state(link.person, link.host, line.moment)
        return state is not None and state.active and word is not None and word.covers(line.event.time)
