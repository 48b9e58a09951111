"""A task of a sandbox that fails is run again, and ends with the sandbox."""

from __future__ import annotations

import asyncio

import pytest

from deploy.tryout.sandbox import server
from deploy.tryout.sandbox.server import running
from tests.support.waiting import eventually


async def test_a_task_that_fails_is_run_again_until_the_sandbox_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_AGAIN_SECONDS", 0.0)
    runs: list[str] = []

    async def task() -> None:
        runs.append("begun")
        try:
            if len(runs) < 3:
                raise ConnectionError("the broker is away")
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            runs.append("ended")
            raise

    async with running([task]):
        await eventually(lambda: len(runs) == 3)
    assert runs == ["begun", "begun", "begun", "ended"]
