"""What operators watch and do at the border: what moves, where books may differ, registries that rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from contracts.ids import transfer_id
from contracts.messages import attendance, receipts, volunteers
from contracts.messages.deliveries import CreditPosted
from services.bridge import store
from services.bridge.store import RECORDS
from tests.support.bridge_http import bridge_http, of
from tests.support.bridge_messages import HOME, HOME_REF, HOST, T0, attested, confirmed, established
from tests.support.bridge_store import BridgeOnPostgres, bridge_on
from tests.support.waiting import eventually

OPERATOR = of("operator")
WHY = {"why": "its ledger is being restored"}


@pytest.fixture
async def border(database: str) -> AsyncIterator[BridgeOnPostgres]:
    async with bridge_on(database) as made:
        made.clock.moment = datetime.now(UTC)  # what is asked of a running service is judged by its real clock
        await made.hear(established())
        yield made


@pytest.fixture
async def client(border: BridgeOnPostgres) -> AsyncIterator[httpx.AsyncClient]:
    async with bridge_http(border) as made:
        yield made


def accepted(credit: CreditPosted, delta: int | None = None) -> receipts.CreditAccepted:
    booked = credit.delta if delta is None else delta
    return receipts.CreditAccepted(
        transfer_id=credit.transfer_id, volunteer_ref=HOME_REF, delta=booked, posted_at=T0, attempt=credit.attempt
    )


async def test_flows_tell_what_is_open_what_ended_and_how_long_it_took(
    border: BridgeOnPostgres, client: httpx.AsyncClient
) -> None:
    await border.say(HOST, attested(1, 60))
    await border.hear(confirmed(1, 60))
    border.clock.moment += timedelta(seconds=5)
    (credit,) = await border.sent(CreditPosted)
    await border.say(HOME, accepted(credit))
    held = attendance.ServiceHeld.model_validate(confirmed(1, 30, "R3").model_dump() | {"reason": "no_check_in"})
    await border.hear(confirmed(1, 45, "R2"), held)
    span = {"minutes": 1440}
    body = (await client.get("/flows", params=span, headers=OPERATOR)).json()
    open_ = [(row["home"], row["state"], row["reason"], row["transfers"], row["minutes"]) for row in body["open"]]
    assert open_ == [(HOME, "sent", "", 1, 45), (HOME, "held", "no_check_in", 1, 30)]
    assert body["ended"] == []
    (minute,) = body["by_minute"]
    assert (minute["host"], minute["home"], minute["transfers"], minute["minutes"]) == (HOST, HOME, 1, 60)
    assert (minute["median"], minute["slowest"]) == (5.0, 5.0)


async def test_what_was_refused_is_told_with_its_minutes(border: BridgeOnPostgres, client: httpx.AsyncClient) -> None:
    await border.hear(confirmed(1, 60))
    (credit,) = await border.sent(CreditPosted)
    no = receipts.CreditRefused(transfer_id=credit.transfer_id, volunteer_ref=HOME_REF, reason="closed_account")
    await border.say(HOME, no)
    body = (await client.get("/flows", headers=OPERATOR)).json()
    assert [(row["state"], row["transfers"], row["minutes"]) for row in body["ended"]] == [("refused", 1, 60)]
    assert (body["open"], body["by_minute"]) == ([], [])


async def test_what_ended_before_the_span_is_not_told(border: BridgeOnPostgres, client: httpx.AsyncClient) -> None:
    border.clock.moment -= timedelta(days=2)
    await border.hear(confirmed(1, 60))
    (credit,) = await border.sent(CreditPosted)
    await border.say(HOME, accepted(credit))
    body = (await client.get("/flows", headers=OPERATOR)).json()
    assert (body["open"], body["ended"], body["by_minute"]) == ([], [], [])


async def test_differences_are_uncertain_transfers_and_contradicting_receipts(
    border: BridgeOnPostgres, client: httpx.AsyncClient
) -> None:
    await border.hear(confirmed(1, 60))
    (credit,) = await border.sent(CreditPosted)
    assert (await client.get("/differences", headers=OPERATOR)).json() == {"total": 0, "uncertain": [], "conflicts": []}
    await border.say(HOME, accepted(credit, delta=61))
    body = (await client.get("/differences", headers=OPERATOR)).json()
    (one,) = body["uncertain"]
    assert body["total"] == 1
    assert (await client.get("/differences?limit=0", headers=OPERATOR)).json() == body | {"uncertain": []}
    assert (one["record_ref"], one["delta"], one["reason"]) == ("R1", 60, "delta_conflict")
    assert [(row["registry"], row["receipts"]) for row in body["conflicts"]] == [(HOME, 1)]


async def end_of_the_pause(border: BridgeOnPostgres) -> bool:
    """As the running bridge does it once it has heard everything that was said meanwhile."""
    async with border.pool.acquire() as db:
        ((code, resumed_at),) = await store.resuming(db)
        return await store.end_pause(db, code, resumed_at, border.clock.now())


async def test_a_pause_holds_credits_back_and_its_end_sends_them_at_once(
    border: BridgeOnPostgres, client: httpx.AsyncClient
) -> None:
    seat = (await client.post(f"/registries/{HOME}/pause", json=WHY, headers=OPERATOR)).json()
    assert seat["paused"]["why"] == WHY["why"]
    again = (await client.post(f"/registries/{HOME}/pause", json={"why": "again"}, headers=OPERATOR)).json()
    assert again["paused"]["why"] == WHY["why"], "the first word stands"
    await border.hear(confirmed(1, 60))
    assert await border.sent(CreditPosted) == []
    (waiting,) = (await client.get("/flows", headers=OPERATOR)).json()["open"]
    assert (waiting["state"], waiting["reason"]) == ("queued", "registry_paused")
    assert (await client.get("/registries", headers=OPERATOR)).json()[HOME]["paused"]["operator"] == "operator"
    seat = (await client.post(f"/registries/{HOME}/resume", json=WHY, headers=OPERATOR)).json()
    assert seat["paused"]["resumed_at"] is not None
    await border.pass_time(timedelta(minutes=6))
    assert await border.sent(CreditPosted) == [], "what it said meanwhile is not all applied yet"
    assert await end_of_the_pause(border)
    await border.pass_time(timedelta(0))
    assert [credit.transfer_id for credit in await border.sent(CreditPosted)] == [transfer_id(HOST, "R1", 1)]
    await client.post(f"/registries/{HOME}/resume", json=WHY, headers=OPERATOR)
    told = await border.pool.fetch("SELECT paused, operator, why FROM pausing ORDER BY number")
    # What came to nothing is not on record.
    assert [tuple(row) for row in told] == [(True, "operator", WHY["why"]), (False, "operator", WHY["why"])]


async def test_consent_withdrawn_during_a_pause_holds_when_it_ends(
    border: BridgeOnPostgres, client: httpx.AsyncClient
) -> None:
    await client.post(f"/registries/{HOME}/pause", json=WHY, headers=OPERATOR)
    await border.hear(confirmed(1, 60))
    await client.post(f"/registries/{HOME}/resume", json=WHY, headers=OPERATOR)
    await border.say(HOME, volunteers.ConsentWithdrawn(volunteer_ref=HOME_REF, registry=HOST, version=1))
    await end_of_the_pause(border)
    await border.pass_time(timedelta(0))
    assert await border.sent(CreditPosted) == []
    (waiting,) = (await client.get("/flows", headers=OPERATOR)).json()["open"]
    assert (waiting["state"], waiting["reason"]) == ("withheld", "consent_withdrawn")


async def test_a_registry_paused_anew_while_it_is_resumed_stays_paused(
    border: BridgeOnPostgres, client: httpx.AsyncClient
) -> None:
    for what in ("pause", "resume"):
        await client.post(f"/registries/{HOME}/{what}", json=WHY, headers=OPERATOR)
    async with border.pool.acquire() as db:
        ((code, resumed_at),) = await store.resuming(db)
        seat = (await client.post(f"/registries/{HOME}/pause", json=WHY, headers=OPERATOR)).json()
        assert seat["paused"]["resumed_at"] is None
        assert not await store.end_pause(db, code, resumed_at, border.clock.now())
        assert await store.paused_groups(db) == {f"bridge.{HOME}"}


async def test_a_batch_that_has_read_the_pause_is_waited_for_by_its_end(
    border: BridgeOnPostgres, client: httpx.AsyncClient
) -> None:
    """A batch had read the pause, the pause ended, and what the batch then held up waited five minutes."""
    for what in ("pause", "resume"):
        await client.post(f"/registries/{HOME}/{what}", json=WHY, headers=OPERATOR)
    save, read, go_on = RECORDS.save, asyncio.Event(), asyncio.Event()

    async def slowly(db: Any, rows: Any) -> None:
        read.set()
        await go_on.wait()
        await save(db, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RECORDS, "save", slowly)
        deciding = asyncio.create_task(border.hear(confirmed(1, 60)))
        await read.wait()
        ending = asyncio.create_task(end_of_the_pause(border))
        await eventually(lambda: border.pool.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))
        go_on.set()
        await asyncio.gather(deciding, ending)
    await border.pass_time(timedelta(0))
    assert len(await border.sent(CreditPosted)) == 1


async def test_what_is_set_aside_of_a_paused_registry_stays_until_it_is_resumed(
    border: BridgeOnPostgres, client: httpx.AsyncClient
) -> None:
    await border.say(HOST, attested(ref="G-nobody"))
    assert await border.set_aside() == ["waiting"]
    await client.post(f"/registries/{HOST}/pause", json=WHY, headers=OPERATOR)
    await border.pass_time(timedelta(minutes=5))
    assert await border.set_aside() == ["waiting"]
    await client.post(f"/registries/{HOST}/resume", json=WHY, headers=OPERATOR)
    await border.pass_time(timedelta(0))
    assert await border.set_aside() == []


@pytest.mark.parametrize("path", ["/flows", "/differences", "/registries"])
async def test_only_operators_watch(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 401
    assert (await client.get(path, headers=of(HOME))).status_code == 403


@pytest.mark.parametrize(
    ("code", "body", "who", "status"),
    [
        (HOME, WHY, HOME, 403),
        ("zz", WHY, "operator", 404),
        (HOME, {}, "operator", 422),
        (HOME, {"why": " "}, "operator", 422),
        (HOME, {"why": "x" * 301}, "operator", 422),
        (HOME, {"why": "a\0b"}, "operator", 422),
    ],
)
@pytest.mark.parametrize("what", ["pause", "resume"])
async def test_a_pause_that_is_not_an_operators_or_says_no_reason_changes_nothing(
    border: BridgeOnPostgres,
    client: httpx.AsyncClient,
    what: str,
    code: str,
    body: dict[str, str],
    who: str,
    status: int,
) -> None:
    answer = await client.post(f"/registries/{code}/{what}", json=body, headers=of(who))
    assert answer.status_code == status
    assert await border.pool.fetchval("SELECT count(*) FROM pausing") == 0
