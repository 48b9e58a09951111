"""Identity without its locks: an account is one person's, a guest is nobody's home, and a code is good once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from contracts.envelope import Event
from contracts.messages import Message
from contracts.messages.identity import CommandRefused, LinkEstablished, LinkRefused
from contracts.topics import service_source
from services.chassis.base.settings import Settings
from services.identity.service import build
from tests.support.clocks import HandClock
from tests.support.identity import T0, Commands
from tests.support.naming import SECRET
from tests.support.unlocked import Unlocked, overtaken, unlocked

ask = Commands()


@pytest.fixture
async def service(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Unlocked]:
    settings = Settings(profile="test", naming_secret=SECRET, await_facts=60)
    async with unlocked(monkeypatch, database, build(settings), settings, clock=HandClock(T0)) as made:
        yield made


def said(command: Message) -> Event:
    return Event(str(uuid4()), service_source("bridge"), T0, command)


async def alone(service: Unlocked, *commands: Message) -> None:
    for command in commands:
        await service.take(0, said(command))


async def together(service: Unlocked, *commands: Message) -> None:
    await service.together(*([said(command)] for command in commands))


async def test_a_home_account_that_two_batches_see_first_is_one_person(service: Unlocked) -> None:
    before = overtaken()
    await together(service, ask.offer(host="gz"), ask.offer(host="hz"))
    assert overtaken() == before + 1
    assert await service.db.fetchval("SELECT count(*) FROM account") == 1
    assert await service.db.fetchval("SELECT count(*) FROM offer") == 2
    assert await service.aside() == []


async def test_a_host_account_that_two_persons_ask_for_at_once_becomes_one_of_theirs(service: Unlocked) -> None:
    await alone(service, ask.offer("one"), ask.offer("two", home_ref="S2"))
    await together(service, ask.request("one"), ask.request("two", home_ref="S2"))
    assert len(await service.told(LinkEstablished)) == 1
    assert [refused.reason for refused in await service.told(LinkRefused)] == ["already_linked"]
    assert await service.aside() == []


async def test_an_account_that_is_linked_as_a_guests_and_offered_as_a_home_at_once_is_one_of_both(
    service: Unlocked,
) -> None:
    await alone(service, ask.offer())
    await together(service, ask.request(), ask.offer(home="gz", home_ref="G1", host="hz"))
    linked = len(await service.told(LinkEstablished))
    refused = [message.reason for message in await service.told(CommandRefused)]
    refused += [message.reason for message in await service.told(LinkRefused)]
    assert refused == (["guest_account"] if linked else ["already_linked"])
    assert [tuple(row) for row in await service.db.fetch("SELECT registry, ref FROM role ORDER BY 1")] == [
        ("gz", "G1"),
        ("sz", "S1"),
    ]


async def test_a_fresh_code_that_two_bring_at_once_is_good_for_one(service: Unlocked) -> None:
    await alone(service, ask.offer(), ask.request(), ask.offer("new", version=None))
    before = overtaken()
    await together(service, ask.request("new", "G2"), ask.request("new", "G3"))
    assert overtaken() == before + 1
    told = [message.host_ref for message in await service.told(LinkEstablished)]
    assert told == ["G1", "G1"]
    assert [refused.reason for refused in await service.told(LinkRefused)] == ["code_used"]


async def test_words_on_consent_at_once_leave_the_newest(service: Unlocked) -> None:
    await alone(service, ask.offer())
    await together(service, ask.withdraw(3), ask.give(2))
    assert dict(await service.db.fetchrow("SELECT state, version FROM consent") or {}) == {
        "state": "withdrawn",
        "version": 3,
    }


async def test_both_sides_breaks_at_once_both_stand(service: Unlocked) -> None:
    await alone(service, ask.offer(), ask.request())
    await together(service, ask.break_it("sz"), ask.break_it("gz"))
    row = await service.db.fetchrow("SELECT version, home_break, host_break FROM link")
    assert tuple(row or ()) == (3, "volunteer_asked", "volunteer_asked")
