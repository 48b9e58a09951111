"""Identity restored from a dump of minutes ago says what it said before: the same persons, under the same ids, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import asyncpg
from pydantic import SecretStr

from contracts.envelope import Event
from contracts.messages import Message
from contracts.messages.identity import LinkBroken, LinkEstablished
from contracts.topics import IDENTITY_COMMANDS, IDENTITY_EVENTS, service_source
from deploy.operate.topics import ensure_topics
from deploy.tryout.local.broker import Broker
from services.chassis.base.migrations import migrate
from services.chassis.service import Stream
from services.identity.service import build
from tests.conftest import NewDatabase
from tests.integration.identity.test_service import publish, read_facts
from tests.support.identity import T0, Commands
from tests.support.restoring import living, name_of, said_on, settings_of, twice

_LINKS = """SELECT home_ref, person, home_break IS NULL AND host_break IS NULL AS active
FROM link JOIN account USING (person) ORDER BY home_ref"""


async def test_a_restored_identity_knows_the_same_persons_and_says_nothing_twice(
    broker: Broker, new_database: NewDatabase, unique: Callable[[str], str]
) -> None:
    commands = replace(IDENTITY_COMMANDS, name=unique("identity-commands"))
    await ensure_topics(broker.address, [commands, IDENTITY_EVENTS])
    first = await new_database()
    settings = settings_of(broker, first)
    built = build(settings)
    sources = frozenset({service_source("bridge"), service_source("identity")})
    service = replace(built, streams=(Stream(unique("identity"), (commands,), sources),))
    await migrate(first, service.migrations)
    ask, before, after = Commands(), [unique(f"S{n}") for n in range(5)], [unique(f"T{n}") for n in range(20)]

    async def tell(name: str, messages: list[Message]) -> None:
        await publish(
            broker,
            commands.name,
            [Event(unique(f"{name}{n}"), service_source("bridge"), T0, one) for n, one in enumerate(messages)],
        )

    def linked(homes: list[str]) -> list[Message]:
        pairs = [(ask.offer(f"c{h}", home_ref=h), ask.request(f"c{h}", f"G-{h}", home_ref=h)) for h in homes]
        return [one for pair in pairs for one in pair]

    async with living(service, settings):
        await tell("a", linked(before))
        await read_facts(broker, before, len(before))
    restored = await new_database(name_of(first))  # the dump
    async with living(service, settings):
        await tell("b", linked(after))
        await tell("c", [ask.break_it("sz").model_copy(update={"home_ref": before[0]})])
        told = await read_facts(broker, before + after, len(before) + len(after) + 1)

    async with living(service, settings.model_copy(update={"database": SecretStr(restored)})):
        await tell("d", [ask.break_it("sz").model_copy(update={"home_ref": after[0]})])
        again = await read_facts(broker, before + after, len(told) + 1)

    old, new = await asyncpg.connect(first), await asyncpg.connect(restored)
    try:
        persons = {row["home_ref"]: row["person"] for row in await old.fetch(_LINKS)}
        assert {row["home_ref"]: row["person"] for row in await new.fetch(_LINKS)} == persons
        active = {row["home_ref"]: row["active"] for row in await new.fetch(_LINKS)}
        assert [ref for ref, stands in active.items() if not stands] == sorted([before[0], after[0]])
        assert await new.fetchval("SELECT count(*) FROM restored") == 0
        assert await new.fetchval("SELECT count(*) FROM said_since WHERE again") == len(after) + 1
        assert await new.fetchval("SELECT count(*) FROM set_aside") == 0
    finally:
        await old.close()
        await new.close()
    assert len(again) == len(told) + 1
    established = [fact for fact in again if isinstance(fact, LinkEstablished)]
    assert {fact.home_ref: fact.person for fact in established} == persons
    assert sorted(fact.home_ref for fact in again if isinstance(fact, LinkBroken)) == sorted([before[0], after[0]])
    assert twice(await said_on(broker, IDENTITY_EVENTS.name)) == []
