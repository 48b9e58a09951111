"""What one registry does, or does not, ends and delays no other's waits and pauses, on broker and database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from contracts.envelope import Event
from contracts.messages import volunteers
from contracts.topics import (
    registry_source,
    service_source,
)
from deploy.tryout.local.broker import Broker
from tests.support.bridge_messages import (
    HOME_REF,
    T0,
    attested,
    established,
    offered,
    requested,
    signup,
)
from tests.support.bridge_running import Running, running_border
from tests.support.waiting import eventually


@pytest.fixture
async def border(broker: Broker, database: str, unique: Callable[[str], str], tmp_path: Path) -> AsyncIterator[Running]:
    async with running_border(broker, database, unique, tmp_path) as made:
        yield made


async def test_a_refusal_comes_though_nothing_is_applied_of_another_registry(border: Running) -> None:
    """Seen: sign-ups of one city that no link was ever begun for were not refused while another city's stream stood."""
    host, home = border.host, border.home
    async with border.standing(host):
        await border.publish([Event("unread", registry_source(host), T0, requested_of(home, "S-other"))])
        await border.publish([Event("of-nobody", registry_source(home), T0, signup(ref="S-nobody", host=host))])
        await border.publish([Event("of-no-visitor", registry_source(home), T0, attested(ref="S-no-visitor"))])
        await eventually(lambda: border.refused(home, 2))
        assert await border.db.fetchval("SELECT count(*) FROM link_under_way") == 0, "the other one stands"
    await eventually(lambda: border.db.fetchval("SELECT count(*) > 0 FROM link_under_way"))


async def test_a_pause_ends_though_nothing_is_applied_of_another_registry(border: Running) -> None:
    host, home, db = border.host, border.home, border.db
    await border.http.post(f"/registries/{home}/pause", json={"why": "it floods"})
    async with border.standing(host):
        await border.publish([Event("unread", registry_source(host), T0, requested_of(home, "S-other"))])
        await border.http.post(f"/registries/{home}/resume", json={"why": "it is quiet again"})
        await eventually(lambda: db.fetchval("SELECT count(*) = 0 FROM pause"))
        assert await db.fetchval("SELECT count(*) FROM link_under_way") == 0, "the other one stands"


async def test_who_was_offered_to_a_host_is_waited_for_while_the_hosts_request_lies_unread(border: Running) -> None:
    """Whoever was never offered to it is refused meanwhile: that host cannot link her."""
    host, home, db = border.host, border.home, border.db
    await border.publish([Event("offer", registry_source(home), T0, offered(host))])
    await eventually(lambda: db.fetchval("SELECT count(*) = 1 FROM consent"))
    async with border.standing(host):
        await border.publish([Event("asked", registry_source(host), T0, requested_of(home, HOME_REF))])
        await border.publish([Event("offered", registry_source(home), T0, signup(ref=HOME_REF, host=host))])
        await eventually(lambda: db.fetchval("SELECT count(*) = 1 FROM set_aside"))
        await border.publish([Event("of-nobody", registry_source(home), T0, signup(ref="S-nobody", host=host))])
        await eventually(lambda: border.refused(home, 1))
        assert await db.fetchval("SELECT count(*) FROM set_aside WHERE deadline < now()") == 1
    linked = established(host=host, home=home)
    await eventually(lambda: db.fetchval("SELECT count(*) = 2 FROM link_under_way"))
    await border.publish([Event("linked", service_source("identity"), T0, linked)])
    await eventually(lambda: db.fetchval("SELECT count(*) = 1 FROM step WHERE what = 'signup_requested'"))
    assert await border.refused(home, 1)


def requested_of(home: str, ref: str) -> volunteers.LinkRequested:
    return requested().model_copy(update={"home": home, "home_ref": ref})
