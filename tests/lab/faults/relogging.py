"""What may become of a topic behind the back of its readers. In each there are good messages that nobody has seen."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete

from contracts.envelope import Event, encode
from contracts.topics import TopicEntry
from deploy.operate.topics import ensure_topics
from tests.lab.faults.groups import admin
from tests.lab.faults.load import Story, letters
from tests.lab.faults.reading import read
from tests.lab.faults.scenes import plan
from tests.lab.faults.site import Site
from tests.support.waiting import eventually

__all__ = ["Change", "cut", "longer", "made_anew", "one_more", "shorter"]

Change: TypeAlias = Callable[[Site, TopicEntry, random.Random], Awaitable[list[Story]]]
"""Gives the stories that were begun meanwhile."""
_BEYOND = 20


async def made_anew(site: Site, topic: TopicEntry) -> None:
    """Delete it, and make it as the contract says, empty."""
    async with admin(site.stack.broker.address) as client:
        await client.delete_topics([topic.name])
        await eventually(lambda: _gone(client, topic.name), every=0.1)
        await ensure_topics(site.stack.broker.address, [topic])


async def _gone(client: AIOKafkaAdminClient, name: str) -> bool:
    return name not in await client.list_topics()


async def shorter(site: Site, topic: TopicEntry, rng: random.Random) -> list[Story]:
    """Another log of this name, in which there is one message in every partition."""
    known = await _known(site, topic)
    await made_anew(site, topic)
    await _write(site, topic, {number: _fresh(rng, known, 1) for number in range(topic.partitions)})
    return []


async def longer(site: Site, topic: TopicEntry, rng: random.Random) -> list[Story]:
    """Another log of this name, in which there is more than was read of the one before."""
    known, ends = await _known(site, topic), await _ends(site, topic)
    await made_anew(site, topic)
    much = {place.partition: _fresh(rng, known, 1) * end + _fresh(rng, known, _BEYOND) for place, end in ends.items()}
    await _write(site, topic, much)
    return []


async def cut(site: Site, topic: TopicEntry, rng: random.Random) -> list[Story]:
    """While its reader is away more comes, and retention eats all of it but the last message of a partition."""
    read_up_to = await _ends(site, topic)
    stories = plan(rng, 16)
    await site.publish(letters(stories))
    await site.quiet.until(
        lambda look: all(not count or place == ("attendance", "unread") for place, count in look.work.items())
    )
    async with admin(site.stack.broker.address) as client:
        ends = await _ends(site, topic)
        last = {place: end - 1 for place, end in ends.items() if end - 1 > read_up_to[place]}
        assert last, "somewhere two messages came"
        await client.delete_records({place: RecordsToDelete(before_offset=before) for place, before in last.items()})
    return []  # what was cut is lost, and so are their minutes: that is what the stop is for


async def one_more(site: Site, topic: TopicEntry, rng: random.Random) -> list[Story]:
    """One more partition, and messages in it."""
    known = await _known(site, topic)
    async with admin(site.stack.broker.address) as client:
        await client.create_partitions({topic.name: NewPartitions(total_count=topic.partitions + 1)})
        await eventually(lambda: _counts(client, topic), every=0.1)
    await _write(site, topic, {topic.partitions: _fresh(rng, known, _BEYOND)})
    return []


async def _counts(client: AIOKafkaAdminClient, topic: TopicEntry) -> bool:
    (found,) = await client.describe_topics([topic.name])
    return len(found["partitions"]) == topic.partitions + 1


async def _known(site: Site, topic: TopicEntry) -> list[Event]:
    ends = await _ends(site, topic)
    found = await read(site, topic, {place: max(0, end - _BEYOND) for place, end in ends.items()})
    assert found, f"something was said on {topic.name}"
    return found


def _fresh(rng: random.Random, known: Sequence[Event], count: int) -> list[Event]:
    """Messages like those that stood there, under ids of their own: each would change something if it were applied."""
    return [replace(rng.choice(known), id=f"{rng.getrandbits(128):032x}") for _ in range(count)]


async def _write(site: Site, topic: TopicEntry, events: dict[int, list[Event]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=site.stack.broker.address)
    await producer.start()
    try:
        for partition, those in events.items():
            for event in those:
                value, headers = encode(event)
                await producer.send(topic.name, value, key=event.key.encode(), headers=headers, partition=partition)
        await producer.flush()
    finally:
        await producer.stop()


async def _ends(site: Site, topic: TopicEntry) -> dict[TopicPartition, int]:
    reader = AIOKafkaConsumer(bootstrap_servers=site.stack.broker.address, enable_auto_commit=False)
    places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
    reader.assign(places)
    await reader.start()
    try:
        ends: dict[TopicPartition, int] = await reader.end_offsets(places)
        return ends
    finally:
        await reader.stop()
