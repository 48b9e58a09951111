"""The log is not the one that was read: shorter, longer, cut, with more partitions. A clear stop, and nothing applied.

What could be applied lies there: good messages under ids that nobody has seen. Each cell ends with what operators do
about it: the topic as the contract has it, ``forget-positions``, a new start.
"""

from __future__ import annotations

import random
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from contracts.topics import (
    ATTENDANCE_COMMANDS,
    DELIVERIES,
    IDENTITY_COMMANDS,
    INBOUND,
    OPPORTUNITIES_COMMANDS,
    TopicEntry,
)
from deploy.tryout.local.processes import Child, own_environment
from tests.lab.faults import relogging
from tests.lab.faults.cell import Cell, Outcome
from tests.lab.faults.load import waves
from tests.lab.faults.relogging import Change, made_anew
from tests.lab.faults.scenes import plan
from tests.lab.faults.site import Site
from tests.support.processes import died

__all__ = ["log_cells"]

_STOP_SECONDS = 40.0
_ROOT: Final = Path(__file__).parents[3]
_SIGNUPS_OF_GZ: Final = next(entry for entry in INBOUND if ".signups." in entry.name).of("gz")


@dataclass(frozen=True)
class Case:
    """What is done to which topic, and the words and status with which its reader stops."""

    id: str
    service: str
    topic: TopicEntry
    what: str
    change: Change
    words: str
    status: int = 1
    running: bool = False
    """Whether its reader runs meanwhile, or is away and started afterwards."""

    def cell(self) -> Cell:
        """The cell."""
        return Cell(
            f"log-{self.id}",
            self.service,
            f"{self.topic.name} {self.what}",
            partial(_stopped, self),
            leaves="cut",
            takes=55 if self.running else 14,
        )


def log_cells() -> list[Cell]:
    """Each on a topic that one service reads, and for the border one that a registry writes."""
    shorter, longer = "was replaced by a shorter one", "was replaced by a longer one"
    more = f"{ATTENDANCE_COMMANDS.partitions + 1} partitions"
    cases = [
        Case("shorter", "identity", IDENTITY_COMMANDS, shorter, relogging.shorter, "shorter one"),
        Case("longer", "opportunities", OPPORTUNITIES_COMMANDS, longer, relogging.longer, "another message"),
        Case("bridge", "bridge", _SIGNUPS_OF_GZ, shorter, relogging.shorter, "shorter one"),
        Case("adapter", "adapter_sz", DELIVERIES.of("sz"), longer, relogging.longer, "another message"),
        Case("cut", "attendance", ATTENDANCE_COMMANDS, "was cut beyond the stored offset", relogging.cut, "retention"),
        Case(
            "partitions",
            "attendance",
            ATTENDANCE_COMMANDS,
            "got one more partition",
            relogging.one_more,
            more,
            status=2,
        ),
        Case(
            "growing",
            "attendance",
            ATTENDANCE_COMMANDS,
            "got one more partition while it is read",
            relogging.one_more,
            more,
            status=2,
            running=True,
        ),
    ]
    return [case.cell() for case in cases]


async def _stopped(case: Case, site: Site, rng: random.Random) -> Outcome:
    stories = plan(rng, 12)
    before, after = waves(stories, 2)
    await site.publish(before)
    await site.drained()
    if not case.running:
        await site.child(case.service).stop()
    stories += await case.change(site, case.topic, rng)
    stood, seen = await _figures(site, case.service), len(site.child(case.service).log.read_bytes())
    child = site.child(case.service) if case.running else await site.launch(case.service)
    gone = await died(child, seconds=_STOP_SECONDS)
    if gone is None:
        await child.stop()
    last = child.log.read_bytes()[seen:].decode(errors="replace").splitlines()[-1:]
    said = last[0] if last else ""
    changed = sorted({name for name, _ in set(stood) ^ set(await _figures(site, case.service))})
    checks = {
        "it_stopped": gone is not None and child.returncode == case.status,
        "it_said_why": case.words in said and case.topic.name in said,
        "nothing_was_applied": not changed,
    }
    begun = time.monotonic()
    checks["operator_forgot_positions"] = await _repair(site, case.service, case.topic) == 0
    await site.start(case.service)
    await site.publish(after)
    await site.drained()
    recovered = time.monotonic() - begun
    more, notes = await site.judge(stories)
    notes = [said[-300:] or "it said nothing", *(f"changed meanwhile: {table}" for table in changed), *notes]
    return Outcome(checks | more, recovered, notes)


async def _figures(site: Site, name: str) -> list[tuple[str, str | None]]:
    """All that a message could change in its database. ``said`` is left out: a start notes there where the service's
    own topics end, and earlier cells have made some of them anew."""
    database = site.stack.specs[name].database
    tables = """SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = 'public' AND c.relkind = 'r' AND c.relname <> 'said' ORDER BY 1"""
    sums = "SELECT md5(string_agg(t::text, e'\\n' ORDER BY t::text)) FROM \"{}\" t"
    return [
        (table, await site.books.value(database, sums.format(table)))
        for (table,) in await site.books.fetch(database, tables)
    ]


async def _repair(site: Site, name: str, topic: TopicEntry) -> int:
    """The operator's decision: the topic as the contract has it, positions in it forgotten."""
    await made_anew(site, topic)
    spec = site.stack.specs[name]
    job = Child(
        name=f"{name} forget-positions",
        command=[sys.executable, "-m", spec.module, "forget-positions", topic.name],
        log=site.stack.folder / "logs" / f"{name}.forget.log",
        env=own_environment(site.stack.environment(spec, {})),
        folder=_ROOT,
    )
    return await job.run()
