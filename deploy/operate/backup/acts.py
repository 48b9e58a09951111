"""Operators' acts since a backup, from the kept topic of acts, and the commands that repeat these acts."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.envelope import ContractError, decode
from contracts.messages.operations import OperatorActed
from contracts.topics import OPERATIONS_EVENTS
from deploy.linkage import container_of
from deploy.operate.backup.manifest import Database
from deploy.operate.ends import TopicEnds
from deploy.operate.errors import LocalError

__all__ = ["Act", "acts_since", "again", "lacks", "module_of", "run", "whose"]

_ADAPTER: Final = "adapter_"
_WAIT_MS: Final = 300
_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Act:
    """One act of an operator that a restored database lacks."""

    act: str
    about: str
    operator: str
    at: datetime


async def acts_since(kafka: str, databases: Mapping[str, Database]) -> dict[str, list[Act]]:
    """The acts by database, in order. Raises LocalError and KafkaError.

    A dump says how far the relay had written each partition of the topic, and lacks the acts behind that offset. For a
    dump without that table the moments of the acts decide.
    """
    found: dict[str, list[Act]] = {name: [] for name in databases}
    for place, offset, said in await _all(kafka):
        for name, one in databases.items():
            if whose(name) != (said.service, said.registry) or not lacks(one, place, offset, said.at):
                continue
            found[name].append(Act(said.act, said.about, said.operator, said.at))
    return {name: sorted(acts, key=lambda act: act.at) for name, acts in found.items()}


def again(name: str, act: Act, compose: Path | None) -> str:
    """The command that repeats this act."""
    about = shlex.quote(act.about)
    if act.act == "release":
        return f"shuangcheng set-aside release --at {about} --service {name} --token-file token"
    if act.act == "discard":
        why = shlex.quote(f"as {act.operator} did at {act.at:%Y-%m-%dT%H:%MZ}")
        return f"shuangcheng set-aside discard --at {about} --why {why} --service {name} --token-file token"
    if act.act in ("pause", "resume"):
        return (
            'curl -H "Authorization: Bearer $(cat token)" -H "Content-Type: application/json" '
            f'-d \'{{"why": "restored"}}\' http://127.0.0.1:8084/registries/{about}/{act.act}'
        )
    if act.act == "forget_positions":
        return f"{run(name, compose)} forget-positions {about}"
    if act.act in ("settle_credited", "settle_refused"):
        return "nothing to do: the log does it again; only who settled it and why is lost"
    return f"{act.act} {about}: no command of this version does it; ask {shlex.quote(act.operator)}"


def module_of(name: str) -> str:
    """The module of the process that uses this database."""
    return "services.adapters" if name.startswith(_ADAPTER) else f"services.{name}"


def run(name: str, compose: Path | None) -> str:
    """The command, without its arguments, that runs something of the process that uses this database."""
    if compose is None:
        return f"python -m {module_of(name)}"
    return f"docker compose -f {compose} run --rm -T {container_of(name)} {_within(name)}"


def _within(name: str) -> str:
    code = whose(name)[1]
    return f"python -m {module_of(name)}" if code is None else f"python -m deploy.compose.adapters {code}"


def whose(name: str) -> tuple[str, str | None]:
    """The service of a database, and the seat if it is an adapter's, as acts name them."""
    return ("adapters", name.removeprefix(_ADAPTER)) if name.startswith(_ADAPTER) else (name, None)


def lacks(one: Database, partition: int, offset: int, at: datetime) -> bool:
    """Whether a dump lacks the act at this place."""
    if not one.said:
        return at >= one.taken_at
    until = {p.partition: p.next_offset for p in one.said if p.topic == OPERATIONS_EVENTS.name}
    return offset >= until.get(partition, 0)


async def _all(kafka: str) -> list[tuple[int, int, OperatorActed]]:
    """Every act on the topic, with partition and offset. The topic is kept for ever; it is short, since people do not
    act often."""
    places = [TopicPartition(OPERATIONS_EVENTS.name, number) for number in range(OPERATIONS_EVENTS.partitions)]
    found: list[tuple[int, int, OperatorActed]] = []
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest",
        isolation_level="read_committed", fetch_max_wait_ms=100,
    )  # fmt: skip
    await consumer.start()
    try:
        consumer.assign(places)
        async with TopicEnds(kafka) as asked:
            ends = await asked.of(places)
        async with asyncio.timeout(_SECONDS):
            while not all([await consumer.position(place) >= ends[place] for place in places]):
                for place, records in (await consumer.getmany(timeout_ms=_WAIT_MS)).items():
                    for record in records:
                        if (said := _said(record.value, record.headers)) is not None:
                            found.append((place.partition, record.offset, said))
        return found
    except TimeoutError as error:
        raise LocalError(f"{OPERATIONS_EVENTS.name} was not read to its end within {_SECONDS:.0f} s") from error
    finally:
        await consumer.stop()


def _said(value: bytes | None, headers: tuple[tuple[str, bytes], ...]) -> OperatorActed | None:
    try:
        data = decode(value, headers).data
    except ContractError:
        return None
    return data if isinstance(data, OperatorActed) else None
