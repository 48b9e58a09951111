"""An operator's requests to one service over HTTP: its address, the token, and errors that say what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from contracts.urls import require_url
from deploy.asking import Asking, NoAnswer, Refused, asking
from deploy.linkage import ADAPTERS, PORTS, SERVICES, container_of
from deploy.operate.errors import EnvironmentProblem, LocalError

__all__ = ["CHOICES", "OperatorClient", "address", "operator_client", "token"]

_SECONDS = 30.0
CHOICES: Final = f"{', '.join(SERVICES)}, adapter_CODE"
"""The services that answer operators, as commands name them."""


@dataclass(frozen=True)
class _Said:
    """What an HTTP status means, and what the operator can do about it."""

    problem: str
    todo: str


_STATUSES = {
    401: _Said("does not know this token", "give --token-file a file with an operator's token of this linkage"),
    403: _Said("does not take this token", "give an operator's token: a registry's app may not do this"),
    404: _Said("has no such page", "see that --url is that of a service or adapter of the linkage, of this version"),
    503: _Said("cannot answer now", "see whether its database runs, then ask again"),
}


class OperatorClient:
    """Asks one service. Every error is a LocalError."""

    def __init__(self, url: str, service: Asking) -> None:
        self._url = url
        self._service = service

    async def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        """The service's answer to a question. Parameters that are None are left out."""
        return await self._answer(self._service.get(self._url + path, parameters))

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The service's answer to an order."""
        return await self._answer(self._service.post(self._url + path, body), order=True)

    async def _answer(self, asked: Awaitable[Any], *, order: bool = False) -> dict[str, Any]:
        try:
            document = await asked
        except Refused as error:
            if not isinstance(error.document, dict):
                raise self._stranger(error.status) from error
            raise _refusal(self._url, error) from error
        except NoAnswer as error:
            if error.status is not None:
                raise self._stranger(error.status) from error
            if order and error.sent:
                raise LocalError(
                    f"the service at {self._url} was told, and its answer did not come: {error}",
                    todo="it may have done it: look before you repeat the command",
                ) from error
            raise EnvironmentProblem(
                f"no service answers at {self._url}: {error}",
                todo="see whether it runs, and give its address with --service or --url",
            ) from error
        if not isinstance(document, dict):
            raise self._stranger(httpx.codes.OK)
        return document

    def _stranger(self, status: int) -> EnvironmentProblem:
        return EnvironmentProblem(
            f"what answers at {self._url} is no service of a linkage (status {status})",
            todo="give the address of a service or adapter with --url",
        )


@asynccontextmanager
async def operator_client(url: str, bearer: str) -> AsyncIterator[OperatorClient]:
    """A client of the service at this address, with an operator's token."""
    async with asking(_SECONDS, bearer) as service:
        yield OperatorClient(url, service)


def _refusal(url: str, refused: Refused) -> LocalError:
    status, detail = refused.status, refused.detail
    said = _STATUSES.get(status)
    if said is not None:
        return EnvironmentProblem(f"the service at {url} {said.problem}: {detail}", todo=said.todo)
    if status == httpx.codes.CONFLICT:
        return LocalError(f"the service at {url} does not do this: {detail}", todo="look again: it may have moved")
    if status == httpx.codes.UNPROCESSABLE_ENTITY:
        return EnvironmentProblem(f"the service at {url} does not take this: {detail}", todo="see --help")
    return LocalError(f"the service at {url} failed: {detail}", todo="see its log")


def address(service: str, url: str) -> str:
    """Give the URL of a service: the given URL, or else the address at which compose publishes this service."""
    if url:
        return _sound(url, "give --url http://HOST:PORT").rstrip("/")
    if not service:
        raise EnvironmentProblem("no service was named", todo="give --service NAME, or --url http://HOST:PORT")
    template = os.environ.get("SHUANGCHENG_SERVICE_URL", "")
    name = service.replace("-", "_")
    container = container_of(name)
    below = f"/{name}" if container == ADAPTERS else ""
    if template:
        url = template.replace("{service}", container)
        todo = "set SHUANGCHENG_SERVICE_URL to http://{service}:PORT, or give --url http://HOST:PORT"
        return _sound(url, todo).rstrip("/") + below
    port = os.environ.get(f"SHUANGCHENG_{container.upper()}_PORT") or PORTS.get(container)
    if port is None:
        raise EnvironmentProblem(
            f"where the service '{service}' listens is not known",
            todo=f"choose one of {CHOICES}, or give --url http://HOST:PORT",
        )
    return f"http://127.0.0.1:{port}{below}"


def _sound(url: str, todo: str) -> str:
    try:
        require_url(url)
    except ValueError as error:
        raise EnvironmentProblem(f"'{url}' is no URL", todo=todo) from error
    return url


def token(file: str) -> str:
    """Read a token from a file, or from standard input for `-`. A command line is seen by others, so no token is on
    it."""
    if not file:
        raise EnvironmentProblem(
            "no token was given", todo="give --token-file FILE, or - and the operator's token on standard input"
        )
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is no text"
        raise EnvironmentProblem(
            f"cannot read {file}: {problem}", todo="give --token-file a file that you may read"
        ) from error
    found = text.strip()
    if not found.isascii() or not found.isprintable() or " " in found or not found:
        where = "standard input" if file == "-" else file
        raise EnvironmentProblem(f"there is no token in {where}", todo="it holds the token alone, on one line")
    return found
