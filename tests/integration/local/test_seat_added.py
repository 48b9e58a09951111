"""A seat that is added while a broker runs: its topics are there before its file is."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from contracts.topics import TEMPLATES
from deploy.tryout.local.broker import Broker
from deploy.tryout.local.processes import own_environment
from tests.support.registries import new_code, write_seat

ROOT = Path(__file__).parents[3]


async def test_a_new_seats_topics_are_made_at_the_broker(broker: Broker, tmp_path: Path) -> None:
    code, folder = new_code(), tmp_path / "seats"
    folder.mkdir()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli.main", "registries", "add", code, "--json"),
        *("--from", str(write_seat(tmp_path, code)), "--folder", str(folder), "--kafka", broker.address),
        env=own_environment({}),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    expected = {entry.of(code).name for entry in TEMPLATES}
    assert set(json.loads(said)["topics"]) == expected
    assert [file.name for file in folder.iterdir()] == [f"{code}.yaml"]
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    try:
        assert expected <= set(await admin.list_topics())
    finally:
        await admin.close()
