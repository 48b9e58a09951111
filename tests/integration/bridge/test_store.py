"""The border's tables on PostgreSQL: the journey, forgeries, races, constraints and the number of statements."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from contracts.ids import transfer_id
from contracts.messages import Message, attendance, identity, opportunities, receipts, volunteers
from contracts.messages.deliveries import CreditPosted, CreditReported, LinkChanged
from contracts.messages.refusals import MessageRefused
from services.bridge import store
from services.bridge.reading import queries
from services.bridge.states import (
    Account,
    ConsentState,
    Link,
    LinkUnderWay,
    Pause,
    Refusal,
    RegistryMessage,
    ServiceState,
    Step,
    Transfer,
)
from services.bridge.store import BridgeStore
from tests.support.bridge_messages import (
    HOME,
    HOME_REF,
    HOST,
    HOST_REF,
    MINUTE,
    PERSON,
    T0,
    attested,
    confirmed,
    consent,
    established,
    person,
    record,
    signup,
)
from tests.support.bridge_store import BridgeOnPostgres, bridge_on
from tests.support.saving import save
from tests.support.statements import statements


@pytest.fixture
async def border(database: str) -> AsyncIterator[BridgeOnPostgres]:
    async with bridge_on(database) as made:
        yield made


def link_of(number: int, **fields: Any) -> identity.LinkEstablished:
    return established(person=person(number), host_ref=f"G{number}", home_ref=f"S{number}", **fields)


def confirmed_of(number: int, version: int = 1, minutes: int = 60) -> attendance.ServiceConfirmed:
    return confirmed(version, minutes, f"R{number}").model_copy(update={"person": person(number)})


def accepted(number: int, version: int = 1, delta: int = 60) -> receipts.CreditAccepted:
    return receipts.CreditAccepted(
        transfer_id=transfer_id(HOST, f"R{number}", version), volunteer_ref=f"S{number}", delta=delta, posted_at=T0
    )


def signup_of(number: int) -> Message:
    return signup(ref=f"G{number}")


async def test_an_hour_goes_the_whole_way(border: BridgeOnPostgres) -> None:
    offer = volunteers.LinkOffered(
        volunteer_ref=HOME_REF,
        for_registry=HOST,
        code_hash="a" * 64,
        age_band=established().age_band,
        guardian_approved=True,
        consent=consent(),
        expires_at=T0 + MINUTE,
    )
    await border.say(HOME, offer)
    await border.say(
        HOST, volunteers.LinkRequested(volunteer_ref=HOST_REF, home=HOME, home_ref=HOME_REF, code="c" * 43)
    )
    await border.hear(established())
    await border.say(HOST, signup())
    await border.say(HOST, attested())
    await border.hear(confirmed(1, 60))
    (credit,) = await border.sent(CreditPosted)
    answer = receipts.CreditAccepted(
        transfer_id=credit.transfer_id, volunteer_ref=HOME_REF, delta=credit.delta, posted_at=T0
    )
    await border.say(HOME, answer)
    for kind in (identity.OfferLink, identity.RequestLink, opportunities.RequestSignup, attendance.AttestService):
        assert len(await border.sent(kind)) == 1
    assert len(await border.sent(LinkChanged)) == 2
    assert [report.state for report in await border.sent(CreditReported)] == ["credited"]
    assert await border.set_aside() == []
    async with border.pool.acquire() as db:
        found = await queries.figures(db)
        assert await db.fetchval("SELECT count(*) FROM timer") == 0
    (direction,) = found.directions
    assert (direction["confirmed"], direction["credited"], direction["service_records"]) == (60, 60, 1)


async def test_every_row_comes_back_as_it_was_saved_and_as_it_was_changed(border: BridgeOnPostgres) -> None:
    service_row = ServiceState(
        HOST, "R1", PERSON, HOME, record(), "held", "overlap", 60, 0, 0, 0, transfer_id(HOST, "R1", 1)
    )
    transfer_row = Transfer(
        transfer_id(HOST, "R1", 1),
        HOST,
        "R1",
        PERSON,
        HOME,
        HOME_REF,
        1,
        record(),
        60,
        60,
        "sent",
        None,
        1,
        (1,),
        False,
        T0,
    )
    rows: list[Any] = [
        Account(HOST, HOST_REF, PERSON, "host"),
        LinkUnderWay(HOME, HOME_REF, HOST, 2, T0),
        Link(PERSON, HOST, HOST_REF, HOME, HOME_REF, established().age_band, True, 1, "active", T0),
        ConsentState(HOME, HOME_REF, HOST, 1, "given", T0),
        service_row,
        transfer_row,
        Step(uuid4(), PERSON, T0, T0, "link_established", HOST, "", {"version": 1, "reason": None}),
        Refusal(uuid4(), HOST, "not_linked", "t", T0),
        RegistryMessage(uuid4(), HOST, "G1/attested/3", "t"),
        Pause(HOME, "mei", "its ledger is restored", T0, T0 + MINUTE),
    ]
    changed = [
        dataclasses.replace(rows[0], person=person(2)),
        dataclasses.replace(rows[1], requests=1),
        dataclasses.replace(rows[2], state="broken", link_version=2, rests=((T0 - MINUTE, T0),)),
        dataclasses.replace(rows[3], state="withdrawn", valid_until=None),
        dataclasses.replace(service_row, state="confirmed", reason=None, settled_version=1, total=60, posted=60),
        dataclasses.replace(transfer_row, state="credited", unanswered=(), queried=False),
    ]
    async with border.pool.acquire() as db:
        for table, row in zip(BridgeStore.tables, rows, strict=True):
            await table.add(db, [row])
            assert await table.fetch(db) == [row]
        for table, row in zip(BridgeStore.tables, changed, strict=False):
            await save(db, table, row)
            assert await table.fetch(db) == [row]


async def test_a_wrong_decision_meets_the_constraint_of_one_transfer_under_way(border: BridgeOnPostgres) -> None:
    await border.hear(established(), confirmed(1, 60))
    async with border.pool.acquire() as db:
        (first,) = await store.TRANSFERS.fetch(db)
        second = dataclasses.replace(first, id=transfer_id(HOST, "R1", 2), version=2)
        with pytest.raises(asyncpg.ExclusionViolationError):
            await save(db, store.TRANSFERS, second)
        await save(db, store.TRANSFERS, second, dataclasses.replace(first, state="credited", unanswered=()))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (HOST, lambda n: signup_of(n)),
        (HOST, lambda n: attested(1, 60, f"G{n}").model_copy(update={"record_ref": f"R{n}"})),
        (None, lambda n: link_of(n, version=2)),
        (None, lambda n: confirmed_of(n, 2, 50)),
        (HOME, lambda n: accepted(n)),
        (HOME, lambda n: volunteers.ConsentGiven(volunteer_ref=f"S{n}", registry=HOST, consent=consent(9))),
    ],
    ids=["signups", "attendance", "links", "confirmations", "receipts", "consent"],
)
async def test_500_messages_take_as_many_statements_as_one(
    border: BridgeOnPostgres, code: str | None, kind: Any
) -> None:
    everyone = range(502)
    for part in (everyone[:250], everyone[250:]):
        await border.hear(*(link_of(n) for n in part))
        await border.hear(*(confirmed_of(n) for n in part))
    lane = border.lanes["bridge" if code is None else f"bridge.{code}"]

    async def count(numbers: range) -> int:
        made = [kind(n) for n in numbers]
        with statements(lane.connection) as seen:
            await (border.hear(*made) if code is None else border.say(code, *made))
        return len(seen)

    await count(everyone[:1])  # the first time asyncpg asks for the types
    one, many = await count(everyone[1:2]), await count(everyone[2:])
    assert one == many
    assert one < 30
    assert await border.set_aside() == []


async def test_a_forged_message_takes_no_effect_and_the_topics_owner_is_told(border: BridgeOnPostgres) -> None:
    await border.hear(established(), confirmed(1, 60))
    right_form_wrong_sender = border.said(HOME, signup())
    another_services_word = border.said(HOST, confirmed(2, 600))
    another_types_topic = border.said(HOST, attested())
    topic = f"registry.{HOST}.signups.v1"
    forged = right_form_wrong_sender, another_services_word, another_types_topic
    await border.take(*(border.record(event, topic) for event in forged))
    refused = [(told.message_id, told.reason) for told in await border.sent(MessageRefused)]
    assert sorted(refused) == sorted(
        [
            (right_form_wrong_sender.id, "wrong_source"),
            (another_services_word.id, "wrong_topic"),
            (another_types_topic.id, "wrong_topic"),
        ]
    )
    assert await border.sent(opportunities.RequestSignup) == []
    async with border.pool.acquire() as db:
        assert (await queries.figures(db)).directions[0]["confirmed"] == 60


async def test_a_registry_cannot_act_for_anothers_volunteer(border: BridgeOnPostgres) -> None:
    """The host's number in the home's mouth, another's transfer, another's link: each refused, none applied."""
    await border.hear(established(), confirmed(1, 60))
    stolen = receipts.CreditAccepted(
        transfer_id=transfer_id(HOST, "R1", 1), volunteer_ref=HOST_REF, delta=60, posted_at=T0
    )
    await border.say(HOST, stolen)
    await border.say(HOST, volunteers.ConsentWithdrawn(volunteer_ref=HOST_REF, registry=HOME, version=9))
    await border.say(HOME, signup(ref=HOST_REF), attested(1, 200, ref=HOST_REF))
    await border.pass_time(timedelta(seconds=61))
    reasons = sorted(refused.reason for refused in await border.sent(MessageRefused))
    assert reasons == ["not_linked", "not_linked", "not_yours", "not_yours"]
    assert await border.sent(opportunities.RequestSignup) == []
    async with border.pool.acquire() as db:
        assert (await queries.figures(db)).directions[0]["credited"] == 0
        assert sorted((await queries.figures(db)).refusals) == [
            (HOST, "not_yours", 2),
            (HOME, "not_linked", 2),
        ]


async def test_a_lost_receipt_is_asked_for_by_a_timer_and_the_repeat_is_the_same_transfer(
    border: BridgeOnPostgres,
) -> None:
    await border.hear(established(), confirmed(1, 60))
    await border.pass_time(timedelta(seconds=31))
    first, again = await border.sent(CreditPosted)
    assert again == first.model_copy(update={"attempt": 2})


async def test_the_same_code_reads_what_an_earlier_batch_wrote(border: BridgeOnPostgres) -> None:
    """A correction, a withdrawal and its renewal over several batches: the home's ledger ends at the right total."""
    await border.hear(link_of(1))
    await border.hear(confirmed_of(1, 1, 120))
    await border.hear(confirmed_of(1, 2, 90))
    await border.say(HOME, accepted(1, 1, 120))
    await border.say(HOME, volunteers.ConsentWithdrawn(volunteer_ref="S1", registry=HOST, version=1))
    await border.say(HOME, accepted(1, 2, -30))
    revoked = attendance.ServiceRevoked.model_validate(confirmed_of(1, 3).model_dump() | {"minutes": 0})
    await border.hear(revoked)
    assert [credit.delta for credit in await border.sent(CreditPosted)] == [120, -30, -90], "what takes back waits not"
    await border.say(HOME, accepted(1, 3, -90))
    await border.hear(confirmed_of(1, 4, 60))
    assert len(await border.sent(CreditPosted)) == 3, "a raise waits for consent"
    await border.say(HOME, volunteers.ConsentGiven(volunteer_ref="S1", registry=HOST, consent=consent(2)))
    assert [credit.delta for credit in await border.sent(CreditPosted)] == [120, -30, -90, 60]
    await border.say(HOME, accepted(1, 4, 60))
    async with border.pool.acquire() as db:
        (row,) = await store.RECORDS.fetch(db)
    assert (row.total, row.posted, row.state) == (60, 60, "confirmed")
