"""`shuangcheng send` on a real broker: each event on its topic, in the order of the file within a key."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from aiokafka import AIOKafkaConsumer

from contracts.envelope import decode
from contracts.topics import INBOUND
from deploy.operate.topics import ensure_topics
from deploy.tryout.demo.play import WEEKEND
from deploy.tryout.local.broker import Broker


def _send(file: Path, address: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.cli.main", "send", str(file), "--kafka", address, "--json"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


async def test_a_file_is_published_on_its_topics_in_order(
    broker: Broker, unique: Callable[[str], str], tmp_path: Path
) -> None:
    code = "r" + unique("s")[-7:]
    text = WEEKEND.read_text("utf-8").replace("urn:shuangcheng:registry:gz", f"urn:shuangcheng:registry:{code}")
    lines = [line for line in text.splitlines() if f"registry:{code}" in line]
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(lines), "utf-8")

    lacking = _send(file, broker.address)
    assert lacking.returncode == 2
    assert f"registry.{code}.attendance.v1" in lacking.stderr

    entries = [entry.of(code) for entry in INBOUND]
    await ensure_topics(broker.address, entries)
    done = _send(file, broker.address)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sent"] == len(lines)

    read = await _read(broker.address, [entry.name for entry in entries], len(lines))
    wanted: dict[str, list[str]] = {}
    for line in map(json.loads, lines):
        wanted.setdefault(line["data"].get("volunteer_ref") or line["data"]["project_ref"], []).append(line["id"])
    for key, ids in wanted.items():
        by_topic: dict[str, list[str]] = {}
        for topic, record_key, id_ in read:
            if record_key == key:
                by_topic.setdefault(topic, []).append(id_)
        assert sorted(id_ for found in by_topic.values() for id_ in found) == sorted(ids)
        for found in by_topic.values():
            assert found == [id_ for id_ in ids if id_ in found]


async def _read(address: str, topics: list[str], count: int) -> list[tuple[str, str, str]]:
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=address, auto_offset_reset="earliest", group_id=None)
    await consumer.start()
    try:
        found: list[tuple[str, str, str]] = []
        while len(found) < count:
            record = await consumer.getone()
            found.append((record.topic, record.key.decode(), decode(record.value, record.headers).id))
        return found
    finally:
        await consumer.stop()
