"""`shuangcheng up`: keep a whole linkage running on this machine."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Annotated

import typer

from deploy.cli.running import run
from deploy.tryout.local.options import StackOptions
from deploy.tryout.local.specs import KINDS
from deploy.tryout.local.stack import Stack

Broker = Annotated[
    str | None,
    typer.Option(help="auto, embedded, java, docker or HOST:PORT; else SHUANGCHENG_BROKER, else embedded."),
]
Kind = Annotated[str, typer.Option(help=f"Kind of system: {', '.join(KINDS)}.")]
Port = Annotated[
    int | None, typer.Option(min=1024, max=65000, help="The first HTTP port; the other ports follow. Else free ports.")
]


def up(
    broker: Broker = None,
    host_kind: Kind = "kafka_native",
    home_kind: Kind = "rest_api",
    instances: Annotated[int, typer.Option(min=1, max=8, help="Processes of each service.")] = 1,
    first_port: Port = None,
    one_process: Annotated[
        bool,
        typer.Option(
            "--one-process", help="Run all services, adapters and sandboxes in one process. It is ready sooner."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print addresses, databases and tokens as JSON.")] = False,
) -> None:
    """Start broker, PostgreSQL, services and two sandbox registries (gz, sz), and keep them up until Ctrl-C.

    When the linkage stops, its data are deleted. Use the linkage to look around, and to test a system against it.
    """
    options = StackOptions(
        kinds={"gz": host_kind, "sz": home_kind},
        broker=broker,
        instances=instances,
        first_http_port=first_port,
        one_process=one_process,
    )
    run(_up(options, as_json))


async def _up(options: StackOptions, as_json: bool) -> int:
    async with Stack(options, progress=say, on_death=lambda failure: None) as stack:
        if as_json:
            typer.echo(json.dumps(addresses(stack), indent=2))
        else:
            _print_addresses(stack)
        await until_stopped(stack)
    return 0


async def until_stopped(stack: Stack) -> None:
    """Keep the linkage up until Ctrl-C. Raises ProcessFailed when a process has died."""
    say("ready; Ctrl-C stops everything")
    try:
        await stack.wait()
    except asyncio.CancelledError:
        say("stopping")  # asked for, so no failure


def addresses(stack: Stack) -> dict[str, object]:
    """The addresses of all parts of a running stack, as plain data."""
    broker = stack.broker
    return {
        "broker": {"kind": broker.kind, "version": broker.version, "address": broker.address},
        "processes": {name: {"url": stack.url(name), "pid": stack.process_of(name).pid} for name in stack.specs},
        "databases": stack.dsn,
        "tokens": stack.tokens,
        "folder": str(stack.folder),
    }


def _print_addresses(stack: Stack) -> None:
    typer.echo(f"broker     {stack.broker.describe()}  ({stack.broker_reason})")
    typer.echo(f"database   {stack.postgres.describe()}")
    typer.echo(f"logs       {stack.folder / 'logs'}")
    for name in sorted(stack.specs):
        typer.echo(f"{name:<16} {stack.url(name)}   {stack.dsn[stack.specs[name].database]}")
    for bearer, token in stack.tokens.items():
        typer.echo(f"token      {bearer:<14} {token}")


def say(step: str) -> None:
    """Tell the progress on standard error, apart from the command's output."""
    print(step, file=sys.stderr)
