"""Link requests on PostgreSQL: counted under their locks, waited behind at both refs, kept over the migration."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from contracts.messages import Message, identity, opportunities, volunteers
from contracts.messages.refusals import MessageRefused
from contracts.topics import VOLUNTEERS
from services.bridge import store
from services.bridge.states import Account
from services.chassis.base.migrations import migrate
from tests.conftest import NewDatabase
from tests.support.bridge_messages import (
    HOME,
    HOME_REF,
    HOST,
    HOST_REF,
    PERSON,
    T0,
    established,
    link_refused,
    offered,
    origin,
    requested,
    signup,
)
from tests.support.bridge_store import BridgeOnPostgres, bridge_on
from tests.support.statements import statements
from tests.support.templates import migrations_of

AWAIT_FACTS = timedelta(seconds=60)
MIGRATIONS = migrations_of("bridge")


@pytest.fixture
async def border(database: str) -> AsyncIterator[BridgeOnPostgres]:
    async with bridge_on(database) as made:
        yield made


def refused(ref: str = HOST_REF) -> identity.LinkRefused:
    return link_refused("too_many_attempts", origin(), ref)


async def under_way(border: BridgeOnPostgres) -> dict[tuple[str, str], int]:
    async with border.pool.acquire() as db:
        rows = await store.LINKS_UNDER_WAY.fetch(
            db, "SELECT link_under_way.* FROM link_under_way WHERE host = $1", HOST
        )
    return {row.account: row.requests for row in rows}


async def test_six_requests_and_a_refusal_leave_five_to_wait_behind_at_home_and_at_the_host(
    border: BridgeOnPostgres,
) -> None:
    await border.say(HOST, *(requested() for _ in range(6)))
    await border.say(HOST, signup())
    await border.say(HOME, signup(ref=HOME_REF))
    await border.hear(refused())
    await border.pass_time(AWAIT_FACTS + timedelta(seconds=1))
    assert await under_way(border) == {(HOST, HOST_REF): 5, (HOME, HOME_REF): 5}
    assert await border.set_aside() == ["waiting", "waiting"]
    await border.hear(established(origin=origin()))
    await border.reenter()
    assert await border.set_aside() == []
    assert [command.asker for command in await border.sent(opportunities.RequestSignup)] == [HOST, HOME]
    assert await under_way(border) == {(HOST, HOST_REF): 4, (HOME, HOME_REF): 4}
    await border.hear(*(refused() for _ in range(4)))
    assert await under_way(border) == {}


async def test_behind_the_last_refusal_both_sides_are_refused(border: BridgeOnPostgres) -> None:
    await border.say(HOST, requested(), requested())
    await border.say(HOST, signup())
    await border.say(HOME, signup(ref=HOME_REF))
    await border.pass_time(5 * AWAIT_FACTS)
    await border.hear(refused())
    await border.reenter()
    assert await border.sent(MessageRefused) == []
    await border.hear(refused())
    await border.reenter()
    assert [told.reason for told in await border.sent(MessageRefused)] == ["not_linked", "not_linked"]


async def test_a_sign_up_that_was_read_before_its_offer_waits_by_the_host_too(border: BridgeOnPostgres) -> None:
    """It waited by its own registry only; there the offer was found, and the host's request may lie unread."""
    await border.say(HOME, signup(ref=HOME_REF))
    by_home = await border.pool.fetchval("SELECT brought_by FROM set_aside")
    await border.say(HOME, offered())
    border.clock.moment += AWAIT_FACTS + timedelta(seconds=1)
    border.linkage.say(HOST, requested().model_copy(update={"home_ref": "S9"}))  # and nobody has read it
    await border.reenter()
    by_both = await border.pool.fetchval("SELECT brought_by FROM set_aside WHERE reason = 'waiting'")
    assert set(by_both.split(",")) - set(by_home.split(",")) == {VOLUNTEERS.of(HOST).name}
    assert await border.sent(MessageRefused) == []
    await border.linkage.settle()
    assert [told.reason for told in await border.sent(MessageRefused)] == ["not_linked"]


async def test_a_break_of_what_is_not_linked_waits_alone(border: BridgeOnPostgres) -> None:
    """The request that would link it stood behind it."""
    broken = volunteers.LinkBroken(volunteer_ref=HOST_REF, registry=HOME, reason="wrong_person")
    await border.say(HOST, broken, requested())
    assert await border.set_aside() == ["waiting"]
    assert len(await border.sent(identity.RequestLink)) == 1
    await border.hear(established())
    await border.reenter()
    assert len(await border.sent(identity.BreakLink)) == 1


async def test_requests_and_their_answers_at_once_are_all_counted(border: BridgeOnPostgres) -> None:
    """Two transactions at a time change the same rows, one of a registry's lane and one of identity's."""
    await border.say(HOST, *(requested() for _ in range(30)))
    for _ in range(15):
        await asyncio.gather(
            border.say(HOST, *(requested() for _ in range(4))), border.hear(*(refused() for _ in range(5)))
        )
    assert await under_way(border) == {(HOST, HOST_REF): 15, (HOME, HOME_REF): 15}


async def test_a_document_number_as_key_goes_no_further_than_the_quarantine(border: BridgeOnPostgres) -> None:
    """It was the key of the refusal, and stood in its body."""
    number = "440106200401018821"
    asked = border.said(HOST, requested())
    await border.take(border.record(asked)._replace(key=number.encode()))
    (told,) = await border.sent(MessageRefused)
    assert (told.reason, told.message_id, told.refused_key) == ("wrong_key", asked.id, "-")
    for row in await border.pool.fetch("SELECT key, headers, value FROM outbox"):
        assert number not in "".join(map(str, row.values()))
    assert await border.pool.fetchval("SELECT key FROM set_aside") == number.encode()


async def test_requests_under_way_are_kept_over_the_migration_and_links_are_whole(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    database = await new_database()
    for file in MIGRATIONS.glob("000[12]_*.sql"):
        shutil.copy(file, tmp_path)
    await migrate(database, tmp_path)
    db = await asyncpg.connect(database)
    try:
        await db.execute(
            "INSERT INTO account VALUES ('gz', 'G1', NULL, 'host', 'q-1'), ('gz', 'G2', NULL, 'host', NULL),"
            " ('gz', 'G3', $1, 'host', 'q-3'), ('sz', 'S3', $1, 'home', NULL)",
            PERSON,
        )
        await db.execute(
            "INSERT INTO link VALUES ($1, 'gz', 'G3', 'sz', 'S3', 'adult', false, 1, 'active', $2)", PERSON, T0
        )
        await migrate(database, MIGRATIONS)
        assert await store.ACCOUNTS.fetch(db, "SELECT account.* FROM account ORDER BY ref") == [
            Account("gz", "G3", PERSON, "host"),
            Account("sz", "S3", PERSON, "home"),
        ]
        rows = await store.LINKS_UNDER_WAY.fetch(db, "SELECT link_under_way.* FROM link_under_way ORDER BY ref")
        assert [(row.account, row.host, row.requests) for row in rows] == [
            (("gz", "G1"), "gz", 1),
            (("gz", "G3"), "gz", 1),
        ]
        (link,) = await store.LINKS.fetch(db)
        assert link.rests == ()
    finally:
        await db.close(timeout=5)


@pytest.mark.parametrize("kind", ["requests", "refusals"])
async def test_many_requests_of_many_take_as_many_statements_as_one(border: BridgeOnPostgres, kind: str) -> None:
    lane = border.lanes[f"bridge.{HOST}" if kind == "requests" else "bridge"]

    def made(number: int) -> Message:
        refs = {"home_ref": f"S{number}"}
        if kind == "requests":
            return requested().model_copy(update={"volunteer_ref": f"G{number}", **refs})
        return refused(f"G{number}").model_copy(update=refs)

    async def count(numbers: range) -> int:
        messages = [made(n) for n in numbers]
        with statements(lane.connection) as seen:
            await (border.say(HOST, *messages) if kind == "requests" else border.hear(*messages))
        return len(seen)

    if kind == "refusals":
        refs = ({"volunteer_ref": f"G{n}", "home_ref": f"S{n}"} for n in range(502))
        await border.say(HOST, *(requested().model_copy(update=one) for one in refs))
    await count(range(1))  # the first time asyncpg asks for the types
    assert await count(range(1, 2)) == await count(range(2, 502))
