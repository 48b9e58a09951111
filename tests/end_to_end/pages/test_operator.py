"""The operator at her page: she sees what moves and waits, releases, pauses and resumes; a stranger does nothing."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest
from playwright.async_api import Browser, expect

from deploy.linkage import OPERATOR
from tests.support.pages import Stage, Surfer
from tests.support.pages_organiser import check_in_and_attest
from tests.support.secret_forms import SecretForms
from tests.support.waiting import eventually

pytestmark = pytest.mark.whole


async def at_work(stage: Stage, surf: Browser, language: str = "zh", **options: object) -> Surfer:
    """An operator who has signed in."""
    one = await Surfer.at(stage, surf, language, **options)
    await one.sign_in(OPERATOR, stage.stack.tokens["operator"])
    return one


async def total_at_home(stage: Stage, code: str, ref: str) -> int:
    found: int = await stage.books[code].fetchval("SELECT coalesce(sum(minutes), 0) FROM posting WHERE ref = $1", ref)
    return found


async def test_hours_that_arrive_are_seen_without_a_reload(stage: Stage, surf: Browser) -> None:
    operator = await at_work(stage, surf, "en", viewport={"width": 1280, "height": 900})
    ours = operator.page.locator("li", has=operator.page.locator("h3", has_text="→")).first
    before = re.search(r"\((\d+) records\)", await ours.text_content() or "")
    assert before is not None
    shift = await stage.shift("gz", after=timedelta(minutes=4))
    her = await Surfer.linked(stage, surf, "sz", "gz")
    await her.join("gz", shift)
    await her.sees("报名成功", "")
    await check_in_and_attest(stage, surf, her, shift)
    await eventually(lambda: total_at_home(stage, "sz", her.ref))
    await expect(ours).to_contain_text(f"({int(before[1]) + 1} records)")
    await operator.sees("", "Bars: service credited each minute")
    assert await operator.page.locator("svg rect").count() > 0
    for name in stage.stack.specs:
        if not name.startswith("sandbox") and name != OPERATOR:
            await expect(operator.page.locator("tr", has_text=name)).to_contain_text(operator.words("正常", "Ready"))


@asynccontextmanager
async def served_while_paused(stage: Stage, surf: Browser, operator: Surfer, why: str) -> AsyncIterator[Surfer]:
    """Shenzhen is paused, one of its volunteers serves in Guangzhou, and her credit waits; resumed at the end."""
    shift = await stage.shift("gz", after=timedelta(minutes=4))
    her = await Surfer.linked(stage, surf, "sz", "gz")
    await her.join("gz", shift)
    await her.sees("报名成功", "")
    await operator.go(OPERATOR, "/registries/sz")
    await operator.page.fill("#why", why)
    await operator.press("暂停", "")
    try:
        await operator.sees("已暂停", "")
        await operator.sees(why, "")
        await check_in_and_attest(stage, surf, her, shift)
        await operator.sees("对方暂停", "")
        yield her
    finally:
        await operator.go(OPERATOR, "/registries/sz")
        await operator.page.fill("#why", "好了")
        await operator.press("恢复", "")


async def test_a_paused_home_gets_no_credit_until_it_is_resumed(stage: Stage, surf: Browser) -> None:
    operator = await at_work(stage, surf)
    async with served_while_paused(stage, surf, operator, "账本在维护") as her:
        assert await total_at_home(stage, "sz", her.ref) == 0
        await operator.page.go_back()
        await operator.page.reload()  # the form was taken and is not sent again
    await eventually(lambda: total_at_home(stage, "sz", her.ref))


async def test_consent_that_she_withdrew_during_a_pause_holds_when_it_ends(stage: Stage, surf: Browser) -> None:
    operator = await at_work(stage, surf)
    async with served_while_paused(stage, surf, operator, "核对授权") as her:
        await her.go("sz")
        await her.press("撤回授权", "")

        async def said() -> bool:
            health = await stage.http.get(f"{stage.stack.url('bridge')}/health/ready")
            return bool(health.json()["lag"] > 0)

        await eventually(said, what="her word stands in the log, unread")
    await operator.sees("已撤回授权", "")
    assert await total_at_home(stage, "sz", her.ref) == 0


async def test_a_record_that_nobody_is_sure_of_is_a_break_until_its_home_says_what_it_booked(
    stage: Stage, surf: Browser
) -> None:
    operator = await at_work(stage, surf, "en")
    shift = await stage.shift("sz", after=timedelta(minutes=4))
    her = await Surfer.linked(stage, surf, "gz", "sz")
    await her.join("sz", shift)
    await her.sees("报名成功", "")
    await stage.misbehave("gz", down_for_seconds=600)
    try:
        await check_in_and_attest(stage, surf, her, shift)
        await operator.sees("", "Sent")
        find = "SELECT record_ref FROM attestation WHERE shift_ref = $1"
        record = await stage.books["sz"].fetchval(find, shift.shift_ref)
        await stage.contradict("sz", "gz", record, her.ref)
        await operator.go(OPERATOR, "/differences")
        await operator.sees_after_reload("", record)
        await operator.sees("", "The receipt says other minutes")
        await operator.sees("", "Receipts of the last day that contradict")
    finally:
        await stage.misbehave("gz", down_for_seconds=0)

    async def settled() -> bool:
        await operator.page.reload()
        return record not in (await operator.page.text_content("main") or "")

    await eventually(settled, every=0.3)
    assert await total_at_home(stage, "gz", her.ref) > 1
    await operator.go(OPERATOR)
    await operator.sees("", "contradicting receipts in the last day")  # it stays in sight for a day


async def test_what_was_set_aside_is_shown_and_released_and_what_stays_says_why(stage: Stage, surf: Browser) -> None:
    await stage.said_nonsense("sz")
    operator = await at_work(stage, surf, "en")
    await operator.page.locator("tr", has_text="bridge").get_by_role("link").click()
    await operator.sees("", "registry.sz.signups.v1")
    await operator.press("", "Release the chosen")
    await operator.sees("", "No message was chosen")
    await operator.page.locator("li", has_text="registry.sz.signups.v1").locator("input[type=checkbox]").last.check()
    await operator.press("", "Release the chosen")
    await operator.sees("", "0 released")
    await operator.sees("", "stays:")
    await operator.page.reload()
    await expect(operator.page.locator("main")).not_to_contain_text("0 released")


async def test_without_javascript_an_operator_looks_pauses_and_resumes(stage: Stage, surf: Browser) -> None:
    operator = await at_work(stage, surf, java_script_enabled=False)
    for button, told in (("暂停", "已暂停"), ("恢复", "开始恢复")):
        await operator.go(OPERATOR, "/registries/gz")
        await operator.page.fill("#why", "试一试")
        await operator.press(button, "")
        await operator.sees(told, "")
        await operator.sees("时数流向", "")
    await operator.sees_after_reload("参与中", "")


async def test_a_service_that_is_down_is_said_to_be_and_the_rest_is_shown(stage: Stage, surf: Browser) -> None:
    await stage.stack.processes["bridge"].stop()
    try:
        operator = await at_work(stage, surf)  # others know the token as well
        await operator.sees("桥接服务没有应答", "")
        await expect(operator.page.locator("tr", has_text="bridge")).to_contain_text("无应答")
        await expect(operator.page.locator("tr", has_text="identity")).to_contain_text("正常")
        await operator.go(OPERATOR, "/differences")
        await operator.sees("联系不上这个服务", "")
    finally:
        await stage.stack.start("bridge")
    await operator.go(OPERATOR)
    await operator.sees("时数流向", "")


# -- strangers -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def caller(stage: Stage) -> AsyncIterator[SecretForms]:
    async with SecretForms(stage.url(OPERATOR, "")) as one:
        yield one


async def signed_in(stage: Stage, caller: SecretForms) -> httpx.Response:
    await caller.open("/sign-in")
    answer = await caller.send("/sign-in", token=stage.stack.tokens["operator"])
    await caller.open("/registries/sz")
    return answer


@pytest.mark.parametrize("whose", ["registry:gz", "registry:sz", "nobody", "ünknown", ""])
async def test_only_an_operators_token_opens_the_page(stage: Stage, caller: SecretForms, whose: str) -> None:
    await caller.open("/sign-in")
    answer = await caller.send("/sign-in", token=stage.stack.tokens.get(whose, whose))
    assert answer.status_code == 403
    for path in ("/", "/set-aside/bridge", "/differences", "/registries/sz"):
        assert (await caller.open(path)).headers["location"].partition("?")[0] == "/sign-in"


async def test_a_form_without_its_secret_changes_nothing(stage: Stage, caller: SecretForms) -> None:
    assert (await signed_in(stage, caller)).headers["location"] == "/"
    for path in ("/registries/sz/pause", "/registries/sz/resume", "/set-aside/bridge/release", "/sign-out"):
        for secret in ("", "x" * 32):
            answer = await caller.send(path, csrf=secret, why="forged", sequence="1")
            assert answer.status_code == 403, path
        bearer = {"authorization": f"Bearer {stage.stack.tokens['operator']}"}
        seats = (await stage.http.get(f"{stage.stack.url('bridge')}/registries", headers=bearer)).json()
        assert seats["sz"]["paused"] is None, path
        assert (await caller.open("/registries/sz")).status_code == 200, "she is signed in as before"


async def test_a_session_from_before_the_sign_in_is_not_one_after_it(stage: Stage, caller: SecretForms) -> None:
    await caller.open("/sign-in")
    planted = caller.http.cookies["session_operator"]
    await caller.send("/sign-in", token=stage.stack.tokens["operator"])
    assert caller.http.cookies["session_operator"] != planted
    stale = await stage.http.get(stage.url(OPERATOR), headers={"cookie": f"session_operator={planted}"})
    assert stale.headers["location"] == "/sign-in"


async def test_forged_names_and_numbers_come_to_nothing(stage: Stage, caller: SecretForms) -> None:
    await signed_in(stage, caller)
    assert (await caller.open("/registries/zz")).status_code == 404
    assert (await caller.send("/registries/zz/pause", why="x")).status_code == 404
    assert (await caller.open("/set-aside/nowhere")).status_code == 404
    assert (await caller.open("/set-aside/bridge?after=-1&reason=%27")).status_code == 200
    for forged in ("1 OR 1=1", "-1", "9" * 19):
        assert (await caller.send("/set-aside/bridge/release", sequence=forged)).status_code == 409
    missing = await caller.send("/registries/sz/pause", why=" ")
    assert missing.headers["location"] == "/registries/sz"
    assert "请写明原因" in (await caller.open("/registries/sz")).text


async def test_a_reason_with_script_in_it_is_text(stage: Stage, caller: SecretForms) -> None:
    await signed_in(stage, caller)
    await caller.send("/registries/gz/pause", why="<script>alert(1)</script>")
    page = (await caller.open("/")).text
    await caller.open("/registries/gz")
    await caller.send("/registries/gz/resume", why="over")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


async def test_whoever_signed_out_is_a_stranger(stage: Stage, caller: SecretForms) -> None:
    await signed_in(stage, caller)
    await caller.send("/sign-out")
    assert (await caller.open("/")).headers["location"] == "/sign-in"
