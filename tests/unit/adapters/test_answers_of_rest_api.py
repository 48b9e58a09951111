"""What an HTTP answer means: posted, refused, not there, surely nothing, or nobody knows."""

from __future__ import annotations

import socket
import uuid
from typing import Any

import httpx
import pytest

from services.adapters import rules
from services.adapters.kinds.rest_api.client import RestApi, read_answer
from services.adapters.states import Away, Credit, Lost, NotPosted, Posted, Refused
from tests.support.registries import MORNING, credit, seat

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


@pytest.mark.parametrize("status", [404, 405, 429])
def test_what_is_turned_away_before_the_ledger_is_surely_not_posted(status: int) -> None:
    assert read_answer(CREDIT, httpx.Response(status, text="closed")) == Away(f"answered {status}")


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize(
    "answer", [{"回执": [receipt(结果="拒绝", 原因="无权限", 可重试=False)]}, {"回执": [receipt(结果="查无")]}, {}]
)
def test_who_wants_other_credentials_has_said_nothing_of_the_credit(status: int, asked: bool, answer: object) -> None:
    outcome = read_answer(CREDIT, httpx.Response(status, json=answer), asked=asked)
    assert isinstance(outcome, Away)
    assert outcome.surely
    assert outcome.detail.startswith(f"refuses our credentials (answered {status})")
    assert rules.after_call(CREDIT, outcome, seat("neither"), MORNING) == (CREDIT, ())


def test_who_turns_us_away_and_says_that_it_posted_contradicts_himself() -> None:
    assert isinstance(read_answer(CREDIT, httpx.Response(403, json={"回执": [FINE]})), Lost)


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
        httpx.Response(409),
        httpx.Response(408),
        httpx.Response(200, json={"回执": [FINE, FINE | {"分钟": 60}]}),
    ],
    ids=[
        "500",
        "502",
        "504",
        "html",
        "empty",
        "another transfer",
        "no minutes",
        "contradiction",
        "409",
        "408",
        "two answers",
    ],
)
def test_an_answer_that_cannot_be_read_is_no_answer(answer: httpx.Response) -> None:
    assert isinstance(read_answer(CREDIT, answer), Lost)


@pytest.mark.parametrize(
    "odd",
    [
        {"入账时间": "2026-07-04T09:00:00"},
        {"入账时间": "2026-07-04 09:00:00+08:00"},
        {"入账时间": "1999-12-31T23:59:59+08:00"},
        {"入账时间": "9999-12-31T23:59:59+08:00"},
        {"入账时间": 1783126800},
        {"入账时间": None},
        {"分钟": 1441},
        {"分钟": 10**30},
        {"分钟": -1441},
        {"分钟": 90.5},
        {"分钟": "90"},
        {"分钟": True},
        {"分钟": None},
    ],
    ids=str,
)
def test_minutes_and_times_that_nobody_could_be_told_of_are_no_answer(odd: dict[str, Any]) -> None:
    """They passed for an answer, and the receipt that could not be made of them ended the process, again and again."""
    assert isinstance(read_answer(CREDIT, httpx.Response(200, json={"回执": [FINE | odd]})), Lost)


@pytest.mark.parametrize("reason", ["1st_of_month", "_", "a" * 65, "cap\n", "", None, 7, {"a": 1}])
def test_every_reason_that_it_gives_can_be_told(reason: object) -> None:
    answer = httpx.Response(422, json={"回执": [receipt(结果="拒绝", 原因=reason)]})
    outcome = read_answer(CREDIT, answer)
    assert outcome == Refused("refused_by_home", False)
    after, messages = rules.after_call(CREDIT, outcome, seat("idempotent"), MORNING)
    assert (after.state, len(messages)) == ("refused", 1)


def test_a_refusal_that_does_not_say_whether_it_is_for_good_is_no_answer() -> None:
    answer = httpx.Response(422, json={"回执": [receipt(结果="拒绝", 原因="daily_cap", 可重试="否")]})
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
