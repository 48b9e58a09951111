"""Transfers of which nobody can be sure: an operator asks the home and says what it did, and the books go on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from contracts.ids import transfer_id
from contracts.messages.deliveries import CreditPosted, CreditReported
from deploy.asking import Asking
from deploy.cli import transfers
from deploy.cli.operator_client import OperatorClient
from deploy.operate.errors import LocalError
from tests.support.bridge_http import bridge_http, of
from tests.support.bridge_messages import HOME, HOST, confirmed, established
from tests.support.bridge_running import configured
from tests.support.bridge_store import BridgeOnPostgres, bridge_on

OPERATOR = of("operator")
TRANSFER = transfer_id(HOST, "R1", 1)
HOUR = timedelta(hours=1)


@pytest.fixture
async def border(database: str) -> AsyncIterator[BridgeOnPostgres]:
    async with bridge_on(database) as made:
        made.clock.moment = datetime.now(UTC)
        await made.hear(established(), confirmed(1, 60))
        yield made


@pytest.fixture
async def client(border: BridgeOnPostgres) -> AsyncIterator[httpx.AsyncClient]:
    async with bridge_http(border) as made:
        yield made


async def uncertain(border: BridgeOnPostgres) -> None:
    """As a home leaves it that can neither be asked nor take a credit twice."""
    await border.pool.execute("UPDATE transfer SET state = 'uncertain', reason = 'no_receipt' WHERE id = $1", TRANSFER)
    await border.pool.execute("DELETE FROM timer")


async def settle(client: httpx.AsyncClient, outcome: str, why: str = "asked its clerk") -> httpx.Response:
    body = {"as": outcome, "why": why}
    return await client.post(f"/transfers/{TRANSFER}/settle", json=body, headers=OPERATOR)


@pytest.mark.parametrize(("outcome", "posted"), [("credited", 60), ("refused", 0)])
async def test_an_operators_word_settles_it_on_record_and_the_host_is_told(
    border: BridgeOnPostgres, client: httpx.AsyncClient, outcome: str, posted: int
) -> None:
    await uncertain(border)
    (one,) = (await client.get("/differences", headers=OPERATOR)).json()["uncertain"]
    assert (one["transfer_id"], one["state"]) == (str(TRANSFER), "uncertain")
    assert (await settle(client, outcome)).status_code == 200
    await border.pass_time(timedelta(0))
    body = (await client.get(f"/transfers/{TRANSFER}", headers=OPERATOR)).json()
    assert (body["state"], body["reason"]) == (outcome, "settled_by_operator")
    (said,) = body["settlings"]
    assert (said["as"], said["operator"], said["why"]) == (outcome, "operator", "asked its clerk")
    assert await border.pool.fetchval("SELECT posted FROM service_record") == posted
    told = await border.sent(CreditReported)
    assert (told[-1].state, told[-1].reason) == (outcome, "settled_by_operator")
    assert (await client.get("/differences", headers=OPERATOR)).json()["total"] == 0


async def test_what_the_linkage_goes_on_with_by_itself_is_not_settled(
    border: BridgeOnPostgres, client: httpx.AsyncClient
) -> None:
    answer = await settle(client, "credited")
    assert (answer.status_code, answer.json()["error"]) == (409, "not_possible")
    assert await border.pool.fetchval("SELECT count(*) FROM settling") == 0


@pytest.mark.parametrize(
    ("who", "id", "body", "status"),
    [
        (HOME, TRANSFER, {"as": "credited", "why": "x"}, 403),
        ("nobody", TRANSFER, {"as": "credited", "why": "x"}, 401),
        ("operator", uuid4(), {"as": "credited", "why": "x"}, 404),
        ("operator", "no-uuid", {"as": "credited", "why": "x"}, 422),
        ("operator", TRANSFER, {"as": "sent", "why": "x"}, 422),
        ("operator", TRANSFER, {"as": "credited", "why": " "}, 422),
        ("operator", TRANSFER, {"as": "credited", "why": "a\0b"}, 422),
        ("operator", TRANSFER, {"as": "credited"}, 422),
    ],
)
async def test_a_word_that_is_no_operators_or_says_too_little_settles_nothing(
    border: BridgeOnPostgres, client: httpx.AsyncClient, who: str, id: Any, body: dict[str, str], status: int
) -> None:
    await uncertain(border)
    answer = await client.post(f"/transfers/{id}/settle", json=body, headers=of(who))
    assert answer.status_code == status
    assert await border.pool.fetchval("SELECT count(*) FROM settling") == 0


@pytest.fixture
def command(border: BridgeOnPostgres, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """`shuangcheng transfers` speaks with this border; while the command waits, the border decides what is due."""
    client.headers.update(OPERATOR)

    def bridge(url: str, token_file: str) -> AbstractAsyncContextManager[OperatorClient]:
        return nullcontext(OperatorClient("http://bridge", Asking(client, 30)))

    async def decided(seconds: float) -> None:
        await border.pass_time(timedelta(0))

    monkeypatch.setattr(transfers, "_bridge", bridge)
    monkeypatch.setattr(transfers, "pause", decided)


@pytest.mark.usefixtures("command")
async def test_the_command_waits_for_the_decision_and_says_how_it_ended(
    border: BridgeOnPostgres, capsys: pytest.CaptureFixture[str]
) -> None:
    await uncertain(border)
    assert await transfers.settled(TRANSFER, transfers.Outcome.CREDITED, "seen in its ledger", "", "", False) == 0
    assert f"{TRANSFER}  credited (settled_by_operator: An operator settled it)" in capsys.readouterr().out


@pytest.mark.usefixtures("command", "border")
async def test_the_command_says_why_a_transfer_is_not_settled_by_hand() -> None:
    with pytest.raises(LocalError, match="it is sent: the linkage goes on with it by itself"):
        await transfers.settled(TRANSFER, transfers.Outcome.CREDITED, "seen in its ledger", "", "", False)


def folder(path: Path, *codes: str) -> Path:
    path.mkdir()
    return configured(path, *codes)


async def test_a_home_whose_file_is_gone_has_left_and_what_is_open_for_it_is_listed_and_settled(
    database: str, tmp_path: Path
) -> None:
    """Seen: a KeyError for each of its open transfers; they were set aside as raised."""
    async with bridge_on(database, folder(tmp_path / "both", HOST, HOME)) as border:
        border.clock.moment = datetime.now(UTC)
        await border.hear(established(), confirmed(1, 60))
        await border.restart(folder(tmp_path / "one", HOST))
        assert f"bridge.{HOME}" not in border.lanes
        await border.hear(confirmed(1, 30, "R2"))
        for _ in range(3):
            await border.pass_time(HOUR)
        assert await border.set_aside() == []
        assert len(await border.sent(CreditPosted)) == 1, "the one that was sent before"
        async with bridge_http(border) as client:
            seat = (await client.get("/registries", headers=OPERATOR)).json()[HOME]
            open_ = [(row["host"], row["state"], row["reason"], row["minutes"]) for row in seat["open"]]
            assert (seat["state"], open_) == ("left", [(HOST, "queued", "registry_left", 30), (HOST, "sent", "", 60)])
            body = (await client.get("/differences", headers=OPERATOR)).json()
            assert (body["total"], {row["state"] for row in body["uncertain"]}) == (2, {"sent", "queued"})
            assert (await settle(client, "credited")).status_code == 200
            await border.pass_time(timedelta(0))
            assert (await client.get(f"/transfers/{TRANSFER}", headers=OPERATOR)).json()["state"] == "credited"
        await border.restart(tmp_path / "both")
        await border.pass_time(HOUR)
        assert [credit.delta for credit in await border.sent(CreditPosted)] == [60, 30]
