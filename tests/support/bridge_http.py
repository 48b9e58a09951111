"""The border's HTTP face without a server: an application on its pool, and tokens of everyone."""

from __future__ import annotations

from typing import Any

import httpx

from services.chassis.base.http import Principal, create_app
from services.chassis.base.reading import Reads
from tests.support.bridge_messages import HOME, HOST
from tests.support.bridge_store import BridgeOnPostgres

__all__ = ["bridge_http", "of"]

_TOKENS = {f"token-of-{code}": Principal("registry", code) for code in (HOME, HOST)} | {
    "token-of-operator": Principal("operator")
}


def bridge_http(border: BridgeOnPostgres) -> httpx.AsyncClient:
    """A client of it."""

    async def health() -> dict[str, Any]:
        return {"ready": True}

    app = create_app("bridge", _TOKENS, health)
    assert border.service.api is not None
    app.include_router(border.service.api(Reads(border.pool, border.pool), border.settings))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bridge")


def of(who: str) -> dict[str, str]:
    """The headers of a registry's app, of the operator, or of nobody that is known."""
    return {"authorization": f"Bearer token-of-{who}"}
