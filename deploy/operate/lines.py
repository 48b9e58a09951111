"""Reads events from a file of structured JSON, one event a line. Every line is checked before any event is sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from contracts.envelope import ContractError, Event, encode, parse_structured
from contracts.messages.service import shanghai_day
from contracts.topics import registry_source, registry_topic_for

__all__ = ["Letter", "Problem", "check", "days", "read_letter"]


@dataclass(frozen=True, slots=True)
class Letter:
    """An event and the topic that its source and type belong to."""

    topic: str
    event: Event


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault of one line. ``pointer`` is a JSON pointer into the line, if the fault has a place."""

    line: int
    reason: str
    pointer: str | None
    what: str

    def __str__(self) -> str:
        """One line for people."""
        return f"line {self.line}: {self.pointer or '(whole line)'}: {self.what} ({self.reason})"


def check(lines: Iterable[bytes]) -> tuple[list[Letter], list[Problem]]:
    """Read all lines in order, without blank lines. Gives the first problem of each line."""
    letters: list[Letter] = []
    problems: list[Problem] = []
    seen: dict[tuple[str, str], tuple[int, object]] = {}
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if not line:
            continue
        try:
            letter = read_letter(line)
        except ContractError as error:
            problems.append(Problem(number, error.reason, error.pointer, error.detail))
            continue
        event, content = letter.event, encode(letter.event)
        first, known = seen.setdefault((event.source, event.id), (number, content))
        if known != content:
            what = f"line {first} has the same source and id with other content"
            problems.append(Problem(number, "reused_id", "/id", what))
            continue
        letters.append(letter)
    return letters, problems


def days(letters: Iterable[Letter]) -> list[tuple[date, list[Letter]]]:
    """Cut the lines where a later Shanghai day begins. The order stays, so a line that is older than the lines before
    it stays with them."""
    found: list[tuple[date, list[Letter]]] = []
    for letter in letters:
        day = shanghai_day(letter.event.time)
        if not found or day > found[-1][0]:
            found.append((day, []))
        found[-1][1].append(letter)
    return found


def read_letter(line: bytes) -> Letter:
    """One event and its topic. Raises ``ContractError`` for an event that no registry may publish."""
    event = parse_structured(line, strict=True)
    topic = registry_topic_for(event.source, type(event.data))
    if topic is None:
        if event.source.startswith(registry_source("")):
            raise ContractError("wrong_topic", f"a registry does not publish {event.type}", "/type")
        raise ContractError("wrong_topic", f"only a registry publishes here: {registry_source('<code>')}", "/source")
    return Letter(topic, event)
