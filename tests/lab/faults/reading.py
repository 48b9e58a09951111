"""Reading a topic as anybody could: what was really said there."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.envelope import ContractError, Event, decode
from contracts.topics import TopicEntry
from deploy.operate.ends import Ends
from tests.lab.faults.site import Site

__all__ = ["read"]


async def read(site: Site, entry: TopicEntry, since: Ends) -> list[Event]:
    """The messages of a topic between these ends and its present ones; what cannot be read is left out."""
    places = [TopicPartition(entry.name, number) for number in range(entry.partitions)]
    reader = AIOKafkaConsumer(
        bootstrap_servers=site.stack.broker.address, group_id=None, enable_auto_commit=False, fetch_max_wait_ms=100
    )
    reader.assign(places)
    await reader.start()
    found: list[Event] = []
    try:
        ends = await reader.end_offsets(places)
        for place in places:
            reader.seek(place, since[place])
        left = {place for place in places if ends[place] > since[place]}
        while left:
            for place, batch in (await reader.getmany(*left, timeout_ms=1000)).items():
                for one in batch:
                    try:
                        found.append(decode(one.value, one.headers))
                    except ContractError:
                        continue
                if batch[-1].offset + 1 >= ends[place]:
                    left.discard(place)
    finally:
        await reader.stop()
    return found
