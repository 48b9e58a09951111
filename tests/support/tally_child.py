"""The tally as a process of its own, beside the test."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from deploy.operate.ports import free_port
from deploy.tryout.local.processes import Child, own_environment
from tests.support.naming import SECRET
from tests.support.rig import Rig, http
from tests.support.waiting import eventually

__all__ = ["TallyChild"]


class TallyChild:
    """The process: ``start`` it, then ``stop`` or ``kill`` it, and start it again."""

    def __init__(self, rig: Rig, folder: Path, name: str = "tally", **settings: str) -> None:
        self.port = free_port()
        self._log = folder / f"{name}.log"
        told = {
            "PROFILE": rig.settings.profile,
            "KAFKA": rig.settings.kafka,
            "DATABASE": rig.settings.database.get_secret_value(),
            "NAMING_SECRET": SECRET.get_secret_value(),
            "HTTP_PORT": str(self.port),
            "TOKENS_FILE": str(rig.settings.tokens_file),
            **settings,
        }
        environment = {f"SHUANGCHENG_{name}": value for name, value in told.items()}
        environment["TALLY"] = f"{rig.tally.group.removeprefix('tally-')}:{rig.tally.migrations}"
        if rig.tally.jobs:
            (job,) = rig.tally.jobs
            assert job.every is not None
            environment["TALLY_BONUS_SECONDS"] = str(job.every.total_seconds())
        command = [sys.executable, "-m", "tests.support.tally_process"]
        self.child = Child(name, command, self._log, own_environment(environment))

    async def start(self) -> None:
        """Start, and return once it is ready."""
        await self.child.start()
        await eventually(self.ready)

    async def ready(self) -> bool:
        """Whether its health says that it is ready."""
        assert self.child.running, self.child.tail()
        with suppress(httpx.TransportError):
            async with http(self.port) as client:
                return (await client.get("/health/ready")).status_code == 200
        return False

    async def stop(self) -> None:
        """Stop it in order, and see that it ended well."""
        if self.child.running:
            await self.child.stop()
            assert self.child.returncode == 0, self.child.tail()

    async def kill(self) -> None:
        """End it by SIGKILL, and see that it is gone."""
        self.child.expected_end = True
        self.child.kill()
        await self.child.wait()

    def lines(self) -> list[dict[str, Any]]:
        """Its log lines, over all its starts."""
        said = self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []
        return [json.loads(line) if line.startswith("{") else {"event": line, "raw": True} for line in said]
