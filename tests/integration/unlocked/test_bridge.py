"""The border without its locks: no minute goes home twice, and nothing stays behind that may go."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.envelope import Event
from contracts.messages import Message, bridge, receipts, volunteers
from contracts.messages.deliveries import CreditPosted
from contracts.topics import registry_source, service_source
from deploy.tryout.local.registries import TRYOUT
from services.bridge.service import build
from services.bridge.settings import BridgeSettings
from tests.support.bridge_messages import HOME, HOME_REF, HOST, T0, confirmed, consent, established, person
from tests.support.clocks import HandClock
from tests.support.naming import SECRET
from tests.support.transfers import record_ref_of
from tests.support.unlocked import Unlocked, overtaken, unlocked


@pytest.fixture
async def border(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Unlocked]:
    settings = BridgeSettings(profile="test", naming_secret=SECRET, registries=TRYOUT)
    async with unlocked(monkeypatch, database, build(settings), settings, lanes=3, clock=HandClock(T0)) as made:
        yield made


def heard(message: Message) -> Event:
    return Event(str(uuid4()), service_source(message.TYPE.split(".")[1]), T0, message)


def said(code: str, message: Message) -> Event:
    return Event(str(uuid4()), registry_source(code), T0, message)


def accepted(credit: CreditPosted) -> Event:
    body = receipts.CreditAccepted(
        transfer_id=credit.transfer_id,
        volunteer_ref=credit.volunteer_ref,
        delta=credit.delta,
        posted_at=T0,
        attempt=credit.attempt,
    )
    return said(HOME, body)


async def alone(border: Unlocked, *events: Event) -> None:
    for event in events:
        await border.take(0, event)


async def books(border: Unlocked) -> list[tuple[Any, ...]]:
    rows = await border.db.fetch("SELECT total, posted FROM service_record ORDER BY record_ref")
    return [tuple(row) for row in rows]


async def test_a_receipt_and_a_new_version_at_once_do_not_send_the_same_minutes_again(border: Unlocked) -> None:
    await alone(border, heard(established()), heard(confirmed(1, 60)))
    (credit,) = await border.told(CreditPosted)
    before = overtaken()
    await border.together([accepted(credit)], [heard(confirmed(2, 90))])
    assert overtaken() == before + 1
    assert [(one.delta, one.total) for one in await border.told(CreditPosted)] == [(60, 60), (30, 90)]
    assert await books(border) == [(90, 60)]
    assert await border.aside() == []


async def test_a_receipt_that_is_read_twice_at_once_is_booked_once(border: Unlocked) -> None:
    await alone(border, heard(established()), heard(confirmed(1, 60)))
    (credit,) = await border.told(CreditPosted)
    await border.together([accepted(credit)], [accepted(credit)])
    assert await books(border) == [(60, 60)]


async def test_two_versions_at_once_leave_one_transfer_under_way(border: Unlocked) -> None:
    await alone(border, heard(established()))
    await border.together([heard(confirmed(1, 60))], [heard(confirmed(2, 90))])
    credits = await border.told(CreditPosted)
    states = [row[0] for row in await border.db.fetch("SELECT state FROM transfer ORDER BY version")]
    assert states.count("sent") == 1
    assert len(credits) == 1
    assert await border.db.fetchval("SELECT settled_version FROM service_record") == 2
    assert await border.aside() == []


async def test_a_timer_that_is_read_twice_at_once_sends_one_credit_more(border: Unlocked) -> None:
    await alone(border, heard(established()), heard(confirmed(1, 60)))
    (credit,) = await border.told(CreditPosted)
    due = bridge.CheckReceipt(host=HOST, record_ref="R1", transfer_id=credit.transfer_id, attempt=1)
    await border.together([heard(due)], [heard(due)])
    assert [one.attempt for one in await border.told(CreditPosted)] == [1, 2]


async def test_consent_and_a_service_that_is_withheld_for_want_of_it_do_not_miss_each_other(border: Unlocked) -> None:
    withdrawn = volunteers.ConsentWithdrawn(volunteer_ref=HOME_REF, registry=HOST, version=1)
    await alone(border, heard(established()), said(HOME, withdrawn))
    given = volunteers.ConsentGiven(volunteer_ref=HOME_REF, registry=HOST, consent=consent(2))
    await border.together([said(HOME, given)], [heard(confirmed(1, 60))])
    assert [one.delta for one in await border.told(CreditPosted)] == [60]
    assert await border.db.fetchval("SELECT state FROM transfer") == "sent"


async def test_links_of_one_ref_that_are_told_at_once_leave_one_person(border: Unlocked) -> None:
    await border.together([heard(established(1))], [heard(established(2))])
    assert await border.db.fetchval("SELECT link_version FROM link") == 2
    assert await border.db.fetchval("SELECT count(*) FROM account") == 2
    assert await border.aside() == []


async def test_many_lanes_at_once_without_locks_book_each_minute_once(border: Unlocked) -> None:
    """A home that answers each credit, two services of ours that speak, and consent that comes and goes."""
    chance = random.Random(15)
    people = range(6)
    for n in people:
        await alone(border, heard(established(person=person(n), host_ref=f"G{n}", home_ref=f"S{n}")))
    home = _Home()
    before = overtaken()
    for version in range(1, 9):
        order = [chance.sample(people, len(people)) for _ in range(2)]
        versions = [heard(_confirmed(n, version, chance.randrange(30, 600))) for n in order[0]]
        words = [said(HOME, _consent_of(n, version)) for n in order[1]]
        await _together(border, home.answers(await border.told(CreditPosted)), versions, words)
    while answers := home.answers(await border.told(CreditPosted)):
        await _together(border, answers)
    assert overtaken() > before, "nobody met anybody"
    assert await border.aside() == []
    assert await books(border) == [(total, total) for total, _ in await books(border)]
    rows = await border.db.fetch("SELECT record_ref, total FROM service_record")
    assert {row[0]: row[1] for row in rows} == home.booked


class _Home:
    """A ledger that knows a transfer by its id, and answers every attempt."""

    def __init__(self) -> None:
        self._seen = 0
        self._transfers: dict[UUID, int] = {}
        self.booked: dict[str, int] = {}

    def answers(self, all_credits: Sequence[CreditPosted]) -> list[Event]:
        new, self._seen = all_credits[self._seen :], len(all_credits)
        for credit in new:
            if credit.transfer_id not in self._transfers:
                self._transfers[credit.transfer_id] = credit.delta
                ref = record_ref_of(credit, self.booked)
                self.booked[ref] = self.booked.get(ref, 0) + credit.delta
            assert self._transfers[credit.transfer_id] == credit.delta, "one id, other minutes"
        return [accepted(credit) for credit in new]


async def _together(border: Unlocked, *batches: Sequence[Event]) -> None:
    await border.together(*(batch for batch in batches if batch))


def _confirmed(number: int, version: int, minutes: int) -> Message:
    return confirmed(version, minutes, f"R{number}").model_copy(update={"person": person(number)})


def _consent_of(number: int, version: int) -> Message:
    """Withdrawn with every odd version, given with every even one."""
    if version % 2:
        return volunteers.ConsentWithdrawn(volunteer_ref=f"S{number}", registry=HOST, version=version)
    return volunteers.ConsentGiven(volunteer_ref=f"S{number}", registry=HOST, consent=consent(version))
