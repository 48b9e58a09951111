"""Runs of the simulation in memory, done once more on PostgreSQL: every record of every topic is the same byte by byte,
and so are the rows, the timers and what is set aside."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from operator import attrgetter
from random import Random
from typing import Any

import pytest

from services.chassis.batch.outbox import OutboxRow
from services.chassis.batch.set_aside import Aside
from tests.conftest import NewDatabase
from tests.simulation.faults import clock_of
from tests.simulation.run import Run
from tests.simulation.steps import steps_of
from tests.support.linkage import Linkage, Member, at_once
from tests.support.linkages import MOMENT, postgres_linkage
from tests.support.pausing import Seen, end_pauses


class Recorded(Run):
    """A run that remembers what it made members do, and what was written on the log besides."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.acts: list[tuple[str, str, tuple[Any, ...]]] = []
        for member in self.members:
            for name in ("take", "reenter", "fire", "send", "restart", "release"):
                self._remember(member, name)

    def _remember(self, member: Member, name: str) -> None:
        act = getattr(member, name)

        async def remembered(*arguments: Any, **more: Any) -> Any:
            self._act(member.service.name, name, *arguments, **more)
            return await act(*arguments, **more)

        setattr(member, name, remembered)

    def _act(self, member: str, name: str, *arguments: Any, **more: Any) -> None:
        self.acts.append((member, name, (self._clocks(), len(self.log.records), arguments, more)))

    def dump(self, name: str) -> None:
        self._act(name, "dump")
        super().dump(name)

    def restore(self, name: str) -> None:
        self._act(name, "restore")
        super().restore(name)

    def operate(self, act: Any, code: str) -> None:
        self._act("bridge", "operate", act, code)
        super().operate(act, code)

    def start(self, member: Member, *, restored: bool = False) -> None:
        super().start(member, restored=restored)
        if member.service.name == "bridge":
            self._act("bridge", "forget")

    def end_pauses(self, random: Random) -> bool:
        self._act("bridge", "end_pauses")
        return super().end_pauses(random)

    def _clocks(self) -> tuple[datetime, dict[str, timedelta]]:
        return self.clock.moment, {member.service.name: clock_of(member).offset for member in self.members}


async def again(run: Recorded, linkage: Linkage) -> None:
    """Do on this linkage what the run did: what registries said is written where it stood, the rest is done."""
    dumps: dict[str, Any] = {}
    seen: Seen = {}
    for member in linkage.members.values():
        await member.restart()
    for name, act, ((moment, offsets), at, arguments, more) in run.acts:
        said(run, linkage, at)
        linkage.clock.moment = moment
        for other in linkage.members.values():
            clock_of(other).moment, clock_of(other).offset = moment, offsets[other.service.name]
        member = linkage.members[name]
        match act:
            case "send":
                await member.send(await the_same(member, arguments[0]), **more)
            case "release":
                await member.release([row for row in await member.base.set_aside() if row.reason == "raised"])
            case "dump":
                dumps[name] = await member.base.dump()
            case "restore":
                await member.base.restore(dumps[name])
            case "operate":
                await arguments[0](member, arguments[1])
            case "end_pauses":
                await end_pauses(member, seen)
            case "forget":
                seen.clear()
            case _:
                await getattr(member, act)(*arguments, **more)
    said(run, linkage, len(run.log.records))


def said(run: Recorded, linkage: Linkage, upto: int) -> None:
    """What lies on the run's log before there and was said by registries."""
    for record in run.log.records[len(linkage.log.records) : upto]:
        assert record.topic.startswith("registry."), "what services say, they say again themselves"
        linkage.clock.moment = datetime.fromtimestamp(record.timestamp / 1000, MOMENT.tzinfo)
        linkage.log.write(record.topic, record.key or b"", record.headers, record.value or b"")


async def the_same(member: Member, rows: Sequence[tuple[int, OutboxRow]]) -> list[tuple[int, OutboxRow]]:
    """As many rows of the same partition as were sent there."""
    for standing in (await member.standing()).values():
        if standing[0][1] == rows[0][1]:
            return standing[: len(rows)]
    raise AssertionError(f"{member.service.name} has not said {rows[0][1]!r}")


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_run_is_the_same_on_both(new_database: NewDatabase, seed: int) -> None:
    run = Recorded(seed)
    for step in steps_of(seed):
        if step.kind not in ("raised", "lost", "overtaken", "interrupted"):  # what only a run in memory does by hand
            run.take(step)
    run.end()
    async with AsyncExitStack() as stack:
        linkage = await postgres_linkage(
            stack, new_database, own_clocks=True, capabilities=run.capabilities, day_cap_minutes=run.cap
        )
        await again(run, linkage)
        assert linkage.log.records == run.log.records
        for name, member in linkage.members.items():
            mine = run.linkage.members[name]
            assert await member.base.due() == at_once(mine.base.due())
            assert shown(await member.base.set_aside()) == shown(at_once(mine.base.set_aside()))
            for table in member.service.store.tables:
                if not table.append_only:
                    key = attrgetter(*table.key)
                    theirs = {key(row): row for row in await member.base.all_of(table.row)}
                    assert theirs == {key(row): row for row in at_once(mine.base.all_of(table.row))}


def shown(rows: Sequence[Aside]) -> list[Any]:
    return [(row.reason, row.subject, row.fact, row.deadline, row.record[:3]) for row in rows]
