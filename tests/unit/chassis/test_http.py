"""A request that meets an ill database is answered in the one form of errors, whatever the driver raises."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest

from services.chassis.base.http import Principal, create_app


async def _health() -> dict[str, Any]:
    return {"ready": True}


@pytest.mark.parametrize(
    ("met", "status", "word"),
    [
        (asyncpg.CannotConnectNowError("starting up"), 503, "unavailable"),
        (asyncpg.InterfaceError("connection is closed"), 503, "unavailable"),
        (ConnectionRefusedError(), 503, "unavailable"),
        (TimeoutError(), 503, "unavailable"),
        # A pooled session that was told of a shutdown: it was answered with a bare 500, which says nothing to anyone.
        (asyncpg.InternalClientError("got result for unknown protocol state 3"), 503, "unavailable"),
        (asyncpg.UniqueViolationError("twice"), 500, "failed"),
    ],
)
async def test_a_database_that_does_not_answer_is_told_as_such(met: Exception, status: int, word: str) -> None:
    app = create_app("test", {"a-token-of-somebody": Principal("operator")}, _health)

    @app.get("/asks-the-database")
    async def asks() -> None:
        raise met

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/asks-the-database", headers={"authorization": "Bearer a-token-of-somebody"})
    assert (answer.status_code, answer.json()["error"]) == (status, word)
