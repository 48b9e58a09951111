"""A sandbox's books, and the two views in which anyone can audit them."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import TypeAlias

import asyncpg
import pytest
from pydantic import SecretStr

from contracts.envelope import Event
from contracts.messages.refusals import MessageRefused
from deploy.tryout.local.postgres import Postgres
from deploy.tryout.sandbox import books
from deploy.tryout.sandbox.database import migrate
from deploy.tryout.sandbox.kafka_native.letters import letter
from deploy.tryout.sandbox.settings import SandboxSettings
from tests.support.registries import attested, decided, link, one_of_each, own, requested, told
from tests.support.statements import statements

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
OWN_SOURCE = "urn:shuangcheng:registry:gz"


@pytest.fixture
async def connection(database: str) -> AsyncIterator[Connection]:
    settings = SandboxSettings.model_validate({"registry": "gz", "database": SecretStr(database)})
    await migrate(settings)
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


async def keep(connection: Connection, *events: Event) -> int:
    letters = [letter(event, own=event.source == OWN_SOURCE) for event in events]
    async with connection.transaction():
        return len(await books.keep(connection, letters))


async def served(connection: Connection) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await connection.fetch("SELECT * FROM audit_served ORDER BY record_ref")]


def gz(*messages: object) -> list[Event]:
    return [own("gz", message) for message in messages]  # type: ignore[arg-type]


def linkage(*messages: object) -> list[Event]:
    return [told(message) for message in messages]  # type: ignore[arg-type]


VISITOR = [*gz(requested("G-1")), *linkage(link("G-1", "sz", "established"))]


async def test_a_record_nobody_has_decided_on_is_pending(connection: Connection) -> None:
    await keep(connection, *VISITOR, *gz(attested("G-1", "R-1")))
    assert await served(connection) == [("R-1", 1, "G-1", "sz", 90, "pending")]


async def test_home_is_given_for_linked_visitors_only(connection: Connection) -> None:
    await keep(
        connection,
        *VISITOR,
        *gz(requested("G-2"), attested("G-1", "R-1"), attested("G-2", "R-2"), attested("G-3", "R-3")),
        *linkage(link("G-2", "sz", "refused"), link("G-3", "sz", "established")),
    )
    assert [(row[2], row[3]) for row in await served(connection)] == [("G-1", "sz"), ("G-2", None), ("G-3", None)]


async def test_a_visitor_keeps_her_home_when_the_link_is_broken_or_a_second_request_is_refused(
    connection: Connection,
) -> None:
    await keep(connection, *VISITOR, *gz(attested("G-1", "R-1")))
    for state in ("broken", "restored", "refused"):
        await keep(connection, *linkage(link("G-1", "sz", state)))
        assert [row[3] for row in await served(connection)] == ["sz"]
    assert await connection.fetchval("SELECT state FROM link") == "restored"


async def test_the_version_confirmed_last_stays_until_another_one_is_confirmed(connection: Connection) -> None:
    await keep(connection, *VISITOR, *gz(attested("G-1", "R-1", 1), attested("G-1", "R-1", 2, minutes=60)))
    steps = [
        (decided("G-1", "R-1", 1, "confirmed"), (1, 90, "confirmed")),
        (decided("G-1", "R-1", 2, "held"), (1, 90, "confirmed")),
        (decided("G-1", "R-1", 2, "confirmed"), (2, 60, "confirmed")),
    ]
    for message, expected in steps:
        await keep(connection, *linkage(message))
        ((_, version, _, _, minutes, status),) = await served(connection)
        assert (version, minutes, status) == expected


async def test_a_revoked_record_is_revoked_and_a_restored_one_is_confirmed_again(connection: Connection) -> None:
    await keep(connection, *VISITOR, *gz(attested("G-1", "R-1", 1), attested("G-1", "R-1", 2, revoked=True)))
    await keep(connection, *linkage(decided("G-1", "R-1", 1, "confirmed")))
    await keep(connection, *linkage(decided("G-1", "R-1", 2, "revoked", 0)))
    assert [row[1:] for row in await served(connection)] == [(2, "G-1", "sz", 90, "revoked")]
    await keep(connection, *gz(attested("G-1", "R-1", 3, minutes=75)))
    assert [row[1:] for row in await served(connection)] == [(3, "G-1", "sz", 75, "pending")]
    await keep(connection, *linkage(decided("G-1", "R-1", 3, "confirmed")))
    assert [row[1:] for row in await served(connection)] == [(3, "G-1", "sz", 75, "confirmed")]


async def test_a_record_turned_away_at_the_border_is_refused_until_it_is_sent_again(connection: Connection) -> None:
    first = own("gz", attested("G-1", "R-1"), id="m-1")
    refusal = told(MessageRefused(message_id="m-1", reason="not_linked", refused_key="G-1"))
    await keep(connection, refusal)
    await keep(connection, first)
    assert [row[-1] for row in await served(connection)] == ["refused"]
    await keep(connection, *gz(attested("G-1", "R-1", minutes=80)))
    assert [row[4:] for row in await served(connection)] == [(80, "pending")]


async def test_the_order_between_topics_does_not_matter(database: str, connection: Connection) -> None:
    own_topic = gz(attested("G-1", "R-1", 1), attested("G-1", "R-1", 2, minutes=60))
    deliveries = linkage(
        link("G-1", "sz", "established"),
        decided("G-1", "R-1", 1, "confirmed"),
        decided("G-1", "R-1", 2, "confirmed"),
    )
    volunteers = gz(requested("G-1"))
    tables = "inbox, sent, volunteer, link, attestation, decision"
    for order in itertools.permutations([own_topic, deliveries, volunteers]):
        for at_once in (True, False):
            await connection.execute(f"TRUNCATE {tables}")
            await _keep_in(connection, order, at_once=at_once)
            assert await served(connection) == [("R-1", 2, "G-1", "sz", 60, "confirmed")]


async def _keep_in(connection: Connection, order: Sequence[list[Event]], *, at_once: bool) -> None:
    if at_once:
        await keep(connection, *itertools.chain.from_iterable(order))
        return
    for events in order:
        for event in events:
            await keep(connection, event)


async def test_every_letter_takes_effect_once(connection: Connection) -> None:
    events = [own("gz", message) if is_own else told(message) for message, is_own in one_of_each()]
    assert await keep(connection, *events, *events) == len(events)
    before = await _everything(connection)
    assert await keep(connection, *events) == 0
    assert await _everything(connection) == before
    assert all(before.values())


async def test_a_role_that_owns_nothing_reads_both_audit_views_and_no_table(
    connection: Connection, postgres: Postgres
) -> None:
    """They were said to be for anyone, and were for the registry's own role alone."""
    auditor = f"auditor_{uuid.uuid4().hex[:12]}"
    async with postgres.connection() as admin:
        await admin.execute(f"CREATE ROLE {auditor}")
        try:
            database = await connection.fetchval("SELECT current_database()")
            async with postgres.connection(database.removeprefix(postgres.prefix)) as inside:
                await inside.execute(f"SET ROLE {auditor}")
                for view in ("audit_served", "audit_credits"):
                    assert await inside.fetch(f"TABLE {view}") == []
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await inside.fetch("TABLE posting")
        finally:
            await admin.execute(f"DROP ROLE {auditor}")


async def _everything(connection: Connection) -> dict[str, list[object]]:
    elsewhere = [
        "posting",
        "account",
        "web_session",
        "offer",
        "check_in_secret",
        "arrival",
        "opened",
    ]  # the ledger's and the pages'
    tables = await connection.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> ALL($1)", elsewhere
    )
    return {
        row["tablename"]: [tuple(one) for one in await connection.fetch(f"SELECT * FROM {row['tablename']}")]
        for row in tables
    }


async def test_statements_do_not_grow_with_the_batch(connection: Connection) -> None:
    counts = []
    for copies in (1, 200):
        events = [
            own("gz", message) if is_own else told(message)
            for number in range(copies)
            for message, is_own in one_of_each(f"V-{copies}-{number}")
        ]
        with statements(connection) as seen:
            await keep(connection, *events)
        counts.append(len(seen))
    assert counts[0] == counts[1]


async def test_the_ledger_cannot_be_rewritten(connection: Connection) -> None:
    await connection.execute(
        "INSERT INTO posting (posting_key, transfer_id, ref, host, record_ref, version, minutes, total, at) "
        "VALUES ('a', gen_random_uuid(), 'H-1', 'gz', 'R', 1, 90, 90, now())"
    )
    for change in ("UPDATE posting SET minutes = 0", "DELETE FROM posting"):
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await connection.execute(change)


async def test_migrating_twice_at_the_same_time_is_migrating_once(database: str) -> None:
    settings = SandboxSettings.model_validate({"registry": "gz", "database": SecretStr(database)})
    await asyncio.gather(*(migrate(settings) for _ in range(3)))
