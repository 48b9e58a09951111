"""`shuangcheng transfers`: an operator looks at uncertain transfers, and settles them."""

from __future__ import annotations

import json
from asyncio import sleep as pause
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import typer

from contracts.reasons import words_of
from deploy.cli.operator_client import OperatorClient, address, operator_client, token
from deploy.cli.running import run
from deploy.cli.set_aside import Json, TokenFile

__all__ = ["Outcome", "settled", "transfers"]

_OPEN = ("queued", "withheld", "sent", "uncertain")
_LOOKS = 60
_LOOK_SECONDS = 0.5

Url = Annotated[str, typer.Option("--url", metavar="URL", help="Base URL of a bridge that listens elsewhere.")]

transfers = typer.Typer(
    name="transfers",
    no_args_is_help=True,
    help="Look at uncertain transfers, and settle them.",
    epilog="Exit status: 0 done; 1 the transfer was not settled, with the reason; 2 wrong usage, no answer, or a token"
    " that is refused.",
)


class Outcome(StrEnum):
    """What the home did with the transfer."""

    CREDITED = "credited"
    REFUSED = "refused"


@transfers.command("list")
def list_(
    url: Url = "",
    token_file: TokenFile = "",
    limit: Annotated[
        int, typer.Option(min=1, max=500, help="The greatest number of transfers that are shown, the oldest first.")
    ] = 100,
    as_json: Json = False,
) -> None:
    """Show uncertain transfers, and open transfers to a home whose file is gone.

    Example: shuangcheng transfers list --token-file token
    """
    run(_list(url, token_file, limit, as_json))


@transfers.command()
def settle(
    transfer: Annotated[UUID, typer.Argument(help="Id that `list` shows.")],
    outcome: Annotated[Outcome, typer.Option("--as", help="What the home says that it did.", show_default=False)],
    why: Annotated[
        str, typer.Option(metavar="TEXT", help="How you know it. It is kept on record.", show_default=False)
    ],
    url: Url = "",
    token_file: TokenFile = "",
    as_json: Json = False,
) -> None:
    """Settle a transfer as credited or as refused, once you have asked its home. The host is told.

    Look into the home's ledger first: `credited` if the posting stands there, `refused` if it does not and never will.

    Example: shuangcheng transfers settle 3ba79ecd-aabd-5ab0-ab9f-204b50e3d388 --as credited --why "seen in the ledger
    of sz" --token-file token
    """
    if not why.strip():
        raise typer.BadParameter("say how you know", param_hint="--why")
    run(settled(transfer, outcome, why, url, token_file, as_json))


def _bridge(url: str, token_file: str) -> AbstractAsyncContextManager[OperatorClient]:
    return operator_client(address("bridge", url), token(token_file))


async def _list(url: str, token_file: str, limit: int, as_json: bool) -> int:
    async with _bridge(url, token_file) as bridge:
        document = await bridge.get("/differences", limit=limit)
    if as_json:
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return 0
    for row in document["uncertain"]:
        _print(row)
    typer.echo(f"{document['total']} to settle")
    return 0


async def settled(transfer: UUID, outcome: Outcome, why: str, url: str, token_file: str, as_json: bool) -> int:
    """Send the order, and wait until it is decided. Gives the exit status."""
    async with _bridge(url, token_file) as bridge:
        found = await bridge.post(f"/transfers/{transfer}/settle", {"as": outcome.value, "why": why})
        for _ in range(_LOOKS):
            if found["state"] not in _OPEN:
                break
            await pause(_LOOK_SECONDS)
            found = await bridge.get(f"/transfers/{transfer}")
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _print(found)
    if found["state"] == outcome.value:
        return 0
    still = found["state"] in _OPEN
    typer.echo("not decided yet: see whether the bridge is ready" if still else "its home had answered before")
    return 1


def _print(row: Mapping[str, Any]) -> None:
    reason = f" ({row['reason']}: {words_of(row['reason'])[1]})" if row["reason"] else ""
    typer.echo(f"{row['transfer_id']}  {row['state']}{reason} since {row['since']}")
    typer.echo(
        f"{'':>36}  {row['host']} to {row['home']}, record {row['record_ref']} version {row['version']}:"
        f" {row['delta']:+d} minutes, {row['total']} in all, sent or asked {row['attempts']} times"
    )
