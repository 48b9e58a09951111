"""A flood is judged in time that grows with its length, not faster, and is as green as the run in which it came."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import uuid_utils

from contracts.envelope import encode
from contracts.messages.attendance import RecordCheckIn
from contracts.messages.service import CheckedIn
from deploy.audit import World, check
from deploy.audit.world import Line, Topics, line
from tests.support.checker.tampering import Tamper

RECORDED: Final = World.load(Path(__file__).parent / "small_run.json.xz")
TOPICS: Final = Topics(RECORDED.registries)


def _flooded(count: int) -> World:
    """So many check-ins more of one volunteer, each under its own id, passed on by the border and known to all."""
    t = Tamper(RECORDED)
    said = t.find(CheckedIn, where=lambda d: (d.volunteer_ref, d.shift_ref) == ("gz-ann", "river-tue"))
    row = t.row("bridge", "registry_message", message_id=said.id)
    passed_on = t.find(RecordCheckIn, where=lambda d: d.origin.message == row["id"])
    step = t.row("bridge", "step", what="checked_in", subject=str(passed_on.data.signup_id))
    messages, commands = [], []
    for number in range(count):
        messages.append(_again(said, f"flood-{number}"))
        own = uuid4()
        t.rows("bridge", "registry_message").append(row | {"id": own, "message_id": f"flood-{number}"})
        origin = passed_on.data.origin.model_copy(update={"message": own})
        commands.append(_again(passed_on, str(uuid_utils.uuid7()), cause=str(own), origin=origin))
        t.rows("bridge", "step").append(step | {"number": 100_000 + number, "id": uuid4()})
    for like, lines, reader in ((said, messages, "bridge"), (passed_on, commands, "attendance")):
        _append(t.world, like, lines)
        inbox = t.rows(reader, "inbox")
        inbox += [inbox[0] | {"source": x.event.source, "id": x.id} for x in lines if x.event is not None]
        t.row(reader, "consumed", topic=like.topic, partition=like.partition)["next_offset"] += count
    return t.world


def _again(like: Line, id_: str, *, cause: str | None = None, **changes: Any) -> Line:
    assert like.event is not None
    data = like.data.model_copy(update=changes)
    value, headers = encode(replace(like.event, id=id_, causation=cause, data=data))
    return line(TOPICS, *like.place, like.timestamp, like.key, headers, value)


def _append(world: World, like: Line, more: list[Line]) -> None:
    """In order of partition, then offset."""
    lines = world.lines[like.topic]
    end = max(at for at, x in enumerate(lines) if x.partition == like.partition) + 1
    offset, timestamp = lines[end - 1].offset + 1, lines[end - 1].timestamp
    lines[end:end] = [replace(x, offset=offset + n, timestamp=timestamp) for n, x in enumerate(more)]


def _seconds(world: World) -> float:
    """Of this process, on whatever machine."""
    begun = time.process_time()
    report = check(world)
    assert report.held, report.text()
    return time.process_time() - begun


def test_eight_times_the_flood_takes_about_eight_times_as_long() -> None:
    """Each message against each would take sixty-four times as long."""
    short, long = _flooded(500), _flooded(4000)
    assert _seconds(long) < 24 * min(_seconds(short), _seconds(short))
