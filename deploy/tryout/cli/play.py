"""`shuangcheng play`: the pages of both cities and of the operator here, with the weekend loaded, for people."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from deploy.cli.running import run
from deploy.linkage import OPERATOR
from deploy.operate.errors import ProcessFailed
from deploy.operate.publishing import Publisher
from deploy.tryout.cli.up import Broker, Kind, Port, addresses, say, until_stopped
from deploy.tryout.demo.play import weekend
from deploy.tryout.demo.soon import soon
from deploy.tryout.local.options import StackOptions
from deploy.tryout.local.stack import Stack


def play(
    broker: Broker = None,
    host_kind: Kind = "kafka_native",
    home_kind: Kind = "rest_api",
    first_port: Port = None,
    processes: Annotated[
        bool,
        typer.Option("--processes", help="Run each part in its own process, and start a process again when it dies."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print addresses, databases and tokens as JSON.")] = False,
) -> None:
    """Start a linkage whose registries have pages, and print the addresses of the pages. Ctrl-C stops the linkage.

    With the printed passcode you sign in as any volunteer or organiser, and with the token as an operator. When the
    linkage stops, its data are deleted.
    """
    options = StackOptions(
        kinds={"gz": host_kind, "sz": home_kind},
        broker=broker,
        first_http_port=first_port,
        one_process=not processes,
        start_again=processes,
        pages=True,
    )
    run(_play(options, as_json))


def _died(failure: ProcessFailed) -> None:
    say(f"{failure.problem}; it is started again. {failure.todo}")


async def _play(options: StackOptions, as_json: bool) -> int:
    async with Stack(options, progress=say, on_death=_died if options.start_again else lambda failure: None) as stack:
        say("loading the weekend, and shifts that begin soon")
        async with Publisher(stack.broker.address) as publisher:
            await publisher.publish(weekend())
            await publisher.publish(soon(datetime.now(UTC)))
        if as_json:
            typer.echo(json.dumps(addresses(stack) | {"passcode": stack.passcode}, indent=2))
        else:
            for code in options.kinds:
                typer.echo(f"{code}         {stack.url(f'sandbox_{code}')}")
            typer.echo(f"passcode   {stack.passcode}")
            typer.echo(f"operator   {stack.url(OPERATOR)}")
            typer.echo(f"token      {stack.tokens['operator']}")
        await until_stopped(stack)
    return 0
