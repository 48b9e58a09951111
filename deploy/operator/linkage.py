"""The page's questions and orders to the services, with the operator's own token."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from deploy.asking import Asking, NoAnswer, Refused
from deploy.linkage import adapter, called_seats
from deploy.operator.settings import BRIDGE, OperatorSettings
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

    client: Asking
    settings: OperatorSettings

    @property
    def services(self) -> dict[str, str]:
        """The address of each service and adapter by name. The seats are read each time, so that a new seat's adapter
        is there without another start."""
        folder, url = self.settings.registries, self.settings.adapters_url
        seats = [] if folder is None or url is None else called_seats(folder)
        return self.settings.services | {name: f"{url}/{name}" for name in (adapter(code).name for code in seats)}

    async def standing(self) -> list[Standing]:
        """The health of every service, all asked at the same time."""
        return list(await asyncio.gather(*(self._standing(*one) for one in self.services.items())))

    async def _standing(self, name: str, url: str) -> Standing:
        try:
            said = await self.client.get(f"{url}/health/ready")
        except Refused as error:
            said = error.document
        except NoAnswer:
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
        return await self._answer(self.client.get(self._url(service) + path, parameters, bearer=bearer), "not_reached")

    async def tell(self, bearer: str, service: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A service's answer to an order."""
        url = self._url(service) + path
        return await self._answer(self.client.post(url, body, bearer=bearer, seconds=_ORDER_SECONDS), "maybe_done")

    def _url(self, service: str) -> str:
        url = self.services.get(service)
        if url is None:
            raise NotFound("not_found")
        return url

    async def _answer(self, asked: Awaitable[Any], unanswered: str) -> dict[str, Any]:
        try:
            document = await asked
        except NoAnswer as error:
            raise NotReached(unanswered if error.sent else "not_reached") from None
        except Refused as error:
            match error.status:
                case 401:
                    raise SignInFirst from None
                case 403:
                    raise Forbidden("not_operator") from None
                case 404:
                    raise NotFound("not_found") from None
                case 409 | 422:
                    raise NotPossible("not_taken") from None
            raise NotReached(unanswered) from None
        if not isinstance(document, dict):
            raise NotReached(unanswered)
        return document
