"""The pages' questions to the linkage itself, with this registry's token: search, shifts, and the timeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from contracts.messages.base import Ref, RegistryCode
from deploy.asking import Asking, NoAnswer, Refused
from deploy.web.trouble import NotReached

__all__ = ["Linkage"]

_PLACE: Final[TypeAdapter[tuple[str, str, str]]] = TypeAdapter(tuple[RegistryCode, Ref, Ref])


@dataclass(frozen=True, slots=True)
class Linkage:
    """The read APIs of the services. ``NotReached`` is raised when one does not answer in time."""

    client: Asking
    opportunities: str
    bridge: str
    identity: str

    async def search(self, asked: Mapping[str, Any], busy: Sequence[str] = ()) -> dict[str, Any]:
        """One page of shifts that can be joined: ``{"shifts": […], "next": cursor or null}``."""
        given = [(name, value) for name, value in asked.items() if value not in (None, "")]
        found = await self._get(f"{self.opportunities}/search", [*given, *(("busy", window) for window in busy)])
        return found or {"shifts": [], "next": None}

    async def shift(self, host: str, project_ref: str, shift_ref: str) -> dict[str, Any] | None:
        """One shift of any registry. None if there is no such shift, or no shift can have such a name.

        The names come from an address that anybody may type. With ``..`` in it our token would ask another question.
        """
        try:
            place = "/".join(_PLACE.validate_python((host, project_ref, shift_ref)))
        except ValidationError:
            return None
        found: dict[str, Any] | None = await self._get(f"{self.opportunities}/shifts/{place}", [])
        return found

    async def campaigns(self) -> list[dict[str, Any]]:
        """Campaigns of all hosts."""
        return await self._get(f"{self.opportunities}/campaigns", []) or []

    async def timeline(self, registry: str, ref: str) -> dict[str, Any] | None:
        """Links, sign-ups and services of one of our volunteers. None if the linkage does not know her."""
        whose = [("registry", registry), ("ref", ref)]
        found: dict[str, Any] | None = await self._get(f"{self.bridge}/timeline", whose)
        return found

    async def ran_out(self, home: str, ref: str) -> dict[str, int]:
        """The hosts for which the consent of our volunteer has expired, each with the version that has."""
        told = await self.timeline(home, ref) or {"links": []}
        expired = [link for link in told["links"] if link["home"] == home and link["consent"] == "expired"]
        return {link["host"]: link["consent_version"] for link in expired}

    async def code_stands(self, home: str, home_ref: str, host: str, code_hash: str) -> bool:
        """Whether this code would open an account here. The answer tells nothing about any person."""
        asked = [("home", home), ("home_ref", home_ref), ("host", host)]
        try:
            found = await self._get(f"{self.identity}/codes/{code_hash}", asked)
        except ValueError:
            return False
        return bool(found and found["stands"])

    async def _get(self, url: str, parameters: Sequence[tuple[str, Any]]) -> Any:
        try:
            return await self.client.get(url, parameters)
        except NoAnswer as error:
            raise NotReached from error
        except Refused as error:
            if error.status == 404:
                return None
            if error.status == 422:
                raise ValueError(error.detail) from error
            raise NotReached from error
