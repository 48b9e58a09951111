"""What registries and operators can ask: their own volunteers only, and books that add up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from contracts.messages import attendance
from tests.support.bridge_http import bridge_http, of
from tests.support.bridge_messages import HOME, HOME_REF, HOST, HOST_REF, confirmed, established, signup
from tests.support.bridge_store import BridgeOnPostgres, bridge_on


@pytest.fixture
async def border(database: str) -> AsyncIterator[BridgeOnPostgres]:
    async with bridge_on(database) as made:
        await made.hear(established(), confirmed(1, 60), confirmed(1, 30, "R2", host=HOME))
        yield made


@pytest.fixture
async def client(border: BridgeOnPostgres) -> AsyncIterator[httpx.AsyncClient]:
    async with bridge_http(border) as made:
        yield made


async def test_a_registrys_app_reads_the_timeline_of_its_own_volunteer(client: httpx.AsyncClient) -> None:
    answer = await client.get("/timeline", params={"registry": HOME, "ref": HOME_REF}, headers=of(HOME))
    assert answer.status_code == 200
    body = answer.json()
    assert [(s["host"], s["minutes"]) for s in body["services"]] == [(HOST, 60), (HOME, 30)]
    assert body["services"][0]["next"] == "home"
    assert {step["what"] for step in body["services"][0]["steps"]} >= {"service_confirmed", "transfer_sent"}


@pytest.mark.parametrize(("ahead", "seen"), [(timedelta(minutes=59), ["R3"]), (timedelta(minutes=61), [])])
async def test_what_consent_covers_is_judged_by_the_services_clock(
    database: str, ahead: timedelta, seen: list[str]
) -> None:
    """A held record is shown to her home while consent covers it. The service's clock is the one that tests set."""
    async with bridge_on(database, clock_offset=ahead.total_seconds()) as border:
        until = datetime.now(UTC) + timedelta(hours=1)
        held = attendance.ServiceHeld.model_validate(confirmed(1, 60, "R3").model_dump() | {"reason": "no_check_in"})
        await border.hear(established(until=until), held)
        async with bridge_http(border) as client:
            answer = await client.get("/timeline", params={"registry": HOME, "ref": HOME_REF}, headers=of(HOME))
    assert [service["record_ref"] for service in answer.json()["services"]] == seen


@pytest.mark.parametrize(
    ("registry", "ref", "who", "status"),
    [
        (HOME, HOME_REF, HOST, 403),
        (HOST, HOST_REF, HOME, 403),
        (HOST, HOME_REF, HOST, 404),
        (HOME, "S2", HOME, 404),
        (HOME, HOME_REF, "nobody", 401),
        (HOST, HOST_REF, "operator", 200),
    ],
)
async def test_nobody_reads_anothers_volunteer(
    client: httpx.AsyncClient, registry: str, ref: str, who: str, status: int
) -> None:
    answer = await client.get("/timeline", params={"registry": registry, "ref": ref}, headers=of(who))
    assert answer.status_code == status


async def test_the_books_are_the_operators_and_count_no_service_at_home(
    client: httpx.AsyncClient, border: BridgeOnPostgres
) -> None:
    await border.say(HOST, signup(host=HOME))
    assert (await client.get("/figures", headers=of(HOME))).status_code == 403
    body = (await client.get("/figures", headers=of("operator"))).json()
    minutes = {"confirmed": 60, "credited": 0, "withheld": 0, "refused": 0, "uncertain": 0, "in_flight": 60, "held": 0}
    assert body == {
        "people": {"linked": 1},
        "directions": {f"{HOST}->{HOME}": {"service_records": 1, "minutes": minutes}},
        "refusals": {HOST: {"not_yours": 1}},
    }
