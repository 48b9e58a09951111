"""Identity's tables on PostgreSQL: what is saved is loaded, constraints guard, batches do not race."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterable
from typing import Any, cast
from uuid import uuid4

import asyncpg
import pytest

from contracts.messages import Message
from contracts.messages.base import AgeBand
from contracts.messages.identity import LinkEstablished, LinkRefused
from services.chassis.base.database import Connection
from services.chassis.batch.storage import POSTGRES, Storage
from services.identity.states import Account, ConsentState, Link, Offer, Request, Role
from services.identity.store import ACCOUNTS, CONSENTS, LINKS, IdentityStore
from tests.integration.identity.conftest import Linker
from tests.support.identity import MINUTE, T0, Commands, consent, hash_of
from tests.support.saving import save
from tests.support.statements import statements
from tests.support.waiting import eventually

ask = Commands()


def a_link(**changes: Any) -> Link:
    return dataclasses.replace(
        Link(uuid4(), "gz", "G1", 1, hash_of("code"), AgeBand.FROM_16, True, "volunteer_asked", None), **changes
    )


async def test_every_row_comes_back_as_it_was_saved_and_as_it_was_changed(linker: Linker) -> None:
    person = uuid4()
    origin = ask.request().origin
    rows: list[Any] = [
        Account("sz", "S1", person),
        Offer(person, "gz", hash_of("code"), AgeBand.UNDER_14, False, T0, T0 + MINUTE),
        Request("e1", "sz", "S1", "gz", "G1", hash_of("code"), T0, origin),
        a_link(person=person),
        ConsentState(person, "gz", "given", 3, consent(3, T0 + MINUTE)),
        Role("gz", "G1", "host"),
    ]
    changed: list[Any] = [
        rows[0],
        dataclasses.replace(rows[1], code_hash=hash_of("new"), age_band=AgeBand.ADULT),
        dataclasses.replace(rows[2], host_ref="G2"),
        dataclasses.replace(rows[3], version=2, home_break=None, host_break="abuse"),
        ConsentState(person, "gz", "withdrawn", 3, None),
        rows[5],
    ]
    for state in (rows, changed):
        for table, row in zip(IdentityStore.tables, state, strict=True):
            await save(linker.db, table, row)
            assert await table.fetch(linker.db, "") == [row]


async def test_a_host_account_cannot_be_saved_for_a_second_person(linker: Linker) -> None:
    first, second = uuid4(), uuid4()
    await ACCOUNTS.add(linker.db, [Account("sz", "S1", first), Account("sz", "S2", second)])
    await LINKS.add(linker.db, [a_link(person=first)])
    with pytest.raises(asyncpg.UniqueViolationError):
        await LINKS.add(linker.db, [a_link(person=second)])
    with pytest.raises(asyncpg.UniqueViolationError):
        await ACCOUNTS.add(linker.db, [Account("sz", "S3", first)])


async def test_a_row_of_nobody_and_a_consent_without_text_cannot_be_saved(linker: Linker) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await LINKS.add(linker.db, [a_link()])
    await ACCOUNTS.add(linker.db, [Account("sz", "S1", person := uuid4())])
    with pytest.raises(asyncpg.CheckViolationError):
        await CONSENTS.add(linker.db, [ConsentState(person, "gz", "given", 1, None)])


async def test_offer_and_request_meet_over_two_batches_in_either_order(linker: Linker) -> None:
    await linker.batch(ask.offer())
    await linker.batch(ask.request())
    await linker.batch(ask.request(home_ref="S2", host_ref="G2"))
    await linker.batch(ask.offer(home_ref="S2"))
    facts = [fact for fact in await linker.facts() if isinstance(fact, LinkEstablished)]
    assert [(fact.home_ref, fact.host_ref) for fact in facts] == [("S1", "G1"), ("S2", "G2")]
    assert await linker.base.due() == {}


async def test_a_request_without_an_offer_is_refused_by_its_timer(linker: Linker) -> None:
    await linker.batch(ask.request())
    await linker.linkage.pass_time(5 * MINUTE)
    (fact,) = await linker.facts()
    assert isinstance(fact, LinkRefused)
    assert fact.reason == "no_offer"
    assert await linker.rows() == []


async def test_what_strangers_asked_about_numbers_that_are_nobodys_leaves_no_row(linker: Linker) -> None:
    """300 guesses made 300 persons and 300 requests, for ever."""
    guesses = [ask.request(f"guess{n}", f"G{n}", home_ref=f"nobody{n}") for n in range(300)]
    await linker.batch(*guesses[:150])
    await linker.batch(*guesses[150:])
    await linker.linkage.pass_time(6 * MINUTE)
    reasons = [fact.reason for fact in await linker.facts() if isinstance(fact, LinkRefused)]
    assert reasons == ["no_offer"] * 300
    assert await linker.rows() == []


async def test_a_request_that_comes_and_is_answered_in_one_batch_is_never_written(linker: Linker) -> None:
    await linker.batch(ask.request("late", "G2", home_ref="S2"))
    await linker.batch(ask.request(), ask.offer(), ask.offer("late", home_ref="S2"))
    assert await linker.base.all_of(Request) == []
    assert len(await linker.base.all_of(Link)) == 2


async def test_what_a_batch_decided_is_known_to_the_next_one(linker: Linker) -> None:
    await linker.batch(ask.give(2), ask.offer(version=2), ask.request(), ask.break_it("gz", "abuse"))
    await linker.batch(ask.restore("sz"), ask.restore("gz"), ask.withdraw(2))
    await linker.batch(ask.request())
    told = [(type(fact).__name__, getattr(fact, "reason", None)) for fact in await linker.facts()]
    assert told == [
        ("ConsentChanged", None),
        ("LinkEstablished", None),
        ("LinkBroken", "abuse"),
        ("CommandRefused", "not_yours_to_restore"),
        ("LinkRestored", None),
        ("ConsentChanged", None),
        ("LinkRefused", "already_linked"),
    ]


class Held:
    """PostgreSQL, where a batch stops before its commit until somebody else is at the barrier."""

    def __init__(self, meet: asyncio.Barrier) -> None:
        self._meet = meet

    def __getattr__(self, name: str) -> Any:
        return getattr(POSTGRES, name)

    async def make_ready(self, db: Connection, facts: Iterable[str]) -> int:
        """The last that a batch writes."""
        found = await POSTGRES.make_ready(db, facts)
        await self._meet.wait()
        return found


async def race(first: Linker, second: Linker, one: Message, other: Message) -> list[Message]:
    """Both in transactions at once: the second starts after the first has decided and not yet committed.

    The second decides once, by what the first has committed: nothing had to be decided again.
    """
    meet = asyncio.Barrier(2)
    first.member.base = dataclasses.replace(first.base, storage=cast("Storage", Held(meet)))
    for each in (first, second):
        await each.member.start()
    places = [first.hears(one), second.hears(other)]
    assert places[0] != places[1], "one process would read both, one after the other"
    blocked = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1"

    async def stands() -> bool:
        return late.done() or bool(await first.base.pool.fetchval(blocked, second.db.get_server_pid()))

    with statements(second.db) as seen:
        early = asyncio.create_task(first.member.take("identity", places[:1]))
        await eventually(lambda: meet.n_waiting == 1)
        late = asyncio.create_task(second.member.take("identity", places[1:]))
        await eventually(stands)
        await meet.wait()
        await asyncio.gather(early, late)
    assert sum("FROM account" in statement for statement in seen) == 1
    return await first.facts()


async def test_two_offers_at_once_whose_requests_name_one_host_account_link_it_once(
    pair: tuple[Linker, Linker],
) -> None:
    first, second = pair
    await first.batch(ask.request("hers"), ask.request("his", home_ref="S2"))
    facts = await race(first, second, ask.offer("hers"), ask.offer("his", home_ref="S2"))
    assert [(type(fact).__name__, getattr(fact, "reason", None)) for fact in facts] == [
        ("LinkEstablished", None),
        ("LinkRefused", "already_linked"),
    ]


async def test_an_account_does_not_become_a_guest_and_a_home_at_once(pair: tuple[Linker, Linker]) -> None:
    first, second = pair
    await first.batch(ask.request("hers", "G2"))
    facts = await race(first, second, ask.offer("hers"), ask.offer(home="gz", home_ref="G2", host="hz"))
    assert [(type(fact).__name__, getattr(fact, "reason", None)) for fact in facts] == [
        ("LinkEstablished", None),
        ("CommandRefused", "guest_account"),
    ]


async def test_a_large_batch_takes_as_many_statements_as_a_small_one(linker: Linker) -> None:
    async def taken(count: int, first: int) -> int:
        refs = [f"{first + n}" for n in range(count)]
        with statements(linker.db) as seen:
            await linker.batch(*[ask.request(f"c{ref}", f"G{ref}", home_ref=f"S{ref}") for ref in refs])
            await linker.batch(*[ask.offer(f"c{ref}", home_ref=f"S{ref}") for ref in refs])
        return len(seen)

    await taken(1, 0)  # the first time asyncpg asks for the types
    small, large = await taken(1, 1), await taken(500, 2)
    assert small == large
    assert len(await linker.base.all_of(Link)) == 502
