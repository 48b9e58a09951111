"""All routes of every face, from the applications themselves, so that a new one is covered without being named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import deploy.operator.app
import deploy.tryout.sandbox.kafka_native.app
import deploy.tryout.sandbox.rest_api.app
from deploy.linkage import OPERATOR
from deploy.operator.settings import OperatorSettings
from deploy.tryout.sandbox.settings import SandboxSettings
from tests.support.pages import Stage

__all__ = ["Route", "faces", "of_pages", "of_services"]

_KINDS = {"gz": deploy.tryout.sandbox.kafka_native.app, "sz": deploy.tryout.sandbox.rest_api.app}
_PLACE = re.compile(r"\{(\w+)[^}]*\}")


@dataclass(frozen=True, slots=True)
class Route:
    """An address of a process and a method; ``parameters`` are the names of what its address may ask."""

    process: str
    method: str
    path: str
    page: bool
    parameters: tuple[str, ...] = ()

    @property
    def places(self) -> list[str]:
        """Names of the parts of the address that vary."""
        return _PLACE.findall(self.path)

    def at(self, **given: str) -> str:
        """The address with these parts, as they stand in an address; others are ``x1``."""
        parts = enumerate(_PLACE.split(self.path))
        return "".join(given.get(part, "x1") if number % 2 else quote(part) for number, part in parts)


async def of_services(stage: Stage) -> list[Route]:
    """Of all services and adapters, as their own descriptions say."""
    bearer = {"authorization": f"Bearer {stage.stack.tokens['operator']}"}
    found = []
    for name, spec in stage.stack.specs.items():
        if spec.module.startswith("services."):
            told = (await stage.http.get(stage.stack.url(name) + "/openapi.json", headers=bearer)).json()
            for path, methods in told["paths"].items():
                for method, what in methods.items():
                    asked = tuple(one["name"] for one in what.get("parameters", ()) if one["in"] == "query")
                    found.append(Route(name, method.upper(), path, page=False, parameters=asked))
    return found


def faces(stage: Stage) -> list[Route]:
    """Of the operators' page and of both sandboxes: pages, and what machines ask."""
    found = list(_walk(OPERATOR, deploy.operator.app.build(OperatorSettings(services={"bridge": "http://b"})).routes))
    for code, kind in _KINDS.items():
        neighbours = {other: "http://n" for other in _KINDS if other != code}
        given = {"registry": code, "profile": "test", "passcode": "p" * 20, "neighbours": neighbours}
        settings = SandboxSettings.model_validate(given | {"system_token": "t" * 20})
        found += _walk(f"sandbox_{code}", kind.build(settings).routes)
    return found


def of_pages(stage: Stage, method: str) -> list[Route]:
    """Pages, or the forms that are sent to them."""
    return [route for route in faces(stage) if route.page and route.method == method]


def _walk(process: str, routes: Iterable[Any]) -> Iterator[Route]:
    for route in routes:
        if (router := getattr(route, "original_router", None)) is not None:
            yield from _walk(process, router.routes)
        for method in sorted(getattr(route, "methods", None) or ()):
            yield Route(process, method, route.path, page=not route.include_in_schema)
