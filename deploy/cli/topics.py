"""`shuangcheng topics`: make the topics of the contracts on a broker."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from contracts.topics import all_topics
from deploy.cli.running import run
from deploy.operate.brokers import parse_address
from deploy.operate.errors import EnvironmentProblem
from deploy.operate.registries import configured_codes, folder_of_seats
from deploy.operate.topics import ensure_topics


def topics(
    kafka: Annotated[str, typer.Option(help="Broker, HOST:PORT.", envvar="SHUANGCHENG_KAFKA", show_default=False)],
    registries: Annotated[
        str,
        typer.Option(
            help="The registries' codes, with commas between them; else all configured registries.", show_default=False
        ),
    ] = "",
    replication: Annotated[int, typer.Option(min=1, help="Replicas of each partition.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Create the topics that are missing. Give the other topics the contract's limit for batches and its kind of
    timestamp. If a topic has another number of partitions than its entry, the command fails and changes nothing.

    Example: shuangcheng topics --kafka 127.0.0.1:9092 --registries gz,sz
    """
    run(_topics(kafka, registries, replication, as_json))


async def _topics(kafka: str, registries: str, replication: int, as_json: bool) -> int:
    parse_address(kafka)
    report = await ensure_topics(kafka, all_topics(_codes(registries)), replication=replication)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(report), indent=2))
        return 0
    for name in report.created:
        typer.echo(f"created  {name}")
    for name in report.altered:
        typer.echo(f"altered  {name}")
    typer.echo(f"{len(report.created)} topics created, {len(report.present)} topics were there already")
    return 0


def _codes(registries: str) -> list[str]:
    if registries:
        return [code.strip() for code in registries.split(",") if code.strip()]
    folder = folder_of_seats()
    codes = configured_codes(folder)
    if not codes:
        raise EnvironmentProblem(f"no registry is configured in {folder}", todo="give --registries, for example gz,sz")
    return codes
