"""`shuangcheng upgrade`: what an operator does before and after a new version takes over the data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from deploy.cli.operator_client import address, operator_client, token
from deploy.cli.running import run
from deploy.cli.set_aside import Json, TokenFile
from deploy.linkage import CALLED, SERVICES, adapter
from deploy.operate import draining
from deploy.operate.backup.servers import Composed
from deploy.operate.upgrading import Checked, checked

__all__ = ["upgrade"]

_BRIDGE: Final = "bridge"

At = Annotated[
    list[str] | None,
    typer.Option("--at", metavar="SERVICE=URL", help="Base URL of a service or adapter that listens elsewhere."),
]
Compose = Annotated[Path, typer.Option(metavar="FILE", help="The compose file of the linkage.")]

upgrade = typer.Typer(
    name="upgrade",
    no_args_is_help=True,
    help="Bring a running linkage to rest, see whether a new version can go on with its data, and let it go on.",
    epilog="Exit status: 0 done; 1 not drained, or a database that cannot be upgraded; 2 wrong usage, or no answer.",
)


@upgrade.command()
def drain(
    token_file: TokenFile = "",
    at: At = None,
    seconds: Annotated[float, typer.Option(min=1, help="Give up after so many seconds.")] = 600,
    as_json: Json = False,
) -> None:
    """Pause all registries, and wait until no service has anything to read or to send. Nothing is lost.

    Run it while the version before runs. What registries say meanwhile stays in their logs until `upgrade resume`.

    Example: shuangcheng upgrade drain --token-file token
    """
    run(_drain(_addresses(at), token_file, seconds, as_json))


@upgrade.command()
def check(compose: Compose = Path("deploy/compose.yaml"), as_json: Json = False) -> None:
    """See whether the version of the compose file's image can go on with the databases. Changes nothing.

    Lists what is set aside and would no longer be in the contract. Run it after `build`, before `up`.

    Example: shuangcheng upgrade check --compose deploy/compose.yaml
    """
    run(_check(compose, as_json))


@upgrade.command()
def resume(token_file: TokenFile = "", at: At = None, as_json: Json = False) -> None:
    """Resume the registries that `upgrade drain` paused, and no others.

    Example: shuangcheng upgrade resume --token-file token
    """
    run(_resume(_addresses(at), token_file, as_json))


def _addresses(at: list[str] | None) -> dict[str, str]:
    given: dict[str, str] = {}
    for pair in at or []:
        name, equals, url = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"'{pair}' is not SERVICE=URL", param_hint="--at")
        given[name.replace("-", "_")] = address(name, url)
    return given


def _url(name: str, given: dict[str, str]) -> str:
    return given.get(name) or address(name, "")


async def _drain(given: dict[str, str], token_file: str, seconds: float, as_json: bool) -> int:
    async with operator_client(_url(_BRIDGE, given), token(token_file)) as bridge:
        registries = await bridge.get("/registries")
        paused = []
        for code, seat in registries.items():
            if seat.get("paused") is None and seat["state"] != "left":
                await bridge.post(f"/registries/{code}/pause", {"why": draining.WHY})
                paused.append(code)
    typer.echo(f"paused: {', '.join(paused) or 'none, all were paused'}", err=True)
    adapters = [adapter(code).name for code, seat in registries.items() if seat.get("system") in CALLED]
    urls = {name: _url(name, given) for name in (*SERVICES, *adapters)}
    await draining.drained(urls, lambda text: typer.echo(text, err=True), seconds=seconds)
    if as_json:
        typer.echo(json.dumps({"paused": paused, "drained": list(urls)}, indent=2))
    else:
        typer.echo(
            f"drained: {', '.join(urls)}\nnext: build, `shuangcheng upgrade check`, up, `shuangcheng upgrade resume`"
        )
    return 0


async def _check(compose: Path, as_json: bool) -> int:
    found = await checked(Composed(compose))
    if as_json:
        typer.echo(json.dumps([one.document() for one in found], indent=2, ensure_ascii=False))
    else:
        for one in found:
            _print(one)
    return 1 if any(one.obstacle for one in found) else 0


async def _resume(given: dict[str, str], token_file: str, as_json: bool) -> int:
    async with operator_client(_url(_BRIDGE, given), token(token_file)) as bridge:
        ours = draining.paused_by_us(await bridge.get("/registries"))
        for code in ours:
            await bridge.post(f"/registries/{code}/resume", {"why": "the upgrade is done"})
    typer.echo(
        json.dumps({"resumed": ours}) if as_json else f"resumed: {', '.join(ours) or 'none was paused by drain'}"
    )
    return 0


def _print(one: Checked) -> None:
    migrations = f"{len(one.pending)} migrations to apply" if one.pending else "nothing to migrate"
    typer.echo(f"{one.job}: {one.obstacle or migrations}")
    for row in one.set_aside:
        typer.echo(f"{'':>4}set aside, and no longer in the contract: {row['place']}: {row['detail']}")
