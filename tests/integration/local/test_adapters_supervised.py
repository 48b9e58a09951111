"""The container of all adapters, as a process: one per seat, started again alone, told by its seat, ended in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.topics import TEMPLATES
from deploy.operate.ports import free_port
from deploy.operate.topics import ensure_topics
from deploy.tryout.local.broker import Broker
from deploy.tryout.local.processes import own_environment
from tests.conftest import NewDatabase
from tests.support.naming import SECRET
from tests.support.registries import new_code, write_seat
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[3]


def write_secrets(folder: Path, dsn: str) -> None:
    folder.mkdir(parents=True)
    files = {
        "shuangcheng_database": dsn,
        "shuangcheng_naming_secret": SECRET.get_secret_value(),
        "shuangcheng_system_token": "a-token-of-the-system",
        "tokens.yaml": "{the-operators-token: operator}",
    }
    for name, content in files.items():
        (folder / name).write_text(content)


def child(supervisor: int, code: str) -> int | None:
    """The process of this seat's adapter."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    mark = f"SHUANGCHENG_REGISTRY={code}".encode()
    for pid in children:
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                return int(pid)
    return None


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
async def test_an_adapter_that_dies_is_started_again_alone_and_a_wrong_seat_is_named_beside_those_that_work(
    broker: Broker, new_database: NewDatabase, tmp_path: Path
) -> None:
    one, two, wrong = (new_code() for _ in range(3))
    seats, secrets = tmp_path / "seats", tmp_path / "secrets"
    seats.mkdir()
    for code in (one, two, wrong):
        write_seat(seats, code, **({"kind": "fax"} if code == wrong else {}))
        write_secrets(secrets / f"adapter_{code}", await new_database())
    await ensure_topics(broker.address, [entry.of(code) for code in (one, two) for entry in TEMPLATES])
    port, log = free_port(), tmp_path / "log"
    environment = {
        "PROFILE": "test" if broker.idempotent else "embedded",
        "KAFKA": broker.address,
        "REGISTRIES": str(seats),
        "SECRETS": str(secrets),
        "HTTP_PORT": str(port),
    }
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deploy.compose.adapters"),
            env=own_environment({f"SHUANGCHENG_{name}": value for name, value in environment.items()}),
            cwd=ROOT,
            stdout=out,
            stderr=out,
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as http:

            async def ready() -> dict[str, Any]:
                try:
                    said: dict[str, Any] = (await http.get("/health/ready")).json()
                except httpx.TransportError:
                    return {}
                assert [said["adapters"][f"adapter_{code}"]["ready"] for code in (one, two)] == [True, True], said
                return said

            said = await eventually(ready, 120, every=0.5)
            assert said["ready"] is False
            assert [why.split(": ")[0] for why in said["why"]] == [f"adapter_{wrong}"]
            assert f"{wrong}.yaml: system.kind: no adapter" in said["why"][0]
            before, other = child(process.pid, one), child(process.pid, two)
            assert before is not None
            os.kill(before, signal.SIGKILL)
            await eventually(lambda: child(process.pid, one) not in (None, before), 120, every=0.2)
            await eventually(ready, 120, every=0.5)
            assert child(process.pid, two) == other
            bearer = {"authorization": "Bearer the-operators-token"}
            assert (await http.get(f"/adapter_{two}/operations/set-aside?limit=1", headers=bearer)).status_code == 200
            assert (await http.get(f"/adapter_{two}/operations/set-aside")).status_code == 401
            assert (await http.get("/adapter_xx/health/ready")).status_code == 404
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 120) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["service"] for line in lines} == {f"adapters {code}" for code in (one, two, wrong)}
    assert [
        line["detail"] for line in lines if line["event"] == "adapter ended" and line["service"] == f"adapters {one}"
    ] == ["status -9: "]
