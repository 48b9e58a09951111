"""What a service names follows from the message and the service's secret: decided again, it is named the same."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from contracts.envelope import Event
from contracts.messages import Message
from contracts.topics import (
    ATTENDANCE_EVENTS,
    IDENTITY_COMMANDS,
    IDENTITY_EVENTS,
    registry_source,
)
from services.bridge.service import build as bridge
from services.chassis.base.faults import CannotStart
from services.chassis.log.records import Record
from services.chassis.process.runtime import Runtime
from services.identity.service import build as identity
from tests.conftest import NewDatabase
from tests.support.books import T0, Batch, Books, Build, TimedLog, books_of
from tests.support.bridge_messages import HOST, attested, confirmed, established, signup
from tests.support.identity import Commands
from tests.support.naming import SECRET
from tests.support.rig import Rig, first_lane

OTHER = SecretStr("from-this-all-ids-of-another-linkage")


async def decided(
    new_database: NewDatabase, build: Build, batches: Sequence[Sequence[Record]], secret: SecretStr
) -> Books:
    return await books_of(await new_database(), build, [Batch(T0, records) for records in batches], secret)


async def test_identity_gives_the_same_persons_and_events_the_same_ids_on_every_database(
    new_database: NewDatabase,
) -> None:
    log, ask = TimedLog(), Commands()
    commands: list[Message] = [ask.request(home_ref="S9", host_ref="G9")]  # waits for its offer, with a timer
    for number in range(4):
        offer = ask.offer(f"code {number}", home_ref=f"S{number}")
        asked = ask.request(f"code {number}" if number else "another", f"G{number}", home_ref=f"S{number}")
        commands += [asked, offer] if number % 2 else [offer, asked]
    batches = [[log.inner(IDENTITY_COMMANDS, "bridge", one)] for one in commands]
    first, again, other = [await decided(new_database, identity, batches, secret) for secret in (SECRET, SECRET, OTHER)]
    assert len(first.tables["account"]) == 4
    assert len(first.tables["request"]) > 0
    assert len(first.tables["timer"]) > 0
    assert len(first.said) >= 4
    assert again.tables == first.tables
    for name in ("account", "timer", "link"):
        assert set(first.tables[name]).isdisjoint(other.tables[name])
    assert first.ids().isdisjoint(other.ids())


async def test_a_database_takes_no_other_secret_than_its_first(rig: Rig) -> None:
    async with rig.running() as runtime:
        await first_lane(runtime)
    for _ in range(2):
        with pytest.raises(CannotStart, match="not the one that this database was begun with") as refused:
            async with asyncio.timeout(120):
                await Runtime(rig.tally.service(), rig.settings.model_copy(update={"naming_secret": OTHER})).run()
        assert OTHER.get_secret_value() not in str(refused.value)
    async with rig.running() as runtime:
        await first_lane(runtime)


async def test_what_a_service_says_bears_the_moment_of_its_decision_and_a_later_decision_a_later_one(
    new_database: NewDatabase,
) -> None:
    log, ask = TimedLog(), Commands()
    offers = [log.inner(IDENTITY_COMMANDS, "bridge", ask.offer("code", home_ref=f"S{n}")) for n in range(3)]
    asked = [ask.request("code", f"G{n}", home_ref=f"S{n}") for n in range(3)]
    batches = [offers, [log.inner(IDENTITY_COMMANDS, "bridge", one) for one in asked]]
    books = await decided(new_database, identity, batches, SECRET)
    first = (T0 - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    said = [
        int(headers["ce_decidedat"]) for headers, _ in books.said if headers["ce_type"].endswith("link_established.v1")
    ]
    assert said == [first, first + 1, first + 2]


async def test_the_border_says_writes_down_and_refuses_the_same_again(new_database: NewDatabase) -> None:
    log = TimedLog()
    asked, stranger = (Event(f"e{ref}", registry_source(HOST), T0, signup(ref=ref)) for ref in ("G1", "G2"))
    reused = replace(asked, data=signup(ref="G1").model_copy(update={"signup_ref": "another"}))
    service = Event("attested", registry_source(HOST), T0, attested())
    batches = [
        [log.inner(IDENTITY_EVENTS, "identity", established())],
        [log.outer(asked), log.outer(stranger), log.outer(reused), log.outer(service), log.outer(service, b"no JSON")],
        [log.inner(ATTENDANCE_EVENTS, "attendance", confirmed(1, 60))],
    ]
    first, again, other = [await decided(new_database, bridge, batches, secret) for secret in (SECRET, SECRET, OTHER)]
    assert {"request_signup", "credit_posted", "message_refused"} <= first.types()
    assert len(first.tables["step"]) > 0
    assert len(first.tables["timer"]) > 0
    assert again.tables == first.tables
    assert first.ids().isdisjoint(other.ids())
    for name in ("step", "timer"):
        assert set(first.tables[name]).isdisjoint(other.tables[name])
