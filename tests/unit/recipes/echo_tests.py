"""The tests that the service ``echo`` brings: every outcome, the whole way beside the other services, and its store."""

from __future__ import annotations

from typing import Final

__all__ = ["TESTS"]

_UNIT: Final = '''"""Echo counts the changes of a person's transfers: alone, and beside all other services."""

from __future__ import annotations

from uuid import UUID, uuid4

from contracts.ids import transfer_id
from contracts.messages import bridge, echo
from contracts.topics import BRIDGE_EVENTS, ECHO_EVENTS
from services.echo.states import Heard
from tests.support.linkages import MOMENT, memory_linkage
from tests.support.said import HOUR, Shift, attested, offered, presence, project, requested


def changed(person: UUID, version: int = 1) -> bridge.TransferChanged:
    return bridge.TransferChanged(
        person=person,
        transfer_id=transfer_id("gz", "R1", version),
        host="gz",
        home="sz",
        record_ref="R1",
        version=version,
        total=60,
        delta=60,
        state="sent",
    )


async def test_each_change_is_counted_for_its_person_and_told() -> None:
    linkage = memory_linkage(("echo",))
    she, he = uuid4(), uuid4()
    for message in (changed(she), changed(he), changed(she, 2)):
        linkage.hear("bridge", BRIDGE_EVENTS, message)
    await linkage.settle()
    told = linkage.log.told(ECHO_EVENTS.name, echo.EchoTold)
    assert [one.times for one in told if one.person == she] == [1, 2]
    assert [one.times for one in told if one.person == he] == [1]
    rows = await linkage.members["echo"].base.all_of(Heard)
    assert {(row.person, row.times) for row in rows} == {(she, 2), (he, 1)}


async def test_a_change_that_comes_twice_counts_once() -> None:
    linkage = memory_linkage(("echo",))
    she = uuid4()
    for _ in range(2):
        linkage.hear("bridge", BRIDGE_EVENTS, changed(she), id="again")
    await linkage.settle()
    assert [one.times for one in linkage.log.told(ECHO_EVENTS.name, echo.EchoTold)] == [1]


async def test_an_hour_that_goes_home_is_heard_by_echo() -> None:
    linkage = memory_linkage()
    shift = Shift("gz", "P1", "H1", MOMENT + 2 * HOUR)
    linkage.say("sz", offered("S1", "gz", MOMENT))
    linkage.say("gz", requested("G1", "sz", "S1"))
    linkage.say("gz", project("P1"))
    linkage.say("gz", shift.published(posts=1))
    await linkage.settle()
    linkage.say("sz", shift.requested("S1", "N1"))
    await linkage.pass_time(2 * HOUR)
    linkage.say("gz", presence(shift, "G1", shift.starts_at))
    await linkage.pass_time(3 * HOUR)
    linkage.say("gz", attested(shift, "G1", "R1", minutes=60))
    await linkage.settle()
    changes = linkage.log.told(BRIDGE_EVENTS.name, bridge.TransferChanged)
    told = linkage.log.told(ECHO_EVENTS.name, echo.EchoTold)
    assert len(changes) >= 1
    assert [one.times for one in told] == list(range(1, len(changes) + 1))
    assert {one.person for one in told} == {one.person for one in changes}
'''
_STORE: Final = '''\
"""Echo's table on PostgreSQL: what is saved is loaded, a large batch costs no more, and nothing rests on a lock."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from contracts.envelope import Event
from contracts.messages.bridge import TransferChanged
from contracts.messages.echo import EchoTold
from contracts.topics import BRIDGE_EVENTS, service_source
from services.chassis.base.settings import Settings
from services.echo.service import build
from services.echo.states import Heard
from tests.conftest import NewDatabase
from tests.support.linkages import postgres_linkage
from tests.support.naming import SECRET
from tests.support.statements import statements
from tests.support.unlocked import overtaken, unlocked
from tests.unit.echo.test_echo import changed


async def test_a_large_batch_takes_as_many_statements_as_a_small_one(new_database: NewDatabase) -> None:
    async with AsyncExitStack() as stack:
        linkage = await postgres_linkage(stack, new_database, ("echo",))
        member = linkage.members["echo"]

        async def taken(count: int) -> int:
            for _ in range(count):
                linkage.hear("bridge", BRIDGE_EVENTS, changed(uuid4()))
            with statements(member.lanes["echo"].connection) as seen:
                await member.take("echo", member.unread("echo"))
            return len(seen)

        await taken(1)  # the first time asyncpg asks for the types
        assert await taken(1) == await taken(500)
        rows = await member.base.all_of(Heard)
        assert len(rows) == 502


async def test_two_changes_of_one_person_at_once_are_two(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def event(message: TransferChanged) -> Event:
        return Event(str(uuid4()), service_source("bridge"), datetime.now(UTC), message)

    settings = Settings(profile="test", naming_secret=SECRET)
    async with unlocked(monkeypatch, database, build(settings), settings) as service:
        she: UUID = uuid4()
        await service.take(0, event(changed(she)))
        before = overtaken()
        await service.together([event(changed(she, 2))], [event(changed(she, 3))])
        assert overtaken() == before + 1
        assert [told.times for told in await service.told(EchoTold)] == [1, 2, 3]
        assert await service.db.fetchval("SELECT times FROM heard") == 3
'''
TESTS: Final = {"tests/unit/echo/test_echo.py": _UNIT, "tests/integration/echo/test_store.py": _STORE}
