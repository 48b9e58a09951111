"""`shuangcheng audit`: whether a linkage kept its promises, judged from its whole log and its audit views."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from deploy.addresses import require_address, require_brokers
from deploy.cli.running import run
from deploy.operate.errors import EnvironmentProblem
from deploy.operate.registries import configured_codes

if TYPE_CHECKING:
    from deploy.audit import Report, World

__all__ = ["audit"]

_AGAIN_SECONDS = 1.0
_UNDER_WAY = "I16"
"""The finding that something is still on its way: then the next look may find another state."""

Kafka = Annotated[
    str, typer.Option(metavar="HOST:PORT", envvar="SHUANGCHENG_KAFKA", show_default=False, help="The broker.")
]
Server = Annotated[
    str,
    typer.Option(
        "--postgres", metavar="DSN", envvar="SHUANGCHENG_POSTGRES", show_default=False,
        help="A server, with a role that may connect to the linkage's databases. Only audit views are read.",
    ),
]  # fmt: skip
Databases = Annotated[
    str,
    typer.Option(
        metavar="JSON|FILE", show_default=False,
        help="Instead of a server: an address for each database, as text or in a file; or a report of `demo --json`.",
    ),
]  # fmt: skip
Registries = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", envvar="SHUANGCHENG_REGISTRIES", show_default=False,
        help="The folder of the registries' files; else the registries that have a database on the server.",
    ),
]  # fmt: skip
Wait = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="Look again for so long while messages are on their way.")
]
UnderWay = Annotated[bool, typer.Option("--under-way", help="Accept messages that are still on their way.")]
DayCap = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="MINUTES",
        envvar="SHUANGCHENG_DAY_CAP_MINUTES",
        help="The cap of a person's day, as the services have it.",
    ),
]
Canaries = Annotated[
    list[str] | None,
    typer.Option("--canary", metavar="WORD", help="A word that may be on topics of volunteers alone."),
]
Save = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        show_default=False,
        help="Write the log and the views to this file. The file has refs of people.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")]


class _JudgedBy(NamedTuple):
    """How long something may still move, and by which values a look is judged."""

    wait: float
    drained: bool
    day_cap: int
    canaries: list[str]


class _Asked(NamedTuple):
    """What is looked at, and how it is judged."""

    kafka: str
    server: str
    databases: dict[str, str]
    registries: list[str] | None
    save: Path | None
    judged_by: _JudgedBy


def audit(
    kafka: Kafka = "",
    postgres: Server = "",
    databases: Databases = "",
    registries: Registries = None,
    wait: Wait = 60,
    under_way: UnderWay = False,
    day_cap: DayCap = 480,
    canary: Canaries = None,
    save: Save = None,
    as_json: Json = False,
) -> None:
    """Judge a linkage from outside: all topics from their first message, and the audit views of all databases.

    The audit changes nothing, and asks no service. Run it at a quiet hour: it waits until no message is on its way. The
    log must be whole, and topics of registries keep fourteen days.

    Example: shuangcheng audit --kafka 127.0.0.1:9092 --postgres postgresql://audit:…@127.0.0.1/postgres

    Status 0: all promises were kept. 1: a promise was broken; each finding says where, and what to do. 2: the audit
    cannot read the log or a database.
    """
    judged_by = _JudgedBy(wait, not under_way, day_cap, canary or [])
    run(_audit(partial(_asked, kafka, postgres, databases, registries, save, judged_by), as_json))


def _asked(
    kafka: str, postgres: str, databases: str, registries: Path | None, save: Path | None, judged_by: _JudgedBy
) -> _Asked:
    if not postgres and not databases:
        postgres = _of_secrets()
    document = _document(databases) if databases else {}
    named = document.get("databases", document)
    # A report of the demo names its own broker and registries, whatever stands in the environment of its reader.
    kafka = document.get("broker", {}).get("address", kafka) if named is not document else kafka
    if not kafka:
        raise typer.BadParameter("give --kafka HOST:PORT", param_hint="--kafka")
    if not postgres and not named:
        raise typer.BadParameter("give --postgres DSN, or --databases JSON", param_hint="--postgres")
    try:
        require_brokers(kafka)
        for dsn in named.values() if named else (postgres,):
            require_address(dsn)
    except ValueError as error:
        raise EnvironmentProblem(
            f"an address {error}", todo="give HOST:PORT for Kafka, and a DSN for PostgreSQL"
        ) from None
    codes = configured_codes(registries) if registries is not None and named is document else None
    if save is not None and not os.access(save if save.exists() else save.absolute().parent, os.W_OK):
        raise EnvironmentProblem(f"cannot write {save}", todo="give --save a file in a folder that can be written")
    return _Asked(kafka, postgres, named, codes, save, judged_by)


def _of_secrets() -> str:
    """The address in the folder of this role's secrets, as compose gives it; empty without such a file."""
    file = Path(os.environ.get("SHUANGCHENG_SECRETS", "")) / "shuangcheng_postgres"
    try:
        return file.read_text(encoding="ascii").strip() if "SHUANGCHENG_SECRETS" in os.environ else ""
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise EnvironmentProblem(f"cannot read {file}: {error.strerror}", todo="mount it for this user") from error


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text if text.lstrip().startswith("{") else Path(text).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EnvironmentProblem(
            f"--databases: cannot read {text[:80]!r}: {type(error).__name__}",
            todo='give {"identity": "postgresql://…", …}, or the name of a file with it',
        ) from None
    named = found.get("databases", found) if isinstance(found, dict) else None
    if not isinstance(named, dict) or not all(isinstance(dsn, str) for dsn in named.values()):
        raise EnvironmentProblem(
            "--databases is no JSON object of addresses", todo="give an address for each database's name"
        )
    return dict(found)


async def _audit(asking: Callable[[], _Asked], as_json: bool) -> int:
    from deploy.audit import GatherError

    asked = asking()
    gc.disable()  # all data stay to the end: collecting would find nothing, and take as long as decoding
    try:
        world, report = await _settled(asked)
    except GatherError as error:
        raise EnvironmentProblem(f"cannot look: {error}", todo=error.todo) from error
    if asked.save is not None:
        await asyncio.to_thread(world.save, asked.save)
    if as_json:
        typer.echo(json.dumps(report.document(), indent=2, ensure_ascii=False))
    else:
        typer.echo(report.text())
        typer.echo("all promises were kept" if report.held else f"broken: {', '.join(sorted(report.broken))}")
    return 0 if report.held else 1


async def _settled(asked: _Asked) -> tuple[World, Report]:
    """The verdict that the next look confirms: of a linkage that moves, databases are read at several moments. While
    something is on its way, look again until the time is up."""
    from deploy.audit import check, databases_on, gather

    loop = asyncio.get_running_loop()
    by = asked.judged_by
    end = loop.time() + by.wait
    dsns = asked.databases or await databases_on(asked.server)
    before: Report | None = None
    while True:
        world = await gather(asked.kafka, dsns, asked.registries)
        report = check(world, drained=by.drained, day_cap=by.day_cap, canaries=by.canaries)
        still = before is not None and before.messages == report.messages and _UNDER_WAY not in report.broken
        if report.held or still or loop.time() >= end:
            return world, report
        print(f"{len(report.broken)} promises do not hold yet; the audit looks again", file=sys.stderr)
        before = report
        del world
        gc.collect()
        await asyncio.sleep(_AGAIN_SECONDS)
