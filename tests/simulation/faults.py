"""What goes wrong in a run: a row per fault, with how often it comes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from unittest.mock import patch

from aiokafka import TopicPartition

from contracts.messages import Message
from contracts.topics import registry_source, registry_topic_for
from services.chassis.batch.processing import Processor
from services.chassis.log.positions import FenceLost
from tests.simulation.registry import Broken
from tests.support.clocks import HandClock
from tests.support.linkage import Member, at_once

if TYPE_CHECKING:
    from tests.simulation.run import Run

__all__ = ["FAULTS", "Fault", "clock_of"]


class Fault(NamedTuple):
    """``act`` does it to a run, by what its ``Random`` says."""

    act: Callable[[Run, Random], None]
    weight: int


class _Lost(ConnectionError):
    """The line to the database is cut."""


def clock_of(member: Member) -> HandClock:
    """The clock of a service."""
    assert isinstance(member.clock, HandClock)
    return member.clock


def _crash(run: Run, random: Random) -> None:
    member = random.choice(run.members)
    run.tell(f"{member.service.name} crashes and starts again")
    run.start(member)


def _restored(run: Run, random: Random) -> None:
    """A service's database is as it was at the dump."""
    if (member := _from_dump(run, random)) is not None:
        run.start(member, restored=True)


def _from_dump(run: Run, random: Random) -> Member | None:
    if not run.dumps:
        return None
    name = random.choice(sorted(run.dumps))
    run.restore(name)
    return run.linkage.members[name]


def _interrupted(run: Run, random: Random) -> None:
    """The same, and the replay ends after some batches and begins again."""
    if (member := _from_dump(run, random)) is None:
        return
    write, left = Processor.write, iter(range(random.randrange(8)))

    async def cut(self: Processor, *arguments: Any) -> None:
        if next(left, None) is None:
            raise _Lost
        await write(self, *arguments)

    with patch.object(Processor, "write", cut), suppress(_Lost):
        at_once(member.restart())
    run.tell("the replay is interrupted")
    run.start(member, restored=True)


def _paused(run: Run, random: Random) -> None:
    """An operator pauses a registry, and resumes it some time later."""
    code = random.choice(sorted(run.registries))
    run.operators.pause(code, random.randrange(30, 150))


def _reused(run: Run, random: Random) -> None:
    """A registry gives a message the id of an earlier one that lies in the same partition, and says something else."""
    if not run.records:
        return
    code, first, id = random.choice(run.records)
    place = _place_of(code, first)
    others = [message for other, message, _ in run.records
              if other == code and message != first and _place_of(other, message) == place]  # fmt: skip
    if others:
        run.linkage.say(code, random.choice(others), id=id)
        run.registries[code].reused[id] += 1
        run.tell(f"{code} uses the id {id} again")


def _place_of(code: str, message: Message) -> tuple[str | None, str]:
    return registry_topic_for(registry_source(code), type(message)), message.key


def _lost(run: Run, random: Random) -> None:
    """The database is lost in the middle of a batch, which is decided again later."""
    if (chosen := _some_unread(run, random)) is None:
        return
    member, group, places = chosen

    async def lost(*_: Any) -> None:
        raise _Lost

    write, member.processor.write = member.processor.write, lost  # type: ignore[method-assign, assignment]
    try:
        at_once(member.take(group, places))
    except _Lost:
        pass
    finally:
        member.processor.write = write  # type: ignore[method-assign]
    run.tell(f"{group} loses its database in the middle of a batch")


def _sent_again(run: Run, random: Random) -> None:
    """A relay dies between the broker's acknowledgement and its own note of it."""
    standing: list[Member] = [member for member in run.members if at_once(member.base.standing())]
    if standing:
        member = random.choice(standing)
        run.send(member, random, forget=False)
        run.tell(f"{member.service.name} dies before it notes what it has published")


def _said_twice(run: Run, random: Random) -> None:
    if run.records:
        code, message, id = random.choice(run.records)
        run.linkage.say(code, message, id=id)
        run.tell(f"{code} says again {id}")


def _read_again(run: Run, random: Random) -> None:
    registry = random.choice(list(run.registries.values()))
    for tp, offset in registry.read.items():
        registry.read[tp] = max(0, offset - random.randrange(4))
    run.tell(f"{registry.code} reads its deliveries again")


def _overtaken(run: Run, random: Random) -> None:
    """A lane that knows old offsets applies what another one has applied."""
    member = random.choice(run.members)
    group = random.choice(list(member.lanes))
    lane = member.lanes[group]
    old = {tp: offset - 1 for tp, offset in lane.next.items() if offset}
    if not old:
        return
    tp = random.choice(sorted(old))
    try:
        at_once(lane.apply(run.log.partitions[tp][old[tp] :], old))
    except FenceLost:
        run.tell(f"an old instance of {group} is turned away")
    else:
        raise Broken(f"an old instance of {group} has applied {tp} again")


def _stall(run: Run, random: Random) -> None:
    member = random.choice(run.members)
    group = random.choice(list(member.lanes))
    run.stalled[member.service.name, group] = random.randrange(20, 80)
    run.tell(f"{group} stands still for a while")


def _skew(run: Run, random: Random) -> None:
    member = random.choice(run.members)
    clock_of(member).offset = timedelta(seconds=random.uniform(-3, 3))
    run.dumps.pop(member.service.name, None)  # a clock that was set back tells no order of decisions
    run.tell(f"the clock of {member.service.name} is off by {clock_of(member).offset.total_seconds():.1f} s")


def _raised(run: Run, random: Random) -> None:
    """A decision raises for want of sense; an operator releases the message in the end."""
    if (chosen := _some_unread(run, random)) is None:
        return
    member, group, places = chosen
    tp = places[0]
    record = run.log.partitions[tp][member.lanes[group].next[tp]]
    id = dict(record.headers)["ce_id"]
    assert id is not None
    whole = member.processor.settings
    member.processor.settings = whole.model_copy(update={"raise_on": id.decode()})
    at_once(member.take(group, [tp], 1))
    member.processor.settings = whole
    run.dumps.pop(member.service.name, None)  # a replay would decide the message, which nobody has decided yet
    run.tell(f"{group} raises on {id.decode()}")


def _some_unread(run: Run, random: Random) -> tuple[Member, str, list[TopicPartition]] | None:
    found = [(member, group, places) for member in run.members for group in member.lanes
             if (places := member.unread(group))]  # fmt: skip
    if not found:
        return None
    member, group, places = random.choice(found)
    return member, group, random.sample(places, random.randint(1, len(places)))


FAULTS: Final = {
    "crash": Fault(_crash, 3),
    "restored": Fault(_restored, 3),
    "interrupted": Fault(_interrupted, 1),
    "paused": Fault(_paused, 2),
    "reused": Fault(_reused, 3),
    "lost": Fault(_lost, 4),
    "sent_again": Fault(_sent_again, 5),
    "said_twice": Fault(_said_twice, 5),
    "read_again": Fault(_read_again, 3),
    "overtaken": Fault(_overtaken, 3),
    "stall": Fault(_stall, 4),
    "skew": Fault(_skew, 2),
    "raised": Fault(_raised, 2),
}
