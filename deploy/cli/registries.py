"""`shuangcheng registries`: the seats of a linkage, of which each is one file."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml

from contracts.registry import LateBy, Registry
from contracts.topics import TEMPLATES
from deploy.cli.running import run
from deploy.linkage import RECREATED
from deploy.operate.errors import EnvironmentProblem
from deploy.operate.registries import (
    CONFIGURED,
    configured_codes,
    folder_of_seats,
    parse_seat,
    read_seat,
    require_new,
    write_new,
)
from deploy.operate.topics import ensure_topics

__all__ = ["registries"]

registries = typer.Typer(
    name="registries",
    no_args_is_help=True,
    help="The registries that take part: add a seat, list all seats, check all seats.",
)

_PUBLISHED: Final = "29092"
"""The port on which compose publishes Kafka."""
Folder = Annotated[
    str,
    typer.Option(
        "--folder",
        metavar="FOLDER",
        help="Folder of the seats' files; else SHUANGCHENG_REGISTRIES, else deploy/registries.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@dataclass(frozen=True)
class _Added:
    """A new seat, and what became of its topics."""

    file: Path
    registry: Registry
    broker: str
    topics: list[str] | None
    """The topics that were made; None: no broker answered."""


@registries.command()
def add(
    code: Annotated[str, typer.Argument(help="The registry's code, for example fs.")],
    taken: Annotated[str, typer.Option("--from", metavar="FILE|-", help="A seat's file. It is taken as it is.")] = "",
    zh: Annotated[str, typer.Option(help="The registry's name in Chinese.")] = "",
    en: Annotated[str, typer.Option(help="The registry's name in English.")] = "",
    division: Annotated[str, typer.Option(help="Division code of the registry's city, six digits (GB/T 2260).")] = "",
    capability: Annotated[str, typer.Option(help="Of the registry's ledger: idempotent, queryable or neither.")] = "",
    kind: Annotated[
        str, typer.Option(help="Kind of the registry's system. An adapter calls a system of kind rest_api.")
    ] = "",
    address: Annotated[str, typer.Option(help="Base URL of the registry's system, if an adapter calls it.")] = "",
    folder: Folder = "",
    kafka: Annotated[str, typer.Option(help="Broker, HOST:PORT; else the broker of compose on this machine.")] = "",
    replication: Annotated[int, typer.Option(min=1, help="Replicas of each partition of the registry's topics.")] = 1,
    as_json: Json = False,
) -> None:
    """Add a seat: check its file, make its topics, put the file into the folder, and print the next steps.

    If the file has a fault, or the folder has this seat already, the command writes nothing.

    Example: shuangcheng registries add fs --zh 佛山 --en Foshan --division 440600 --capability idempotent
    --kind rest_api --address http://hours.fs.example:8080
    """
    system = {"kind": kind} | ({"address": address} if address else {})
    fields = {
        "code": code,
        "names": {"zh": zh, "en": en},
        "division_code": division,
        "capability": capability,
        "system": system,
    }
    run(
        _add(code, _Source(taken, fields), Path(folder) if folder else folder_of_seats(), (kafka, replication), as_json)
    )


@dataclass(frozen=True)
class _Source:
    """Where the text of a seat's file comes from: a file, or the options."""

    taken: str
    fields: dict[str, Any]

    def text(self) -> str:
        """The text. Raises EnvironmentProblem when the file cannot be read, or options are missing."""
        options = {
            "--zh": self.fields["names"]["zh"],
            "--en": self.fields["names"]["en"],
            "--division": self.fields["division_code"],
            "--capability": self.fields["capability"],
            "--kind": self.fields["system"]["kind"],
        }
        if not self.taken:
            if missing := [name for name, value in options.items() if not value]:
                raise EnvironmentProblem(
                    f"missing: {', '.join(missing)}", todo="give these options, or a whole file by --from FILE"
                )
            # A new seat has limits from its first message on; its file may say others before it is given by --from.
            version = {"valid_from": datetime.now(UTC).isoformat(timespec="seconds"), "late_by": LateBy().model_dump()}
            return yaml.safe_dump(self.fields | {"policy": [version]}, allow_unicode=True, sort_keys=False)
        if given := [name for name, value in options.items() if value]:
            raise EnvironmentProblem(
                f"{', '.join(given)} beside --from", todo="give the file without these options, or the options alone"
            )
        try:
            return sys.stdin.read() if self.taken == "-" else Path(self.taken).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            problem = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise EnvironmentProblem(
                f"cannot read {self.taken}: {problem}", todo="give a seat's file that this user can read"
            ) from error


async def _add(code: str, source: _Source, folder: Path, broker: tuple[str, int], as_json: bool) -> int:
    file = require_new(folder, code)
    text = source.text()
    registry = parse_seat(text, source.taken or "the options", code)
    added = _Added(file, registry, *await _topics(code, *broker))
    write_new(file, text)
    if as_json:
        typer.echo(json.dumps(_document(added), indent=2, ensure_ascii=False))
    else:
        _print(added)
    return 0


async def _topics(code: str, address: str, replication: int) -> tuple[str, list[str] | None]:
    """Make the seat's topics. Gives the broker's address, and the topics that were not there; None: no broker."""
    told = address or os.environ.get("SHUANGCHENG_KAFKA", "")
    broker = told or f"127.0.0.1:{os.environ.get('SHUANGCHENG_KAFKA_PORT') or _PUBLISHED}"
    try:
        report = await ensure_topics(broker, [entry.of(code) for entry in TEMPLATES], replication=replication)
    except EnvironmentProblem:
        if told:
            raise
        return broker, None
    return broker, list(report.created)


def _next(added: _Added) -> list[tuple[str, str]]:
    """What an operator of compose does next: a sentence and a command each."""
    folder = added.file.parent.resolve()
    told = "" if folder == CONFIGURED.resolve() else f"SHUANGCHENG_SEATS={shlex.quote(str(folder))} "
    compose = f"{told}docker compose -f deploy/compose.yaml"
    code = added.registry.code
    steps = [
        (
            "make passwords, tokens, topics and databases, and start again what reads the seats",
            f"{compose} up -d --wait --wait-timeout 300 --force-recreate {' '.join(RECREATED)}",
        ),
        ("the token of the registry's app", f"{compose} run --rm -T secrets cat /secrets/operator/registry_{code}"),
    ]
    if added.registry.system.address is not None:
        token = f"{compose} run --rm -T secrets cat /secrets/operator/system_{code}"
        steps.append(("the token by which the registry's system knows its adapter", token))
    return steps


def _document(added: _Added) -> dict[str, Any]:
    steps = [{"what": what, "command": command} for what, command in _next(added)]
    return {"file": str(added.file), "topics": added.topics, "broker": added.broker, "next": steps}


def _print(added: _Added) -> None:
    typer.echo(f"added {added.file}: {_seat(added.registry)}")
    if added.topics is None:
        typer.echo(
            f"no broker answers at {added.broker}: the next step makes the topics (so does `shuangcheng topics`)"
        )
    else:
        typer.echo(f"{len(added.topics)} topics created at {added.broker}")
    for what, command in _next(added):
        typer.echo(f"next: {what}:\n  {command}")


def _seat(registry: Registry) -> str:
    names, system = registry.names, registry.system
    how = "reads its topics itself" if system.address is None else f"an adapter calls {system.address}"
    return f"{names.zh} ({names.en}), {registry.state}, {registry.capability}, {system.kind}, {how}"


@registries.command("list")
def list_(folder: Folder = "", as_json: Json = False) -> None:
    """List the seats of a folder."""
    run(_list(Path(folder) if folder else folder_of_seats(), as_json))


async def _list(folder: Path, as_json: bool) -> int:
    seats = {code: read_seat(folder / f"{code}.yaml") for code in _codes(folder)}
    if as_json:
        typer.echo(json.dumps({code: seat.model_dump(mode="json") for code, seat in seats.items()}, ensure_ascii=False))
        return 0
    for code, seat in seats.items():
        typer.echo(f"{code}  {_seat(seat)}")
    return 0


@registries.command()
def check(folder: Folder = "", as_json: Json = False) -> None:
    """Check all seats of a folder. For each wrong file, print the fault and its place in the file. For each seat that
    takes messages of any age, print which, and why."""
    run(_check(Path(folder) if folder else folder_of_seats(), as_json))


async def _check(folder: Path, as_json: bool) -> int:
    wrong: dict[str, str] = {}
    of_any_age: dict[str, str] = {}
    codes = _codes(folder)
    for code in codes:
        try:
            if said := read_seat(folder / f"{code}.yaml").of_any_age(datetime.now(UTC)):
                of_any_age[code] = said
        except EnvironmentProblem as error:
            wrong[code] = error.problem
    if as_json:
        typer.echo(json.dumps({"seats": codes, "wrong": wrong, "of_any_age": of_any_age}, ensure_ascii=False))
    else:
        for complaint in wrong.values():
            typer.echo(complaint)
        for code, said in of_any_age.items():
            typer.echo(f"{code}: {said}")
        typer.echo(f"{len(codes)} seats in {folder}, {len(wrong)} of them wrong")
    return 1 if wrong else 0


def _codes(folder: Path) -> list[str]:
    codes = configured_codes(folder)
    if not codes:
        raise EnvironmentProblem(
            f"there is no seat in {folder}", todo="give another --folder, or add a seat: registries add CODE"
        )
    return codes
