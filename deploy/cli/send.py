"""`shuangcheng send`: check a file of events line by line, then publish them in their registries' names."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.running import run
from deploy.demo.lines import Letter, Problem, check
from deploy.demo.publishing import Publisher
from deploy.local.errors import EnvironmentProblem, LocalError
from deploy.local.ports import parse_address

Source = Annotated[
    str, typer.Argument(metavar="FILE|-", help="CloudEvents in structured JSON, one a line; - reads standard input.")
]


def send(
    file: Source,
    kafka: Annotated[
        str, typer.Option(help="Broker, HOST:PORT.", envvar="SHUANGCHENG_KAFKA", show_default=True)
    ] = "127.0.0.1:9092",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Check every line, then publish each on the topic its source and type belong to, in the order of the file.

    When a line is wrong, or there is none, nothing is sent, and the status is 1. Sending the same file again changes
    nothing.

    Example: shuangcheng send deploy/examples/weekend.jsonl --kafka 127.0.0.1:9092
    """
    run(_send(file, kafka, as_json))


async def _send(file: str, kafka: str, as_json: bool) -> int:
    parse_address(kafka)
    letters, problems = check(_lines(file))
    if problems:
        _print_problems(file, problems, as_json)
        return 1
    if not letters:
        raise LocalError(
            f"no message in {'standard input' if file == '-' else file}, nothing was sent",
            todo="give CloudEvents in structured JSON, one a line",
        )
    async with Publisher(kafka) as publisher:
        await publisher.require({letter.topic for letter in letters})
        await publisher.publish(letters)
    _print_summary(letters, kafka, as_json)
    return 0


def _lines(file: str) -> list[bytes]:
    if file == "-":
        return sys.stdin.buffer.read().split(b"\n")
    try:
        return Path(file).read_bytes().split(b"\n")
    except OSError as error:
        raise EnvironmentProblem(f"cannot read {file}: {error.strerror}", todo="give a file, or - for stdin") from error


def _print_problems(file: str, problems: Sequence[Problem], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"sent": 0, "problems": [asdict(one) for one in problems]}, indent=2, ensure_ascii=False))
        return
    for problem in problems:
        typer.echo(f"{file}: {problem}", err=True)
    noun = "line is" if len(problems) == 1 else "lines are"
    typer.echo(f"{len(problems)} {noun} wrong, nothing was sent", err=True)


def _print_summary(letters: Sequence[Letter], kafka: str, as_json: bool) -> None:
    topics = Counter(letter.topic for letter in letters)
    if as_json:
        typer.echo(json.dumps({"sent": len(letters), "topics": dict(sorted(topics.items()))}, indent=2))
        return
    for topic, count in sorted(topics.items()):
        typer.echo(f"{count:>6}  {topic}")
    typer.echo(f"{len(letters):>6}  sent to {kafka}, all acknowledged")
