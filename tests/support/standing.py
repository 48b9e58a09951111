"""The positions of this process's lanes, for the message of a test that gives up waiting."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any

from aiokafka import TopicPartition

__all__ = ["standing"]


async def standing() -> str:
    """A line for each lane that runs here, with its partitions that have records to apply."""
    module: Any = sys.modules.get("services.chassis.lanes.consuming")
    gc.unfreeze()  # a running service freezes the objects of its start, and frozen objects are not listed
    gc.collect()  # or lanes of services that ended long ago are
    lanes = [] if module is None else [one for one in gc.get_objects() if type(one) is module.Lane]
    return "".join([f"\n  {await _lane(lane)}" for lane in lanes if lane.consumer is not None])


async def _lane(lane: Any) -> str:
    consumer = lane.consumer
    behind = [await _partition(lane, tp) for tp in sorted(consumer.assignment())]
    known = f"{'ready' if lane.ready.is_set() else 'not ready'}, {lane.movement.failures} failures in a row"
    return f"lane {lane.member}: {known}, {len(behind)} partitions" + "".join(one for one in behind if one)


async def _partition(lane: Any, tp: TopicPartition) -> str:
    applied, high = lane._next.get(tp), lane.consumer.highwater(tp)
    try:
        position = await asyncio.wait_for(lane.consumer.position(tp), 0.2)
    except Exception as error:
        position = type(error).__name__
    if applied is not None and applied == position and high in (None, applied):
        return ""
    return f"; {tp.topic}[{tp.partition}] applied to {applied}, client at {position}, log to {high}"
