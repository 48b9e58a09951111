"""An operator's requests to one service over HTTP: its address, the token, and errors that say what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx

from deploy.linkage import PORTS
from deploy.operate.errors import EnvironmentProblem, LocalError, words

__all__ = ["OperatorClient", "address", "token"]

_SECONDS = 30.0


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
    """A client of one service, with an operator's token, for ``async with``. Every error is a LocalError."""

    def __init__(self, url: str, bearer: str) -> None:
        self._url = url
        self._http = httpx.AsyncClient(
            base_url=url, headers={"authorization": f"Bearer {bearer}"}, timeout=_SECONDS, trust_env=False
        )

    async def __aenter__(self) -> OperatorClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        """The service's answer to a question. Parameters that are None are left out."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return await self._asked("GET", path, params=given)

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The service's answer to an order."""
        return await self._asked("POST", path, json=body)

    async def _asked(self, method: str, path: str, **what: Any) -> dict[str, Any]:
        try:
            answer = await self._http.request(method, path, **what)
        except httpx.HTTPError as error:
            raise EnvironmentProblem(
                f"no service answers at {self._url}: {words(error)}",
                todo="see whether it runs, and give its address with --service or --url",
            ) from error
        try:
            document = answer.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise EnvironmentProblem(
                f"what answers at {self._url} is no service of a linkage (status {answer.status_code})",
                todo="give the address of a service or adapter with --url",
            )
        if answer.status_code == httpx.codes.OK:
            return document
        raise _refusal(self._url, answer.status_code, document)


def _refusal(url: str, status: int, document: Mapping[str, Any]) -> LocalError:
    detail = str(document.get("detail") or document.get("error") or f"status {status}")
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
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise EnvironmentProblem(f"'{url}' is no URL", todo="give --url http://HOST:PORT")
        return url.rstrip("/")
    if not service:
        raise EnvironmentProblem("no service was named", todo="give --service NAME, or --url http://HOST:PORT")
    template = os.environ.get("SHUANGCHENG_SERVICE_URL", "")
    if template:
        return template.replace("{service}", service.replace("_", "-"))
    name = service.replace("-", "_")
    port = os.environ.get(f"SHUANGCHENG_{name.upper()}_PORT") or PORTS.get(name)
    if port is None:
        raise EnvironmentProblem(
            f"where the service '{service}' listens is not known",
            todo=f"choose one of {', '.join(PORTS)}, or give --url http://HOST:PORT",
        )
    return f"http://127.0.0.1:{port}"


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
