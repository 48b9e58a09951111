"""Clocks that disagree: a stranger's, the log's and our own. Nothing honest is refused for good over any of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from contracts.envelope import Event
from contracts.messages import Message, opportunities, signups
from contracts.messages.refusals import MessageRefused
from contracts.topics import OPPORTUNITIES_COMMANDS
from deploy.operate.registries import CONFIGURED
from services.chassis.log.records import Record
from tests.support.bridge_messages import HOST, MINUTE, T0, established, signup
from tests.support.bridge_store import BridgeOnPostgres, bridge_on


@pytest.fixture
async def border(database: str) -> AsyncIterator[BridgeOnPostgres]:
    async with bridge_on(database) as made:
        await made.hear(established())
        yield made


def _said(border: BridgeOnPostgres, message: Message, after: timedelta) -> Event:
    event = border.said(HOST, message)
    return Event(event.id, event.source, T0 + after, message)


def _stamped(record: Record, after: timedelta, *, appended: bool) -> Record:
    """As a log holds it whose records have such a time, its own or the producer's."""
    return record._replace(timestamp=int((T0 + after).timestamp() * 1000), appended=appended)


async def test_a_border_whose_own_clock_is_slow_applies_what_the_log_bears_out(border: BridgeOnPostgres) -> None:
    record = border.record(_said(border, signup(), 6 * MINUTE))
    await border.take(_stamped(record, 6 * MINUTE, appended=True))
    assert len(await border.sent(opportunities.RequestSignup)) == 1
    assert await border.set_aside() == []


async def test_where_the_log_says_nothing_it_waits_until_its_time_has_come_and_what_follows_waits_behind_it(
    border: BridgeOnPostgres,
) -> None:
    early = _stamped(border.record(_said(border, signup(), 6 * MINUTE)), 6 * MINUTE, appended=False)
    later = border.record(_said(border, signup(signups.SignupWithdrawn), timedelta(0)))
    await border.take(early, later)
    assert await border.set_aside() == ["waiting", "behind"]
    await border.pass_time(timedelta(seconds=59))
    assert await border.set_aside() == ["waiting", "behind"]
    await border.pass_time(timedelta(seconds=1))
    assert await border.set_aside() == []
    assert await border.sent(MessageRefused) == []
    assert len(await border.sent(opportunities.RequestSignup)) == 1
    assert len(await border.sent(opportunities.WithdrawSignup)) == 1


async def test_a_producers_own_stamp_bears_nothing_out(border: BridgeOnPostgres) -> None:
    """Or any stranger could make his own future true."""
    day = timedelta(hours=25)
    await border.take(_stamped(border.record(_said(border, signup(), day)), day, appended=False))
    assert [refused.reason for refused in await border.sent(MessageRefused)] == ["time_in_future"]


async def test_a_log_whose_clock_is_days_ahead_makes_no_honest_message_old(database: str) -> None:
    async with bridge_on(database, CONFIGURED) as border:
        await border.hear(established())
        days = 3 * timedelta(days=1)
        await border.take(_stamped(border.record(_said(border, signup(), timedelta(0))), days, appended=True))
        assert await border.sent(MessageRefused) == []
        assert len(await border.sent(opportunities.RequestSignup)) == 1


async def test_what_is_handed_on_is_judged_at_the_earlier_of_its_own_time_and_its_arrival_even_after_a_wait(
    border: BridgeOnPostgres,
) -> None:
    """A registry whose clock is ahead got posts before sign-up opened."""
    ahead = _stamped(border.record(_said(border, signup(), 4 * MINUTE)), MINUTE, appended=True)
    far_ahead = _stamped(border.record(_said(border, signup(), 9 * MINUTE)), 2 * MINUTE, appended=True)
    past = _stamped(border.record(_said(border, signup(), -MINUTE)), MINUTE, appended=True)
    await border.take(ahead, past, far_ahead)
    await border.pass_time(10 * MINUTE)
    assert await border.set_aside() == []
    times = [event.time for event in border.linkage.log.events(OPPORTUNITIES_COMMANDS.name)]
    assert [f"{time:%H:%M}" for time in times] == [f"{T0 + after:%H:%M}" for after in (MINUTE, -MINUTE, 2 * MINUTE)]
