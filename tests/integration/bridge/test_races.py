"""Registries and inner services at once on PostgreSQL: nobody orphaned, nobody locked out, order kept."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts.messages import Message, attendance, identity, opportunities, volunteers
from services.bridge import store
from services.bridge.reading import queries
from tests.support.bridge_messages import HOME, HOST, attested, confirmed, consent, established, person, signup
from tests.support.bridge_store import BridgeOnPostgres, bridge_on


@pytest.fixture
async def border(database: str) -> AsyncIterator[BridgeOnPostgres]:
    async with bridge_on(database) as made:
        yield made


def link_of(number: int, **fields: Any) -> identity.LinkEstablished:
    return established(person=person(number), host_ref=f"G{number}", home_ref=f"S{number}", **fields)


def confirmed_of(number: int, version: int = 1, minutes: int = 60) -> attendance.ServiceConfirmed:
    return confirmed(version, minutes, f"R{number}").model_copy(update={"person": person(number)})


def signup_of(number: int) -> Message:
    return signup(ref=f"G{number}")


async def test_what_waits_for_its_link_keeps_its_order_and_nothing_else_waits_with_it(
    border: BridgeOnPostgres,
) -> None:
    await border.hear(link_of(1))
    versions = [attested(version, 60 + version, "G2") for version in (1, 2, 3)]
    await border.say(HOST, *versions, attested(1, 60, "G1"))
    assert await border.set_aside() == ["waiting", "behind", "behind"]
    await border.hear(link_of(2))
    await border.reenter()
    commands = await border.sent(attendance.AttestService)
    assert [(c.person, c.record.version) for c in commands] == [
        (person(1), 1),
        *((person(2), version) for version in (1, 2, 3)),
    ]
    assert await border.set_aside() == []


async def test_racing_links_and_those_who_wait_for_them_leave_nobody_orphaned(border: BridgeOnPostgres) -> None:
    """A thousand times the fact meets the message that waits for it, in two transactions at once."""
    waited, applied_at_once = 0, 0
    for start in range(0, 1000, 10):
        numbers = range(start, start + 10)
        asked = border.say(HOST, *(signup_of(n) for n in numbers))
        told = border.hear(*(link_of(n) for n in reversed(numbers)))
        effects = (await asyncio.gather(asked, told))[0] if start % 20 else (await asyncio.gather(told, asked))[1]
        waited += len(effects.asides)
        applied_at_once += len(effects.applied)
    print("ORDERS", waited, applied_at_once)
    await border.reenter()
    assert waited + applied_at_once == 1000
    assert min(waited, applied_at_once) > 0, "only one of the two orders has been tried"
    assert await border.set_aside() == []
    assert {command.person for command in await border.sent(opportunities.RequestSignup)} == {
        person(n) for n in range(1000)
    }


async def test_both_registries_and_inner_services_at_once_do_not_lock_each_other_out(border: BridgeOnPostgres) -> None:
    people, seeded = range(30), random.Random(11)
    await border.hear(*(link_of(n) for n in people))
    for version in range(1, 13):
        order = [seeded.sample(people, len(people)) for _ in range(3)]
        withdrawn = version % 2 == 0
        await asyncio.gather(
            border.say(HOST, *(attested(version, 60, f"G{n}") for n in order[0])),
            border.say(
                HOME,
                *(
                    volunteers.ConsentWithdrawn(volunteer_ref=f"S{n}", registry=HOST, version=version - 1)
                    if withdrawn
                    else volunteers.ConsentGiven(volunteer_ref=f"S{n}", registry=HOST, consent=consent(version))
                    for n in order[1]
                ),
            ),
            border.hear(*(confirmed_of(n, version, 60 + version) for n in order[2])),
        )
    assert await border.set_aside() == []
    async with border.pool.acquire() as db:
        states = {row.state for row in await store.TRANSFERS.fetch(db)}
        (direction,) = (await queries.figures(db)).directions
    assert states <= {"sent", "withheld", "superseded", "queued"}
    parts = ("credited", "withheld", "refused", "uncertain", "in_flight")
    assert direction["confirmed"] == sum(direction[part] for part in parts) == 30 * 72
