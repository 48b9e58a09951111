"""`shuangcheng send`: check a file of events line by line, then publish them in their registries' names."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Annotated, Final

import typer

from contracts.envelope import ContractError, body_bytes, header_texts
from deploy.cli.event_file import EventFile, Ids, event_file
from deploy.cli.running import run
from deploy.operate.brokers import parse_address
from deploy.operate.errors import LocalError
from deploy.operate.lines import Letter, Problem, read_letter
from deploy.operate.publishing import Publisher

SHOWN: Final = 20
"""How many wrong lines are shown. The others are counted."""
_PORTION: Final = 2000
_SAID_EVERY: Final = 5.0
_ONE_A_LINE: Final = "give one CloudEvent in structured JSON on each line"

Source = Annotated[
    str,
    typer.Argument(
        metavar="FILE|-",
        help="A file with one CloudEvent in structured JSON on each line, plain or gzip; - reads standard input.",
    ),
]


def send(
    file: Source,
    kafka: Annotated[
        str, typer.Option(help="Broker, HOST:PORT.", envvar="SHUANGCHENG_KAFKA", show_default=True)
    ] = "127.0.0.1:9092",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Check all lines of the file, then publish the messages in the order of the file. The source and type of a message
    decide its topic.

    If a line is wrong, or the file has no message, the command sends nothing and ends with status 1. It shows the first
    20 wrong lines, and counts the others. Sending the same file again changes nothing.

    Example: shuangcheng send deploy/examples/weekend.jsonl --kafka 127.0.0.1:9092
    """
    run(_send(file, kafka, as_json))


@dataclass
class Findings:
    """The findings of one reading of the whole file."""

    topics: Counter[str] = field(default_factory=Counter)
    shown: list[Problem] = field(default_factory=list)
    wrong: int = 0


class Progress:
    """Writes a line to standard error every few seconds, so that a user sees that long work goes on."""

    def __init__(self, file: EventFile) -> None:
        self._file = file
        self._said = time.monotonic()

    def say(self, doing: str, messages: int) -> None:
        """Say how far the work is, at most every few seconds."""
        if time.monotonic() - self._said >= _SAID_EVERY:
            self._said = time.monotonic()
            share = 100 * self._file.position // max(self._file.size, 1)
            typer.echo(f"{doing}: {messages} messages, {share} % of {self._file.name}", err=True)


async def _send(file: str, kafka: str, as_json: bool) -> int:
    parse_address(kafka)
    with event_file(file) as events:
        findings = _check(events, aloud=not as_json)
        if findings.wrong:
            _print_problems(findings, as_json)
            return 1
        if not findings.topics:
            raise LocalError(f"{events.name} has no message; nothing was sent", todo=_ONE_A_LINE)
        async with Publisher(kafka) as publisher:
            await publisher.require(set(findings.topics))
            await _publish(publisher, events)
    _print_summary(findings.topics, kafka, as_json)
    return 0


def _check(events: EventFile, aloud: bool) -> Findings:
    """Check every line. Of each line only the content is kept by which an id that is used twice is found."""
    found, ids, progress = Findings(), Ids(), Progress(events)

    def wrong(problem: Problem) -> None:
        found.wrong += 1
        if found.wrong <= SHOWN:
            found.shown.append(problem)
            if aloud:
                typer.echo(f"{events.name}: {problem}", err=True)

    for number, line in _numbered(events):
        try:
            letter = read_letter(line)
        except ContractError as error:
            wrong(Problem(number, error.reason, error.pointer, error.detail))
            continue
        event = letter.event
        found.topics[letter.topic] += 1
        ids.add(event.source, event.id, number, repr(header_texts(event)).encode() + body_bytes(event))
        if number % 1000 == 0:
            progress.say("checked", found.topics.total())
    for number, first in ids.used_twice():
        wrong(Problem(number, "reused_id", "/id", f"line {first} has the same source and id with other content"))
    return found


async def _publish(publisher: Publisher, events: EventFile) -> None:
    """Publish in portions, each acknowledged before the next. Raises ``LocalError`` when the file has changed since it
    was checked."""
    sent, progress = 0, Progress(events)
    letters = _letters(events)
    try:
        while portion := list(islice(letters, _PORTION)):
            sent += await publisher.publish(portion)
            progress.say("sent", sent)
    except ContractError as error:
        raise LocalError(
            f"{events.name} was changed during the sending ({error}); {sent} messages were sent",
            todo="send the file again: a message that arrived already has no effect a second time",
        ) from error


def _letters(events: EventFile) -> Iterator[Letter]:
    return (read_letter(line) for _, line in _numbered(events))


def _numbered(events: EventFile) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers."""
    return ((number, line) for number, raw in enumerate(events.lines(), 1) if (line := raw.strip()))


def _print_problems(findings: Findings, as_json: bool) -> None:
    if as_json:
        problems = [asdict(one) for one in findings.shown]
        document = {"sent": 0, "wrong": findings.wrong, "problems": problems}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    more = findings.wrong - len(findings.shown)
    noun = "line is" if findings.wrong == 1 else "lines are"
    shown = f" ({more} of them are not shown)" if more else ""
    typer.echo(
        f"{findings.wrong} {noun} wrong{shown}; nothing was sent: correct the file, then send it again", err=True
    )


def _print_summary(topics: Counter[str], kafka: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"sent": topics.total(), "topics": dict(sorted(topics.items()))}, indent=2))
        return
    for topic, count in sorted(topics.items()):
        typer.echo(f"{count:>6}  {topic}")
    typer.echo(f"{topics.total():>6}  sent to {kafka}; the broker acknowledged all messages")
