"""`shuangcheng doctor`: whether this machine can run the demo, the tests and each kind of broker, and which seats of an
operation take messages of any age."""

from __future__ import annotations

import asyncio
import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.running import run
from deploy.operate.brokers import offers_idempotence, parse_address, wait_until_answering
from deploy.operate.errors import LocalError
from deploy.operate.ports import free_port
from deploy.operate.registries import configured_codes, folder_of_seats, read_seat
from deploy.tryout.local import broker_docker, broker_embedded, broker_java, folders, ports, postgres_embedded
from deploy.tryout.local.servers import postgres


@dataclass(frozen=True)
class Finding:
    """The result of one check. `needed`: nothing runs here without it. Otherwise it only makes one more kind of broker
    possible, or is about a seat."""

    subject: str
    ok: bool
    needed: bool
    says: str


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False) -> None:
    """Check whether this machine can run the demo, the tests and each kind of broker. Status 2: the demo cannot run.

    Also say which seats (of SHUANGCHENG_REGISTRIES, else deploy/registries) take messages of any age.
    """
    run(_doctor(as_json))


async def _doctor(as_json: bool) -> int:
    findings = await examine()
    lacking = [finding for finding in findings if finding.needed and not finding.ok]
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
    else:
        for finding in findings:
            mark = "ok     " if finding.ok else ("MISSING" if finding.needed else "no     ")
            typer.echo(f"{mark} {finding.subject:<18} {finding.says}")
        bad = "the demo cannot run here: mend each line that says MISSING, then run `shuangcheng doctor` again"
        typer.echo(bad if lacking else "the demo can run here")
    return 2 if lacking else 0


async def examine() -> list[Finding]:
    """Check everything, in the order in which a launch needs it."""
    findings = [
        Finding("python", True, True, f"{platform.python_version()} on {platform.machine()}"),
        _probe("folder", _folder, needed=True),
        _probe("ports", lambda: f"127.0.0.1:{ports.require_free(free_port())} is free", needed=True),
    ]
    brokers = [
        _missing("broker embedded", broker_embedded.missing, "ready"),
        _missing("broker java", broker_java.missing, "Java and Kafka's jars or Maven are there"),
        await asyncio.to_thread(_missing, "broker docker", broker_docker.missing, "engine and image are there"),
    ]
    given = os.environ.get("SHUANGCHENG_BROKER", "")
    if ":" in given:
        brokers.append(await _address(given))
    if not any(finding.ok for finding in brokers):
        brokers = [Finding(f.subject, f.ok, True, f.says) for f in brokers]
    return [*findings, *brokers, await _database(), *_seats()]


def _seats() -> list[Finding]:
    folder = folder_of_seats()
    return [_seat(folder / f"{code}.yaml") for code in configured_codes(folder)]


def _seat(file: Path) -> Finding:
    try:
        free = read_seat(file).of_any_age(datetime.now(UTC))
    except LocalError as error:
        return Finding(f"seat {file.stem}", False, False, error.problem)
    return Finding(f"seat {file.stem}", free is None, False, free or "the age of its messages is limited")


def _folder() -> str:
    folder = folders.runs_folder()
    folders.check_room(folder)
    return f"{folder}, cache in {folders.cache_folder()}"


def _probe(subject: str, look: Callable[[], str], *, needed: bool) -> Finding:
    try:
        return Finding(subject, True, needed, look())
    except LocalError as error:
        return Finding(subject, False, needed, f"{error.problem}. {error.todo}")


def _missing(subject: str, look: Callable[[], str | None], good: str) -> Finding:
    try:
        reason = look()
    except LocalError as error:  # its cache folder has a finding of its own
        reason = error.problem
    return Finding(subject, reason is None, False, reason or good)


async def _address(address: str) -> Finding:
    try:
        parse_address(address)
        await wait_until_answering(address, seconds=3.0)
    except LocalError as error:
        return Finding("broker address", False, True, f"{error.problem}. {error.todo}")
    idempotent = await offers_idempotence(address)
    return Finding("broker address", True, False, f"{address} answers, idempotence: {'yes' if idempotent else 'no'}")


async def _database() -> Finding:
    if not os.environ.get("SHUANGCHENG_POSTGRES"):
        reason = postgres_embedded.missing()
        return Finding("database", reason is None, True, reason or "embedded PostgreSQL")
    try:
        server = postgres(folders.runs_folder())
        await server.start()
        await server.stop()
    except LocalError as error:
        return Finding("database", False, True, f"{error.problem}. {error.todo}")
    return Finding("database", True, True, server.describe())
