"""The registry of the kind rest_api, as its own clients see it."""

from __future__ import annotations

import asyncio
import uuid
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.support.sandboxes import Sandbox, rest_api
from tests.support.waiting import eventually

MORNING = "2026-07-04T09:00:00+08:00"


def letter(category: str, ref: str | None = None, **content: Any) -> dict[str, Any]:
    return {
        "来源": "urn:shuangcheng:registry:sz",
        "消息号": str(uuid.uuid4()),
        "时间": MORNING,
        "类别": category,
        "志愿者编号": ref,
        "内容": content,
    }


async def introduce(sandbox: Sandbox, *refs: str) -> None:
    known = [letter("外派申请", ref, 志愿者编号=ref, 对方="gz") for ref in refs]
    answer = await sandbox.http.post("/接口/报送", json={"报送": known})
    assert answer.json() == {"已收": len(refs), "未收": []}


def form(ref: str = "H-1", minutes: int = 50, number: uuid.UUID | None = None) -> dict[str, Any]:
    return {
        "流水号": str(number or uuid.uuid4()),
        "志愿者编号": ref,
        "服务方": "gz",
        "分钟": minutes,
        "累计分钟": max(minutes, 0),
        "记录编号": "R-1",
        "版本": 1,
    }


async def post(sandbox: Sandbox, body: dict[str, Any]) -> httpx.Response:
    return await sandbox.http.post("/接口/入账", json=body)


async def credits(sandbox: Sandbox) -> list[int]:
    return [row[0] for row in await sandbox.rows("SELECT minutes FROM audit_credits ORDER BY minutes")]


async def test_an_idempotent_ledger_posts_once_and_repeats_its_first_answer(database: str) -> None:
    async with rest_api(database) as sandbox:
        await introduce(sandbox, "H-1")
        body = form()
        first, second = await post(sandbox, body), await post(sandbox, body)
        assert first.status_code == 200
        assert second.json() == first.json()
        (receipt,) = first.json()["回执"]
        assert (receipt["结果"], receipt["分钟"]) == ("已入账", 50)
        conflict = await post(sandbox, body | {"分钟": 60})
        assert (conflict.status_code, conflict.json()["回执"][0]["原因"]) == (409, "流水号冲突")
        assert await credits(sandbox) == [50]


async def test_whoever_runs_it_is_told_the_sums_of_its_books_and_when_a_record_was_booked(database: str) -> None:
    async with rest_api(database, capability="neither") as sandbox:
        await introduce(sandbox, "H-1", "H-2")
        assert (await sandbox.http.get("/sums")).json() == {
            "served": [],
            "credits": {"postings": 0, "minutes": 0},
            "unlinked": 2,
        }
        for minutes in (50, -20):
            await post(sandbox, form(minutes=minutes))
        sums = (await sandbox.http.get("/sums")).json()
        assert sums["credits"] == {"postings": 2, "minutes": sum(await credits(sandbox))}
        first, second = (await sandbox.http.get("/sums/booked", params={"record_ref": "R-1"})).json()
        assert (first["minutes"], second["minutes"]) == (50, -20)
        assert datetime.fromisoformat(first["at"]) <= datetime.fromisoformat(second["at"])
        assert (await sandbox.http.get("/sums/booked", params={"record_ref": "R-9"})).json() == []


async def test_an_idempotent_ledger_posts_once_however_many_ask_at_once(database: str) -> None:
    async with rest_api(database) as sandbox:
        await introduce(sandbox, "H-1")
        body = form()
        answers = await asyncio.gather(*(post(sandbox, body) for _ in range(20)))
        assert len({answer.text for answer in answers}) == 1
        assert await credits(sandbox) == [50]


async def test_a_queryable_ledger_posts_a_repeat_again_and_can_be_asked(database: str) -> None:
    async with rest_api(database, capability="queryable") as sandbox:
        await introduce(sandbox, "H-1")
        body = form()
        address = f"/接口/入账/{body['流水号']}?志愿者编号=H-1"
        before = await sandbox.http.get(address)
        assert (before.status_code, before.json()["回执"][0]["结果"]) == (404, "查无")
        await post(sandbox, body)
        after = await sandbox.http.get(address)
        assert (after.status_code, after.json()["回执"][0]["分钟"]) == (200, 50)
        await post(sandbox, body)
        assert await credits(sandbox) == [50, 50]


async def test_a_ledger_that_can_do_neither_cannot_be_asked(database: str) -> None:
    async with rest_api(database, capability="neither") as sandbox:
        await introduce(sandbox, "H-1")
        body = form()
        for _ in range(2):
            assert (await post(sandbox, body)).status_code == 200
        assert (await sandbox.http.get(f"/接口/入账/{body['流水号']}?志愿者编号=H-1")).status_code == 405
        assert await credits(sandbox) == [50, 50]


async def test_a_volunteer_nobody_knows_is_refused(database: str) -> None:
    async with rest_api(database) as sandbox:
        answer = await post(sandbox, form("H-9"))
        assert (answer.status_code, answer.json()["回执"][0]["原因"]) == (404, "查无此人")
        assert await credits(sandbox) == []


async def test_it_posts_and_loses_the_answer_when_asked_to(database: str) -> None:
    async with rest_api(database) as sandbox:
        await introduce(sandbox, "H-1")
        await sandbox.misbehave(commit_and_lose_answer=1)
        body = form()
        with pytest.raises(httpx.ReadTimeout):
            await sandbox.http.post("/接口/入账", json=body, timeout=0.5)
        assert await credits(sandbox) == [50]
        assert (await sandbox.http.get("/misbehave")).json()["commit_and_lose_answer"] == 0
        assert (await post(sandbox, body)).status_code == 200
        assert await credits(sandbox) == [50]


async def test_it_posts_after_its_client_has_gone_when_asked_to(database: str) -> None:
    async with rest_api(database) as sandbox:
        await introduce(sandbox, "H-1")
        await sandbox.misbehave(commit_after_seconds=1)
        with pytest.raises(httpx.ReadTimeout):
            await sandbox.http.post("/接口/入账", json=form(), timeout=0.2)
        assert (await sandbox.http.get("/misbehave")).json()["commit_after_seconds"] == 0
        assert await credits(sandbox) == []

        async def posted() -> bool:
            return await credits(sandbox) == [50]

        await eventually(posted, what="the posting that nobody waits for")


async def test_it_answers_twice_refuses_and_is_down_when_asked_to(database: str) -> None:
    async with rest_api(database) as sandbox:
        await introduce(sandbox, "H-1")
        await sandbox.misbehave(answer_twice=1, refuse={"reason": "daily_cap", "retry": True, "n": 1})
        refused = await post(sandbox, form())
        assert refused.status_code == 422
        assert refused.json()["回执"][0]["原因"] == "daily_cap"
        assert len((await post(sandbox, form())).json()["回执"]) == 2
        assert len((await post(sandbox, form())).json()["回执"]) == 1
        await sandbox.misbehave(down_for_seconds=60)
        assert (await post(sandbox, form())).status_code == 503
        assert (await sandbox.http.get("/health/ready")).status_code == 200
        await sandbox.misbehave(down_for_seconds=0)
        assert (await post(sandbox, form())).status_code == 200


async def test_in_production_nobody_can_ask_it_to_misbehave(database: str) -> None:
    async with rest_api(database, profile="production") as sandbox:
        assert (await sandbox.http.post("/misbehave", json={"answer_twice": 1})).status_code == 404
        assert (await sandbox.http.get("/misbehave")).status_code == 404


async def test_a_letter_it_cannot_read_is_named_and_the_others_are_kept(database: str) -> None:
    async with rest_api(database) as sandbox:
        good = letter("外派申请", "H-1", 志愿者编号="H-1", 对方="gz")
        bad = letter("外派申请", "H-2", 志愿者编号="H-2")
        answer = await sandbox.http.post("/接口/报送", json={"报送": [good, bad, "无"]})
        assert answer.json()["已收"] == 1
        assert [one["消息号"] for one in answer.json()["未收"]] == [bad["消息号"], None]
        again = await sandbox.http.post("/接口/报送", json={"报送": [good]})
        assert again.json() == {"已收": 0, "未收": []}


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"\xe6"'])
async def test_what_is_no_form_is_a_bad_request(database: str, body: bytes) -> None:
    async with rest_api(database) as sandbox:
        for address in ("/接口/入账", "/接口/报送", "/接口/通知"):
            answer = await sandbox.http.post(address, content=body, headers={"content-type": "application/json"})
            assert answer.status_code == 400


async def test_what_no_column_takes_is_named_and_costs_no_other_letter_its_place(database: str) -> None:
    """The whole batch was answered with a 500, and would be for ever."""
    began, ended = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"
    shift: dict[str, Any] = {
        "项目编号": "P",
        "班次编号": "S",
        "版本": 1,
        "开始时间": began,
        "结束时间": ended,
        "报名开始": began,
    }
    shift |= {"报名截止": ended, "岗位": 1, "候补": 0, "最低年龄": 0, "区划代码": "440304", "地点": "x", "状态": "open"}
    record: dict[str, Any] = {
        "记录编号": "R",
        "版本": 1,
        "志愿者编号": "H-1",
        "项目编号": "P",
        "班次编号": "S",
        "凭证类别": "scan",
    }
    record |= {"开始时间": MORNING, "结束时间": MORNING, "休息分钟": 0, "分钟": 9999, "已撤销": False, "消息号": "m"}
    odd = [
        letter("班次", **shift),
        letter("授权结果", "H-1", 志愿者编号="H-1", 对方="gz", 状态="given", 版本=2**63),
        letter("退回", 消息号="m", 原因="a\0b"),
        letter("服务记录", "H-1", **record),
    ]
    async with rest_api(database) as sandbox:
        fine = [letter("撤回授权", f"H-{number}") for number in range(len(odd))]
        mixed = [one for pair in zip(fine, odd, strict=True) for one in pair]
        told = (await sandbox.http.post("/接口/通知", json={"通知": mixed})).json()
        assert told["已收"] == len(fine), told
        assert (await sandbox.http.get("/books/shifts")).status_code == 200
        assert {one["消息号"] for one in told["未收"]} == {one["消息号"] for one in odd}
        deep = f'{{"通知": [{{"消息号": {"[" * 500 + "]" * 500}}}]}}'.encode()
        answer = await sandbox.http.post("/接口/通知", content=deep, headers={"content-type": "application/json"})
        assert answer.json()["未收"][0]["消息号"] is None


@pytest.mark.parametrize("change", [{"志愿者编号": "a\0b"}, {"服务方": "a\0"}, {"记录编号": "\0"}, {"版本": 2**31}])
async def test_a_credit_that_no_ledger_can_hold_is_a_bad_request(database: str, change: dict[str, Any]) -> None:
    async with rest_api(database) as sandbox:
        await introduce(sandbox, "H-1")
        assert (await post(sandbox, form() | change)).status_code == 400
        assert await credits(sandbox) == []


async def test_minutes_are_kept_raw_and_shown_in_half_hours(database: str) -> None:
    async with rest_api(database) as sandbox:
        await introduce(sandbox, "H-1")
        for minutes, total, shown in [(15, 15, 0), (1, 16, 30), (29, 45, 30), (1, 46, 60), (-31, 15, 0)]:
            await post(sandbox, form(minutes=minutes))
            page = (await sandbox.http.get("/books/volunteers/H-1")).json()
            assert (page["总分钟"], page["显示分钟"]) == (total, shown)
        assert await credits(sandbox) == [-31, 1, 1, 15, 29]


async def test_its_pages_speak_its_own_words(database: str) -> None:
    async with rest_api(database) as sandbox:
        await introduce(sandbox, "H-1")
        project = letter("项目", 项目编号="P-1", 版本=1, 名称="巡护", 分类="ecology", 组织编号="O-1", 状态="open")
        window = dict.fromkeys(("开始时间", "报名开始", "报名截止"), MORNING) | {
            "结束时间": "2026-07-04T11:00:00+08:00"
        }
        more: dict[str, Any] = {
            "岗位": 3,
            "候补": 0,
            "最低年龄": 14,
            "区划代码": "440303",
            "地点": "田坑河",
            "状态": "open",
        }
        shift = letter("班次", None, **{"项目编号": "P-1", "班次编号": "S-1", "版本": 1} | window | more)
        answer = await sandbox.http.post("/接口/报送", json={"报送": [project, shift]})
        assert answer.json()["未收"] == []
        (page,) = (await sandbox.http.get("/books/shifts")).json()
        assert (page["名称"], page["地点"], page["岗位"], page["已确认人数"]) == ("巡护", "田坑河", 3, 0)
        assert (await sandbox.http.get("/books/volunteers/H-404")).status_code == 404
        assert (await sandbox.http.get("/books/returned")).json() == []
