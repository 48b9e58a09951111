"""Consumer groups as the broker sees them: which instance of a service has which partitions; taking one out of them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.protocol.group import LeaveGroupRequest

__all__ = ["Share", "admin", "expel", "shares"]

Share = dict[int, set[TopicPartition]]
"""Partitions by the number of the instance, over all groups of a service."""


@asynccontextmanager
async def admin(address: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client, for ``async with``."""
    client = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=15_000)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def shares(address: str, groups: Iterable[str]) -> Share:
    """What each instance has. One that is expelled, or away beyond its session, is not in it."""
    found: Share = {}
    for group, member, assigned in await _members(address, groups):
        found.setdefault(_instance(group, member), set()).update(assigned)
    return found


async def expel(address: str, groups: Iterable[str], instance: int) -> None:
    """What an operator does after taking an instance away for good: a static member that stopped stays until its
    session has run out, and its partitions with it."""
    client = AIOKafkaClient(bootstrap_servers=address)
    await client.bootstrap()
    try:
        for group, member, _ in await _members(address, groups):
            if _instance(group, member) == instance:
                node = await client.coordinator_lookup(CoordinationType.GROUP, group)
                await client.send(node, LeaveGroupRequest(group, member))
    finally:
        await client.close()


async def _members(address: str, groups: Iterable[str]) -> list[tuple[str, str, set[TopicPartition]]]:
    found: list[tuple[str, str, set[TopicPartition]]] = []
    async with admin(address) as client:
        # One group at a time: aiokafka 0.14 reads the answer about several by the wrong schema.
        answers: list[Any] = [(await client.describe_consumer_groups([group]))[0] for group in groups]
    for answer in answers:
        for described in answer.groups:
            group, members = described[1], described[5]
            for member in members:
                assignment = ConsumerProtocol.ASSIGNMENT.decode(member[4]) if member[4] else None
                pairs = assignment.partitions() if assignment is not None else []
                found.append((group, member[0], {TopicPartition(tp.topic, tp.partition) for tp in pairs}))
    return found


def _instance(group: str, member: str) -> int:
    """Static members are called ``<group>-<instance>-<lane>-<topics>``, and the broker adds a number of its own."""
    match = re.match(rf"{re.escape(group)}-(\d+)-\d+-", member)
    assert match is not None, f"{member} is no static member of {group}"
    return int(match[1])
