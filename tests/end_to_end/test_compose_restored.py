"""The runbooks on a real engine: their commands, as they stand there, on Kafka and PostgreSQL that are in use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.topics import RECEIPTS
from deploy.linkage import SERVICES, container_of
from tests.support.compose import ATTESTED, OTHER, WEEKEND, Linkage, lines, running
from tests.support.facts import Facts, differences, taken
from tests.support.runbooks import commands
from tests.support.topics_read import TopicsRead
from tests.support.waiting import eventually

pytestmark = [pytest.mark.compose, pytest.mark.whole, pytest.mark.timeout(900)]

RESTORED = (*SERVICES, "adapter_sz")
DATABASES = (*RESTORED, *(f"sandbox_{code}" for code in OTHER))
BEFORE_THE_BACKUP = 10
"""Events of the weekend: one of its two links, one of its sign-ups. Every service has something to replay."""
ACTS = {"bridge": ["pause sz", "resume sz"]}
OF_ACTS = "bridge.pausing"
"""What operators did is listed, and nothing in the log does it again."""
MAY_SAY = {"adapter_sz": RECEIPTS.of("sz").name}
"""An adapter that finds itself restored asks its registry again, and passes on what it hears."""


@dataclass
class Monday:
    """A backup from the middle of the weekend, and how everything stands after it."""

    backup: Path
    facts: Facts
    topics: TopicsRead


@pytest.fixture(scope="module")
def linkage(request: pytest.FixtureRequest) -> Iterator[Linkage]:
    with running(request.session) as linkage:
        yield linkage


@pytest.fixture(scope="module")
async def monday(linkage: Linkage, tmp_path_factory: pytest.TempPathFactory) -> Monday:
    backup = tmp_path_factory.mktemp("backups") / "saturday"
    linkage.send(lines(WEEKEND[:BEFORE_THE_BACKUP]))
    await eventually(lambda: linkage.query("bridge", "SELECT 1 FROM link"), every=1, what="the first link stands")
    for command in commands("Backups"):
        linkage.shell(command, BACKUP=backup)
    for act in ACTS["bridge"]:
        acts_upon_sz(linkage, act.split()[0])
    linkage.send(lines(WEEKEND[BEFORE_THE_BACKUP:]))
    facts = await at_rest(linkage)
    topics = TopicsRead(f"127.0.0.1:{linkage.ports['KAFKA']}", OTHER)
    await topics.read_on()
    return Monday(backup, facts, topics)


def acts_upon_sz(linkage: Linkage, act: str) -> None:
    """An operator pauses the registry sz, or resumes it."""
    url = f"http://127.0.0.1:{linkage.ports['BRIDGE']}/registries/sz/{act}"
    order: dict[str, Any] = {
        "json": {"why": "its ledger is looked at"},
        "headers": {"authorization": f"Bearer {linkage.token}"},
    }
    httpx.post(url, **order, timeout=30, trust_env=False).raise_for_status()


def corrected() -> list[dict[str, Any]]:
    """The latest version of each service record once more, in the next version, with a longer break."""
    latest = {event["data"]["record_ref"]: event for event in WEEKEND if event["type"] == ATTESTED}
    return [
        event | {
            "id": f"{event['id']}-corrected",
            "data": event["data"] | {"version": event["data"]["version"] + 1, "break_minutes": 7},
        }
        for event in latest.values()
    ]  # fmt: skip


def balanced(linkage: Linkage, *, corrections: int) -> dict[str, int]:
    """Minutes by host once each record stands at its last version and both cities' books have the same."""
    last = {event["data"]["record_ref"]: event["data"]["version"] for event in WEEKEND if event["type"] == ATTESTED}
    minutes: dict[str, int] = {}
    found: dict[str, int] = {}
    for host, home in OTHER.items():
        rows = linkage.query(f"sandbox_{host}", "SELECT record_ref, version, home, minutes, status FROM audit_served")
        assert all(status in ("confirmed", "held") for *_, status in rows), rows
        found |= {ref: int(version) for ref, version, *_ in rows}
        minutes[host] = sum(int(row[3]) for row in rows if row[2] == home and row[4] == "confirmed")
        credits = linkage.query(f"sandbox_{home}", "SELECT coalesce(sum(minutes), 0) FROM audit_credits")
        assert minutes[host] == int(credits[0][0]) > 0
    assert found == {ref: version + corrections for ref, version in last.items()}
    assert linkage.query("bridge", "SELECT id FROM transfer WHERE state IN ('queued', 'sent', 'uncertain')") == []
    return minutes


async def facts_of(linkage: Linkage) -> Facts:
    return {name: rows for name, rows in (await taken(linkage, DATABASES)).items() if name != OF_ACTS}


async def at_rest(linkage: Linkage) -> Facts:
    """The facts of all databases once everything is booked and two readings of them are equal."""
    await eventually(lambda: balanced(linkage, corrections=0), every=1)
    before = await facts_of(linkage)

    async def unchanged() -> Facts:
        nonlocal before
        before, earlier = await facts_of(linkage), before
        assert not differences(earlier, before)
        return before

    return await eventually(unchanged, every=0.5)


@pytest.mark.parametrize("name", RESTORED)
async def test_a_database_comes_back_by_the_runbook_and_nothing_is_otherwise(
    name: str, linkage: Linkage, monday: Monday
) -> None:
    service = container_of(name)
    told = restored(linkage, monday, name, service)
    assert f"{name}: restored as of " in told
    assert re.findall(r"did at \S+: (.+)", told) == ACTS.get(name, []), "what operators did since, in order"
    assert "(healthy)" in told
    assert linkage.inspect(service)["State"]["Health"]["Status"] == "healthy"
    assert linkage.query(name, "SELECT count(*) > 0 FROM said_since") == [["t"]], "there was something to replay"
    await eventually(lambda: same(linkage, monday), every=1)
    assert linkage.query(name, "SELECT * FROM set_aside WHERE reason = 'said_otherwise'") == []
    fresh, again = await monday.topics.read_on()
    assert [str(one) for one in fresh if one.topic != MAY_SAY.get(name)] == []
    assert again == []
    assert monday.topics.doubled() == []


def restored(linkage: Linkage, monday: Monday, name: str, service: str) -> str:
    """All that the runbook's commands print."""
    known = {"BACKUP": monday.backup, "NAME": name, "SERVICE": service}
    return "".join(linkage.shell(command, **known) for command in commands("A database is lost"))


async def same(linkage: Linkage, monday: Monday) -> bool:
    """Whether each fact is one again, and no other."""
    found: Sequence[str] = differences(monday.facts, await facts_of(linkage))
    assert not found, found
    return True


@pytest.mark.usefixtures("monday")
async def test_once_everything_was_restored_it_goes_on(linkage: Linkage) -> None:
    before = balanced(linkage, corrections=0)
    linkage.send(lines(corrected()))
    after = await eventually(lambda: balanced(linkage, corrections=1), every=1)
    assert all(after[host] != minutes for host, minutes in before.items())
