"""What an HTTP answer means: posted, refused, not there, surely nothing, or nobody knows."""

from __future__ import annotations

import socket
import uuid
from typing import Any

import httpx
import pytest

from services.adapters.rest_api import RestApi, read_answer
from services.adapters.states import Away, Credit, Lost, NotPosted, Posted, Refused
from tests.support.registries import MORNING, credit

BODY = credit("H-1")
CREDIT = Credit(BODY.transfer_id, "H-1", BODY, "due", 0, MORNING)


def receipt(**said: Any) -> dict[str, Any]:
    return {"流水号": str(BODY.transfer_id), "志愿者编号": "H-1", **said}


FINE = receipt(结果="已入账", 分钟=90, 入账时间="2026-07-04T09:00:00+08:00")


@pytest.mark.parametrize(
    ("status", "receipts", "meaning"),
    [
        (200, [FINE], Posted(90, MORNING)),
        (200, [FINE, FINE], Posted(90, MORNING, times=2)),
        (409, [receipt(结果="拒绝", 原因="流水号冲突", 可重试=False)], Refused("conflict", False)),
        (422, [receipt(结果="拒绝", 原因="daily_cap", 可重试=True)], Refused("daily_cap", True)),
        (422, [receipt(结果="拒绝", 原因="今天心情不好")], Refused("refused_by_home", False)),
        (404, [receipt(结果="查无")], NotPosted()),
    ],
)
def test_a_receipt_is_taken_at_its_word(status: int, receipts: list[dict[str, Any]], meaning: object) -> None:
    assert read_answer(CREDIT, httpx.Response(status, json={"回执": receipts})) == meaning


@pytest.mark.parametrize("status", [401, 404, 429])
def test_what_is_turned_away_before_the_ledger_is_surely_not_posted(status: int) -> None:
    assert read_answer(CREDIT, httpx.Response(status, text="closed")) == Away(f"answered {status}")


def test_closed_may_be_said_by_a_gateway_that_passed_the_request_on() -> None:
    assert read_answer(CREDIT, httpx.Response(503, text="closed")) == Away("answered 503", surely=False)


def test_a_question_that_the_registry_cannot_read_says_nothing_of_the_posting() -> None:
    assert isinstance(read_answer(CREDIT, httpx.Response(400, json={"错误": "流水号有误"}), asked=True), Lost)


def test_a_form_that_the_registry_does_not_accept_is_refused_for_now() -> None:
    assert read_answer(CREDIT, httpx.Response(400, json={"错误": "缺少 服务对象"})) == Refused(
        "form_not_accepted", True
    )


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(502),
        httpx.Response(504),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"回执": []}),
        httpx.Response(200, json={"回执": [FINE | {"流水号": str(uuid.uuid4())}]}),
        httpx.Response(200, json={"回执": [{"流水号": str(BODY.transfer_id), "结果": "已入账"}]}),
        httpx.Response(503, json={"回执": [FINE]}),
    ],
    ids=["500", "502", "504", "html", "empty", "another transfer", "no minutes", "contradiction"],
)
def test_an_answer_that_cannot_be_read_is_no_answer(answer: httpx.Response) -> None:
    assert isinstance(read_answer(CREDIT, answer), Lost)


async def test_a_closed_port_surely_took_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    system = RestApi(f"http://127.0.0.1:{port}")
    try:
        outcome = await system.post(CREDIT)
        assert isinstance(outcome, Away)
        assert outcome.surely
    finally:
        await system.close()
