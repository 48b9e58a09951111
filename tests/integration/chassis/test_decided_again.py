"""Records that were decided in batches say the same, word by word, when each is decided again at its own moment.

So what a decision says depends on the order of the decisions, on their moments and on nothing else: not on what shared
a batch with it, nor on the order in which a database gives rows.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from contracts.envelope import Event
from contracts.ids import transfer_id
from contracts.messages import Message, deliveries, receipts, volunteers
from contracts.messages.base import Consent
from contracts.topics import (
    ATTENDANCE_COMMANDS,
    ATTENDANCE_EVENTS,
    DELIVERIES,
    IDENTITY_COMMANDS,
    IDENTITY_EVENTS,
    OPPORTUNITIES_COMMANDS,
    OPPORTUNITIES_EVENTS,
    TopicEntry,
    registry_source,
)
from services.adapters.service import build as adapters
from services.attendance.service import build as attendance
from services.bridge.service import build as bridge
from services.chassis.log.records import Record
from services.identity.service import build as identity
from services.opportunities.service import build as opportunities
from tests.conftest import NewDatabase
from tests.support import opportunities_streams
from tests.support.attendance import NOW
from tests.support.attendance_days import crowd
from tests.support.books import T0, Batch, Books, Build, TimedLog, alone, books_of
from tests.support.bridge_messages import HOME, HOST, attested, confirmed, established, signup
from tests.support.identity import Commands
from tests.support.registries import credit

SEEDS = range(2)


def batched(records: Sequence[Record], draw: random.Random) -> list[Batch]:
    """In batches of any size, each of one stream, a second apart."""
    batches: list[Batch] = []
    rest = list(records)
    while rest:
        size = draw.choice((1, 3, 10, 40))
        taken: list[Record] = []
        while rest and len(taken) < size and _group(rest[0]) == _group(taken[0] if taken else rest[0]):
            taken.append(rest.pop(0))
        batches.append(Batch(T0 + timedelta(seconds=len(batches)), taken))
    return batches


def _group(record: Record) -> str:
    return record.topic.rsplit(".", 2)[0] if record.topic.startswith("registry.") else ""


async def both(new_database: NewDatabase, build: Build, batches: Sequence[Batch]) -> Books:
    """What the batches came to; decided one by one they came to the same."""
    together = await books_of(await new_database(), build, batches)
    apart = await books_of(await new_database(), build, alone(batches))
    assert apart.said == together.said
    # A fact also makes ready what the same batch set aside behind it. That is decided once more, and waits again.
    assert len(apart.tables.pop("set_aside")) == len(together.tables.pop("set_aside"))
    assert apart.tables == together.tables
    return together


@pytest.mark.parametrize("number", SEEDS)
async def test_identity(new_database: NewDatabase, number: int) -> None:
    draw, log, ask = random.Random(number), TimedLog(), Commands()
    records = []
    for at in range(150):
        ref, host, code = f"S{draw.randint(1, 4)}", draw.choice(("gz", "fs")), f"code {draw.randint(1, 3)}"
        command: Message = draw.choice(
            (
                ask.offer(code, home_ref=ref, host=host, version=draw.randint(1, 9)),
                ask.request(code, f"G{draw.randint(1, 9)}", home_ref=ref, host=host),
                ask.request(code, f"G{draw.randint(1, 9)}", home_ref=ref, host=host),
                ask.give(draw.randint(1, 9)),
                ask.withdraw(draw.randint(1, 9)),
                ask.break_it("sz"),
                ask.restore("sz"),
            )
        )
        records.append(log.inner(IDENTITY_COMMANDS, "bridge", command, T0 + timedelta(seconds=at)))
    found = await both(new_database, identity, batched(records, draw))
    assert {"link_established", "link_refused", "consent_changed"} <= found.types()


@pytest.mark.parametrize("number", SEEDS)
async def test_opportunities(new_database: NewDatabase, number: int) -> None:
    log, commands = TimedLog(), [(one, T0) for one in opportunities_streams.opening()] + steps(number)
    records = [log.inner(OPPORTUNITIES_COMMANDS, "bridge", command, at) for command, at in commands]
    found = await both(new_database, opportunities, batched(records, random.Random(number)))
    assert {"signup_confirmed", "signup_waitlisted", "signup_withdrawn", "signup_noted"} <= found.types()


def steps(number: int) -> list[tuple[Message, datetime]]:
    """Of many that Hypothesis draws, the longest."""
    drawn: list[list[tuple[Message, datetime]]] = []

    @seed(number)
    @settings(max_examples=20, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(opportunities_streams.steps, min_size=100, max_size=150))
    def take(one: list[tuple[Message, datetime]]) -> None:
        drawn.append(one)

    take()
    return max(drawn, key=len)


@pytest.mark.parametrize("number", SEEDS)
async def test_attendance(new_database: NewDatabase, number: int) -> None:
    log = TimedLog()
    said = crowd(number, [UUID(int=person, version=4) for person in range(1, 4)])
    said.sort(key=lambda one: type(one) in ATTENDANCE_COMMANDS.messages)  # or nearly all waits for its sign-up
    records = [
        log.inner(ATTENDANCE_COMMANDS, "bridge", one, NOW + timedelta(seconds=at))
        if type(one) in ATTENDANCE_COMMANDS.messages
        else log.inner(OPPORTUNITIES_EVENTS, "opportunities", one, NOW + timedelta(seconds=at))
        for at, one in enumerate(said)
    ]
    found = await both(new_database, attendance, batched(records, random.Random(number)))
    assert {"service_confirmed", "service_held"} <= found.types()


@pytest.mark.parametrize("number", SEEDS)
async def test_bridge(new_database: NewDatabase, number: int) -> None:
    draw, log = random.Random(number), TimedLog()
    records: list[Record] = []

    def inner(entry: TopicEntry, sender: str, message: Message) -> None:
        records.append(log.inner(entry, sender, message))

    def outer(code: str, message: Message) -> None:
        records.append(log.outer(Event(f"{code}-{len(records)}", registry_source(code), T0, message)))

    for number in range(1, 4):
        person, host_ref, home_ref = UUID(int=number, version=4), f"G{number}", f"S{number}"
        inner(IDENTITY_EVENTS, "identity", established(person=person, host_ref=host_ref, home_ref=home_ref))
    for at in range(120):
        number, version = draw.randint(1, 3), draw.randint(1, 6)
        person, ref, minutes = UUID(int=number, version=4), f"S{number}", draw.choice((30, 60, 90))
        match draw.randint(0, 6):
            case 0:
                given = Consent(version=at + 2, given_at=T0)
                outer(HOME, volunteers.ConsentGiven(volunteer_ref=ref, registry=HOST, consent=given))
            case 1:
                outer(HOME, volunteers.ConsentWithdrawn(volunteer_ref=ref, registry=HOST, version=at + 2))
            case 2:
                outer(HOST, signup(ref=f"G{number}"))
            case 3:
                outer(HOST, attested(version, minutes, ref=f"G{number}"))
            case 4 | 5:
                told = confirmed(version, minutes, f"R{number}-{draw.randint(1, 3)}")
                inner(ATTENDANCE_EVENTS, "attendance", told.model_copy(update={"person": person}))
            case _:
                transfer = transfer_id(HOST, f"R{number}-{draw.randint(1, 3)}", version)
                took = receipts.CreditAccepted(transfer_id=transfer, volunteer_ref=ref, delta=minutes, posted_at=T0)
                outer(HOME, took)
    found = await both(new_database, bridge, batched(records, draw))
    assert {"credit_posted", "message_refused", "request_signup", "record_consent"} <= found.types()


@pytest.mark.parametrize("number", SEEDS)
async def test_adapters(new_database: NewDatabase, number: int) -> None:
    draw, log, records = random.Random(number), TimedLog(), []
    posted = [credit(f"S{draw.randint(1, 2)}") for _ in range(12)]
    for at in range(120):
        one = draw.choice(posted)
        said: Message = draw.choice(
            (
                one.model_copy(update={"attempt": at + 1}),
                one.model_copy(update={"attempt": at + 1}),
                deliveries.CreditQueried(volunteer_ref=one.volunteer_ref, transfer_id=one.transfer_id, attempt=at + 1),
                deliveries.ConsentChanged(
                    volunteer_ref=one.volunteer_ref,
                    registry="gz",
                    state=draw.choice(("given", "withdrawn")),
                    version=at + 1,
                ),
            )
        )
        records.append(log.inner(DELIVERIES.of("sz"), "bridge", said))
    found = await both(new_database, adapters, batched(records, draw))
    assert found.types() == {"credit_refused", "credit_unknown"}
