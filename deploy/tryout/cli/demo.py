"""`shuangcheng demo`: a weekend and a summer through a whole linkage on this machine, and whether the books agree."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.running import run
from deploy.operate.errors import EnvironmentProblem, LocalError
from deploy.operate.lines import Letter
from deploy.tryout.demo.play import SETTINGS, WEEKEND, Play, weekend
from deploy.tryout.demo.quiet import Stuck
from deploy.tryout.demo.report import Report
from deploy.tryout.demo.screen import Screen
from deploy.tryout.demo.showing import Timeline, show_report, show_timeline
from deploy.tryout.local.options import StackOptions
from deploy.tryout.local.processes import run_in_shell
from deploy.tryout.local.specs import KINDS
from deploy.tryout.local.stack import Stack

__all__ = ["Wishes", "conclude", "demo", "perform"]


@dataclass(frozen=True)
class Wishes:
    """The options of the command."""

    json_file: Path | None = None
    seed: int = 1
    people: int = 2000
    calm: bool = False
    host_kind: str = "kafka_native"
    home_kind: str = "rest_api"
    broker: str | None = None
    then: str | None = None
    instances: int = 1
    weekend: Path = WEEKEND


def demo(
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the report to this file.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the summer; another seed generates another summer.")] = 1,
    people: Annotated[int, typer.Option(min=1, max=100_000, help="Linked volunteers, in both directions.")] = 2000,
    calm: Annotated[bool, typer.Option("--calm", help="Kill no service and lose no answer.")] = False,
    host_kind: Annotated[str, typer.Option(help=f"Kind of gz: {', '.join(KINDS)}.")] = "kafka_native",
    home_kind: Annotated[str, typer.Option(help=f"Kind of sz: {', '.join(KINDS)}.")] = "rest_api",
    broker: Annotated[
        str | None,
        typer.Option(help="auto, embedded, java, docker or HOST:PORT; else SHUANGCHENG_BROKER, else embedded."),
    ] = None,
    then: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND", help="Run this command while the linkage is up; SHUANGCHENG_REPORT names the report."
        ),
    ] = None,
    instances: Annotated[int, typer.Option(min=1, max=4, help="Processes of each service.")] = 1,
) -> None:
    """Send the weekend of deploy/examples, then a summer of generated people, and compare all books.

    Status 0: the books agree (and COMMAND succeeded). 1: the books do not agree, or COMMAND failed. 2: this machine or
    the options do not allow the demo.
    """
    run(perform(Wishes(json_file, seed, people, calm, host_kind, home_kind, broker, then, instances)))


async def perform(wishes: Wishes) -> int:
    """Run the demo and give its exit status. If the status is not 0, logs, books and report stay."""
    begun = time.monotonic()
    letters = weekend(wishes.weekend)
    if wishes.json_file is not None:
        await asyncio.to_thread(_make_way, wishes.json_file)
    options = StackOptions(
        kinds={"gz": wishes.host_kind, "sz": wishes.home_kind},
        broker=wishes.broker,
        instances=wishes.instances,
        settings=SETTINGS,
        one_process=wishes.calm and wishes.instances == 1,  # else it kills processes, or shows several of each service
    )
    with Screen() as screen:
        async with Stack(options, progress=screen.starting) as stack:
            screen.say(f"broker {stack.broker.describe()}, {stack.postgres.describe()}")
            screen.say(f"gz is {wishes.host_kind}, sz is {wishes.home_kind}; logs in {stack.folder / 'logs'}")
            report, page = await _played(Play(stack, screen, wishes.seed, wishes.people, wishes.calm, begun), letters)
            screen.rest()
            if page is not None:
                show_timeline(screen.console, "夏小雨 (home sz), as her home's app shows it; times in Shanghai", page)
            show_report(screen.console, report)
            if not report.document["balanced"]:
                _keep(stack, screen)  # now: a user may look around with --then for long, and end it with Ctrl-C
            status = await conclude(wishes, report, stack.folder, screen)
            if status and report.document["balanced"]:
                _keep(stack, screen)
            return status


async def _played(play: Play, letters: list[Letter]) -> tuple[Report, Timeline | None]:
    try:
        async with play:
            await play.perform(letters)
            return await play.report(), await play.timeline()
    except Stuck as stuck:
        raise LocalError(
            f"the demo is stuck: {stuck}", todo="see the logs of the processes that are named here"
        ) from stuck


def _keep(stack: Stack, screen: Screen) -> None:
    books = stack.keep()
    screen.say(f"logs stay in {stack.folder / 'logs'}")
    screen.say(f"books stay as {books}")


async def conclude(wishes: Wishes, report: Report, folder: Path, screen: Screen) -> int:
    """Write the report, and run the command of ``--then`` while the linkage is up. The command ends with the demo at
    the latest."""
    path = (wishes.json_file or folder / "report.json").absolute()
    await asyncio.to_thread(_write, path, report)
    status = 0 if report.document["balanced"] else 1
    if status or wishes.json_file is not None:
        screen.say(f"the report is in {path}")
    if wishes.then is None:
        return status
    code = await run_in_shell(wishes.then, os.environ | {"SHUANGCHENG_REPORT": str(path)})
    screen.say(f"the command of --then ended with status {code}")
    return status or (1 if code else 0)


def _make_way(path: Path) -> None:
    """Remove the report of an earlier run, so that nobody takes it for this run's. Raises EnvironmentProblem when no
    report can be written there."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not path.exists() or path.is_file():
            _part(path).touch()
            _part(path).unlink()
            path.unlink(missing_ok=True)
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot write {path}: {error.strerror}", todo="give --json a file in a folder that can be written"
        ) from error


def _write(path: Path, report: Report) -> None:
    """Write the whole report or none. Only a pipe or a terminal may get a part."""
    text = json.dumps(report.document, indent=2, ensure_ascii=False) + "\n"
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    part = _part(path)
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")
