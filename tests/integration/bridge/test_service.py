"""The border as a process on broker and database: the journey of many volunteers over real topics, each effect once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from contracts.envelope import Event
from contracts.ids import transfer_id
from contracts.messages import Message, receipts, volunteers
from contracts.messages.deliveries import CreditPosted
from contracts.topics import (
    registry_source,
    service_source,
)
from deploy.tryout.local.broker import Broker
from tests.support.bridge_messages import T0, attested, confirmed, established, person, signup
from tests.support.bridge_running import Running, running_border
from tests.support.waiting import eventually

PEOPLE = range(40)


@pytest.fixture
async def border(broker: Broker, database: str, unique: Callable[[str], str], tmp_path: Path) -> AsyncIterator[Running]:
    async with running_border(broker, database, unique, tmp_path) as made:
        yield made


async def test_many_hours_go_the_whole_way_and_a_replay_changes_nothing(border: Running) -> None:
    host, home, db = border.host, border.home, border.db
    said = [event for n in PEOPLE for event in journey(host, home, n)]
    await border.publish(said)
    posted = await border.posted(len(PEOPLE))
    await border.publish([answer(home, credit) for credit in posted] + said)
    await eventually(lambda: db.fetchval("SELECT count(*) = $1 FROM transfer WHERE state = 'credited'", len(PEOPLE)))
    await eventually(lambda: db.fetchval("SELECT count(*) = 0 FROM outbox"))
    assert await db.fetchval("SELECT count(*) FROM set_aside") == 0
    assert await db.fetchval("SELECT sum(posted) = sum(total) FROM service_record")
    assert {credit.transfer_id for credit in posted} == {transfer_id(host, f"R{n}", 1) for n in PEOPLE}
    assert len(await border.posted(len(PEOPLE))) == len(PEOPLE)


async def test_a_paused_registry_is_not_read_until_it_is_resumed_and_nothing_of_it_is_lost(border: Running) -> None:
    host, home, db = border.host, border.home, border.db
    answered = await border.http.post(f"/registries/{host}/pause", json={"why": "its clock is wrong"})
    assert answered.status_code == 200
    assert (answered.json()["paused"]["operator"], answered.json()["paused"]["why"]) == ("mei", "its clock is wrong")
    await border.publish([event for n in PEOPLE for event in journey(host, home, n)])
    # The home's consents and the inner services' words are read meanwhile: it waits alone.
    await eventually(lambda: db.fetchval("SELECT count(*) = $1 FROM service_record", len(PEOPLE)))
    await eventually(lambda: db.fetchval("SELECT count(*) = $1 FROM consent", len(PEOPLE)))
    spoken = "SELECT count(*) FROM step WHERE what IN ('signup_requested', 'service_attested')"
    assert await db.fetchval(spoken) == 0

    async def nothing_else_is_unread() -> bool:
        return bool((await border.http.get("/health/ready")).json()["lag"] == 2 * len(PEOPLE))

    await eventually(nothing_else_is_unread)
    answered = await border.http.post(f"/registries/{host}/resume", json={"why": "it is right again"})
    assert answered.json()["paused"]["resumed_at"] is not None
    await eventually(lambda: db.fetchval(f"SELECT ({spoken}) = $1", 2 * len(PEOPLE)))
    await eventually(lambda: db.fetchval("SELECT count(*) = 0 FROM pause"))
    assert await db.fetchval("SELECT count(*) FROM set_aside") == 0


async def test_nobody_elses_time_stands_still_while_a_registry_is_paused(border: Running) -> None:
    host, home, db = border.host, border.home, border.db
    await border.http.post(f"/registries/{home}/pause", json={"why": "it floods"})
    await border.publish([event for event in journey(host, home, 0) if event.source == registry_source(home)])
    stranger = Event("of-nobody", registry_source(host), T0, attested(ref="G-nobody"))
    await border.publish([stranger])
    refused = "SELECT count(*) = 1 FROM refusal WHERE registry = $1 AND reason = 'not_linked'"
    await eventually(lambda: db.fetchval(refused, host))
    assert await db.fetchval("SELECT count(*) FROM consent") == 0, "the paused one is not read"


def journey(host: str, home: str, n: int) -> list[Event]:
    """One volunteer's messages; what needs her link comes before it."""
    linked = established(person=person(n), host=host, host_ref=f"G{n}", home=home, home_ref=f"S{n}")
    given = volunteers.ConsentGiven(volunteer_ref=f"S{n}", registry=host, consent=linked.consent)
    served = confirmed(1, 60 + n, f"R{n}", host).model_copy(update={"person": person(n)})
    outer: list[tuple[str, Message]] = [
        (host, signup(ref=f"G{n}", host=host)),
        (host, attested(1, 60 + n, f"G{n}").model_copy(update={"record_ref": f"R{n}"})),
        (home, given),
    ]
    inner: list[tuple[str, Message]] = [("attendance", served), ("identity", linked)]
    return [Event(f"{host}-{n}-{m.TYPE}", registry_source(code), T0, m) for code, m in outer] + [
        Event(f"{host}-{n}-{m.TYPE}", service_source(name), T0, m) for name, m in inner
    ]


def answer(home: str, credit: CreditPosted) -> Event:
    booked = receipts.CreditAccepted(
        transfer_id=credit.transfer_id, volunteer_ref=credit.volunteer_ref, delta=credit.delta, posted_at=T0
    )
    return Event(f"answer-{credit.transfer_id}", registry_source(home), T0, booked)


async def test_a_pause_that_cannot_be_ended_is_told_and_ends_once_the_database_lets_it(border: Running) -> None:
    """Tried again for ever: what was transient was not even logged, and the border was ready."""
    refuse = """CREATE FUNCTION refuse_end() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = '53100'; END $$;
        CREATE TRIGGER refuse BEFORE DELETE ON pause FOR EACH ROW EXECUTE FUNCTION refuse_end()"""
    await border.db.execute(refuse)
    for what in ("pause", "resume"):
        answer = await border.http.post(f"/registries/{border.home}/{what}", json={"why": "its ledger is restored"})
        assert answer.status_code == 200, answer.text

    async def told(*words: str) -> bool:
        why = (await border.http.get("/health/ready")).json()["why"]
        return any(all(word in one for word in words) for one in why) if words else not why

    await eventually(lambda: told("pauses stands", "53100"))
    await border.db.execute("DROP TRIGGER refuse ON pause")
    await eventually(lambda: border.db.fetchval("SELECT count(*) = 0 FROM pause"))
    await eventually(told)
