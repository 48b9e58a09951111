"""`shuangcheng set-aside`: what an operator does about messages that a service could not apply."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from contracts.reasons import words_of
from deploy.cli.operator_client import CHOICES, OperatorClient, address, operator_client, token
from deploy.cli.running import run

__all__ = ["set_aside"]

_AT_ONCE = 500
"""The most sequences, or rows of a page, that a service takes at once."""

Service = Annotated[str, typer.Option(help=f"Service, as compose publishes it: {CHOICES}.")]
Url = Annotated[str, typer.Option("--url", metavar="URL", help="Base URL of a service that listens elsewhere.")]
TokenFile = Annotated[
    str,
    typer.Option(
        metavar="FILE|-", envvar="SHUANGCHENG_OPERATOR_TOKEN_FILE", help="File with an operator's token; - reads it."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
After = Annotated[int, typer.Option(min=0, help="Only messages with a higher number.")]
Limit = Annotated[int, typer.Option(min=1, help="The greatest number of messages that are shown.")]
Numbers = Annotated[list[int] | None, typer.Argument(metavar="[NUMBER]...", help="Numbers that `list` shows.")]
AllOf = Annotated[
    str,
    typer.Option(metavar="REASON", help="In place of numbers: all messages that are set aside now for this reason."),
]
At = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TOPIC/PARTITION/OFFSET",
        help="In place of numbers: the message from this place of the log. A restored database has other numbers, and "
        "the same places.",
    ),
]


@dataclass(frozen=True)
class Chosen:
    """The chosen messages: by their numbers, by a reason, or by their places in the log."""

    numbers: list[int]
    all_of: str
    at: list[str]

    def __str__(self) -> str:
        return f"as {self.all_of}" if self.all_of else f"from {', '.join(self.at)}"


@dataclass(frozen=True)
class Place:
    """The chosen service, and the file with the token. The file is read when the token is needed, so that errors have
    one form."""

    service: str
    url: str
    token_file: str

    def client(self) -> AbstractAsyncContextManager[OperatorClient]:
        """A client of the chosen service. Raises EnvironmentProblem."""
        return operator_client(address(self.service, self.url), token(self.token_file))


set_aside = typer.Typer(
    name="set-aside",
    no_args_is_help=True,
    help="Look at messages that a service could not apply, and release or discard them.",
    epilog="Exit status: 0 done; 1 some messages stay set aside, with the reason of each; 2 wrong usage, no answer, or "
    "a token that is refused.",
)


@set_aside.command("list")
def list_(
    service: Service = "",
    url: Url = "",
    token_file: TokenFile = "",
    reason: Annotated[str, typer.Option(help="Only messages that are set aside for this reason.")] = "",
    after: After = 0,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """Show messages set aside, in order: the place of each in the log, and why it is not applied.

    Example: shuangcheng set-aside list --service bridge --token-file token --reason raised
    """
    run(_list(Place(service, url, token_file), reason or None, after, limit, as_json))


@set_aside.command()
def discarded(
    service: Service = "",
    url: Url = "",
    token_file: TokenFile = "",
    after: After = 0,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """Show what was discarded: by whom, when and why."""
    run(_discarded(Place(service, url, token_file), after, limit, as_json))


@set_aside.command()
def release(
    numbers: Numbers = None,
    all_of: AllOf = "",
    at: At = None,
    service: Service = "",
    url: Url = "",
    token_file: TokenFile = "",
    as_json: Json = False,
) -> None:
    """Let messages be decided again, in order, and then the messages behind them. The rules hold for them as before.

    Example: shuangcheng set-aside release 17 18 --service bridge --token-file token
    """
    run(_act(Place(service, url, token_file), "release", _chosen(numbers, all_of, at), {}, as_json))


@set_aside.command()
def discard(
    why: Annotated[
        str, typer.Option(metavar="TEXT", help="Why they are given up. It is kept on record.", show_default=False)
    ],
    numbers: Numbers = None,
    all_of: AllOf = "",
    at: At = None,
    service: Service = "",
    url: Url = "",
    token_file: TokenFile = "",
    as_json: Json = False,
) -> None:
    """Give messages up for good, on record. The messages behind them go on.

    Example: shuangcheng set-aside discard 17 --why "a test event of the sender" --service bridge --token-file token
    """
    if not why.strip():
        raise typer.BadParameter("say why", param_hint="--why")
    run(_act(Place(service, url, token_file), "discard", _chosen(numbers, all_of, at), {"why": why}, as_json))


async def _list(place: Place, reason: str | None, after: int, limit: int, as_json: bool) -> int:
    async with place.client() as service:
        document = await _page(service, "/operations/set-aside", after, limit, reason=reason)
    if as_json:
        return _print_json(document)
    for row in document["messages"]:
        _print_message(row, f"{row['attempts']} attempts")
    by_reason = [f"{count} {name}" for name, count in document["summary"].items()]
    typer.echo(f"set aside: {', '.join(by_reason) or 'nothing'}")
    _print_next(document)
    return 0


async def _discarded(place: Place, after: int, limit: int, as_json: bool) -> int:
    async with place.client() as service:
        document = await _page(service, "/operations/discarded", after, limit)
    if as_json:
        return _print_json(document)
    for row in document["messages"]:
        _print_message(row, f"discarded by {row['discarded_by']} at {row['discarded_at']}: {row['why']}")
    typer.echo(f"{len(document['messages'])} shown")
    _print_next(document)
    return 0


async def _act(place: Place, what: str, chosen: Chosen, more: Mapping[str, str], as_json: bool) -> int:
    told: dict[str, list[Any]] = {}
    async with place.client() as service:
        numbers = chosen.numbers or await _all_of(service, chosen)
        for start in range(0, len(numbers), _AT_ONCE):
            order = {"sequences": numbers[start : start + _AT_ONCE], **more}
            for name, rows in (await service.post(f"/operations/set-aside/{what}", order)).items():
                told.setdefault(name, []).extend(rows)
    kept = told.get("kept", [])
    if as_json:
        _print_json(told)
    else:
        for row in kept:
            typer.echo(f"{row['seq']:>8}  kept: {_printable(row['detail'])} ({row['error']})")
        done = [f"{len(rows)} {name}" for name, rows in told.items()]
        typer.echo(", ".join(done) or f"nothing is set aside {chosen}")
    return 1 if kept else 0


async def _page(service: OperatorClient, path: str, after: int, limit: int, **more: str | None) -> dict[str, Any]:
    """This number of rows as one document, from as many pages as are needed."""
    messages: list[Any] = []
    while True:
        wanted = min(_AT_ONCE, limit - len(messages))
        document = await service.get(path, after=after, limit=wanted, **more)
        messages += document["messages"]
        if document["next"] is None or len(messages) >= limit:
            return document | {"messages": messages}
        after = document["next"]


async def _all_of(service: OperatorClient, chosen: Chosen) -> list[int]:
    """The numbers of all messages that are now set aside for a reason, or from a place. Later messages are not among
    them."""
    document = await _page(service, "/operations/set-aside", 0, sys.maxsize, reason=chosen.all_of or None)
    return [row["seq"] for row in document["messages"] if not chosen.at or _place(row) in chosen.at]


def _chosen(numbers: list[int] | None, all_of: str, at: list[str] | None) -> Chosen:
    if sum(map(bool, (numbers, all_of, at))) != 1:
        raise typer.BadParameter("give numbers, or --all-of REASON, or --at PLACE", param_hint="NUMBER")
    return Chosen(numbers or [], all_of, at or [])


def _place(row: Mapping[str, Any]) -> str:
    return f"{row['topic']}/{row['partition']}/{row['offset']}"


def _print_message(row: Mapping[str, Any], more: str) -> None:
    place = _place(row)
    if row["last_offset"] is not None and row["last_offset"] != row["offset"]:
        place += f" to {row['last_offset']}"
    size, digest = row["size"], row["digest"]
    part = None if size is None else f"only the first bytes of {size} are kept; digest of all {digest}"
    typer.echo(f"{row['seq']:>8}  {row['reason']:<12}  {place}  received {row['received_at']}")
    for text in (words_of(row["reason"])[1], row["subject"], row["detail"], part, more):
        if text:
            typer.echo(f"{'':>8}  {_printable(text)}")


def _print_next(document: Mapping[str, Any]) -> None:
    if document["next"] is not None:
        typer.echo(f"there are more: --after {document['next']}")


def _print_json(document: Mapping[str, Any]) -> int:
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    return 0


def _printable(text: str) -> str:
    """A stranger's text without the control characters that a terminal would obey."""
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text)
