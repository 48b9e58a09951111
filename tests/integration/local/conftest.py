"""Servers of one's own, for tests of what happens when one fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from deploy.tryout.local import folders
from deploy.tryout.local.postgres import Postgres
from deploy.tryout.local.postgres_embedded import EmbeddedPostgres


@pytest.fixture(scope="module")
async def own_postgres() -> AsyncIterator[Postgres]:
    """A server that a test may kill, unlike the session's."""
    folder = await asyncio.to_thread(folders.new_run_folder, "test")
    server = EmbeddedPostgres(folder / "postgresql")
    try:
        await server.start()
        yield server
    finally:
        await server.stop()
