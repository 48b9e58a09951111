"""Sandboxes in this process, on their own database and a loopback port."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

import deploy.tryout.sandbox.kafka_native.app
import deploy.tryout.sandbox.rest_api.app
from deploy.tryout.sandbox.database import migrate
from deploy.tryout.sandbox.settings import SandboxSettings
from tests.support.tls import Signed
from tests.support.waiting import eventually

SYSTEM_TOKEN = "token-of-the-system"
"""What a sandbox of these tests asks of whoever uses its interface."""
KAFKA_MIGRATIONS = Path(deploy.tryout.sandbox.kafka_native.app.__file__).parent / "migrations"
REST_MIGRATIONS = Path(deploy.tryout.sandbox.rest_api.app.__file__).parent / "migrations"


@dataclass
class Sandbox:
    """One that runs: its address and its database."""

    url: str
    dsn: str
    http: httpx.AsyncClient

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What its database says."""
        connection = await asyncpg.connect(self.dsn)
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    async def execute(self, statement: str) -> None:
        """Change its database, as only its own people could."""
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def misbehave(self, **wanted: Any) -> None:
        """Ask for it."""
        (await self.http.post("/misbehave", json=wanted)).raise_for_status()


@contextlib.asynccontextmanager
async def rest_api(
    dsn: str, *, ready: bool = True, tls: Signed | None = None, **settings: Any
) -> AsyncIterator[Sandbox]:
    """One of the kind rest_api, once it is ``ready``; ``tls``: over https, and to clients of this authority alone."""
    build = deploy.tryout.sandbox.rest_api.app.build
    async with _running(build, _settings(dsn, settings), dsn, ready, tls) as sandbox:
        yield sandbox


@contextlib.asynccontextmanager
async def kafka_native(dsn: str, *, ready: bool = True, **settings: Any) -> AsyncIterator[Sandbox]:
    """One of the kind kafka_native; its topics have to be there before it is ``ready``."""
    async with _running(deploy.tryout.sandbox.kafka_native.app.build, _settings(dsn, settings), dsn, ready) as sandbox:
        yield sandbox


def _settings(dsn: str, given: dict[str, Any]) -> SandboxSettings:
    usual = {"registry": "sz", "profile": "test", "database": SecretStr(dsn), "system_token": SYSTEM_TOKEN}
    return SandboxSettings.model_validate(usual | given)


@contextlib.asynccontextmanager
async def _running(
    build: Callable[[SandboxSettings], FastAPI],
    settings: SandboxSettings,
    dsn: str,
    whole: bool,
    tls: Signed | None = None,
) -> AsyncIterator[Sandbox]:
    await migrate(settings, KAFKA_MIGRATIONS, REST_MIGRATIONS)
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
    over: dict[str, Any] = tls.served() if tls else {}
    config = uvicorn.Config(
        build(settings), log_config=None, timeout_graceful_shutdown=1, timeout_keep_alive=30, **over
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    bearer = {"authorization": f"Bearer {SYSTEM_TOKEN}"}
    try:
        context = tls.client_context() if tls else True
        async with httpx.AsyncClient(
            base_url=url, timeout=10, trust_env=False, headers=bearer, verify=context
        ) as client:

            async def ready() -> bool:
                if serving.done():
                    serving.result()
                try:
                    return (await client.get("/health/ready" if whole else "/health/live")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(ready, what="the sandbox")
            yield Sandbox(url, dsn, client)
    finally:
        server.should_exit = True
        await serving
