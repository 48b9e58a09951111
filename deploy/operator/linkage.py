"""The page's questions and orders to the services, with the operator's own token."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from deploy.operator.settings import BRIDGE
from deploy.web.trouble import Forbidden, NotFound, NotPossible, NotReached, SignInFirst

__all__ = ["Linkage", "Standing"]

_ALL_WHO_ANSWER: Final = "/operations/set-aside"
_ORDER_SECONDS: Final = 30
"""Longer than a service waits for its locks."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A service's own report of its health; ``said`` is None where it does not answer."""

    name: str
    said: dict[str, Any] | None

    @property
    def ready(self) -> bool:
        """Whether it can do its work."""
        return self.said is not None and bool(self.said.get("ready"))

    @property
    def lag(self) -> int | None:
        """How many messages in the log it has not applied; None where it does not say."""
        return None if self.said is None else self.said.get("lag")

    @property
    def oldest_unsent(self) -> float | None:
        """Age of the oldest message that is not published, in seconds; None where there is none, or it cannot say."""
        return self.said["outbox_oldest_seconds"] if self.said is not None and self.said.get("outbox_rows") else None

    @property
    def set_aside(self) -> int | None:
        """How many messages it has set aside; None where it cannot say."""
        found = None if self.said is None else self.said.get("set_aside")
        return None if found is None else sum(found.values())


@dataclass(frozen=True, slots=True)
class Linkage:
    """All services by name. Raises ``NotReached``, and ``SignInFirst`` when the token is none any more.

    An order whose answer did not come may have been followed: then the key of ``NotReached`` is ``maybe_done``.
    """

    client: httpx.AsyncClient
    services: Mapping[str, str]

    async def standing(self) -> list[Standing]:
        """The health of every service, all asked at the same time."""
        return list(await asyncio.gather(*(self._standing(name) for name in self.services)))

    async def _standing(self, name: str) -> Standing:
        try:
            answer = await self.client.get(f"{self.services[name]}/health/ready")
            said = answer.json()
        except (httpx.HTTPError, ValueError):
            said = None
        return Standing(name, said if isinstance(said, dict) else None)

    async def is_operator(self, bearer: str) -> bool:
        """Whether a service takes this token for an operator's. The first service that answers is believed."""
        if not bearer.isascii() or not bearer.isprintable():
            return False
        for name in sorted(self.services, key=lambda name: name != BRIDGE):
            try:
                await self.ask(bearer, name, _ALL_WHO_ANSWER, limit=1)
            except NotReached:
                continue
            except Forbidden:
                return False
            return True
        raise NotReached

    async def ask(self, bearer: str, service: str, path: str, **parameters: Any) -> dict[str, Any]:
        """A service's answer to a question. Parameters that are None are left out."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return await self._asked(bearer, "GET", service, path, params=given)

    async def tell(self, bearer: str, service: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A service's answer to an order."""
        return await self._asked(bearer, "POST", service, path, json=body, timeout=_ORDER_SECONDS)

    async def _asked(self, bearer: str, method: str, service: str, path: str, **what: Any) -> dict[str, Any]:
        url = self.services.get(service)
        if url is None:
            raise NotFound("not_found")
        headers = {"authorization": f"Bearer {bearer}"}
        try:
            answer = await self.client.request(method, url + path, headers=headers, **what)
            document = answer.json()
        except httpx.ConnectError:
            raise NotReached from None
        except (httpx.HTTPError, ValueError):
            raise NotReached(_unanswered(method)) from None
        match answer.status_code:
            case 200 if isinstance(document, dict):
                return document
            case 401:
                raise SignInFirst
            case 403:
                raise Forbidden("not_operator")
            case 404:
                raise NotFound("not_found")
            case 409 | 422:
                raise NotPossible("not_taken")
        raise NotReached(_unanswered(method))


def _unanswered(method: str) -> str:
    return "not_reached" if method == "GET" else "maybe_done"
