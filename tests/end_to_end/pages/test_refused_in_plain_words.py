"""What cannot be is refused on the page, in plain words, with what to do next; nothing is lost where a part is down."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.async_api import Browser

from tests.support.pages import Shift, Stage, Surfer

pytestmark = pytest.mark.whole


async def test_a_full_shift_is_refused_and_the_page_says_what_else_fits(stage: Stage, surf: Browser) -> None:
    full = await stage.shift("gz", posts=1)
    await stage.shift("gz", after=timedelta(minutes=30))
    first = await Surfer.linked(stage, surf, "sz", "gz")
    second = await Surfer.linked(stage, surf, "sz", "gz")
    await first.join("gz", full)
    await first.sees("报名成功", "")
    await second.join("gz", full)
    await second.sees("名额已满", "")
    await second.sees("还有这些适合您", "")
    offered = second.page.locator("main li a").first
    assert full.title != await offered.text_content()
    await offered.click()
    await second.press("报名", "")
    await second.sees("报名成功", "")


async def test_two_shifts_at_one_time_clash(stage: Stage, surf: Browser) -> None:
    first = await stage.shift("gz", after=timedelta(hours=5))
    second = await stage.shift("gz", after=timedelta(hours=6))
    at_home = await stage.shift("sz", after=timedelta(hours=6))
    her = await Surfer.linked(stage, surf, "sz", "gz", language="en")
    await her.join("gz", first)
    await her.sees("", "Confirmed")
    await her.join("gz", second)
    await her.sees("", "It overlaps another shift of yours")
    await her.join("sz", at_home)  # her own registry sees it by itself
    await her.sees("", "It overlaps another shift of yours")


async def test_a_shift_at_home_is_hers_at_once_and_keeps_the_other_city_from_that_time(
    stage: Stage, surf: Browser
) -> None:
    at_home = await stage.shift("sz", after=timedelta(hours=20))
    over_there = await stage.shift("gz", after=timedelta(hours=21))
    her = await Surfer.linked(stage, surf, "sz", "gz")
    await her.join("sz", at_home)
    await her.sees("报名成功（本市班次）", "")
    await stage.noted(at_home)  # or the other city, asked at the same moment, gives her a post first
    await her.join("gz", over_there)
    await her.sees("与您的另一个班次时间冲突", "")


async def test_who_is_too_young_is_told_so(stage: Stage, surf: Browser) -> None:
    adults = await stage.shift("gz", minimum_age=18)
    her = await Surfer.linked(stage, surf, "sz", "gz", age_band="14_to_15")
    await her.join("gz", adults)
    await her.sees("未到这个班次的最低年龄", "")


async def test_once_the_shift_has_begun_no_page_offers_to_give_the_post_back(stage: Stage, surf: Browser) -> None:
    shift = await stage.shift("gz", after=timedelta(hours=30))
    her = await Surfer.linked(stage, surf, "sz", "gz")
    await her.join("gz", shift)
    await her.sees("报名成功", "")
    leave = her.page.locator("form[action$='/leave'] button")
    await leave.wait_for()
    await stage.begin(shift)
    await leave.click()  # her page was open since before the begin
    await her.sees("班次已经开始，不能退出", "")
    for city in ("gz", "sz"):
        await her.go(city, shift.path)
        await her.sees("您已服务的时间照常计入", "")
        assert await leave.count() == 0


async def test_a_minor_goes_once_her_guardian_has_agreed(stage: Stage, surf: Browser) -> None:
    her = await Surfer.at(stage, surf)
    await her.sign_in("sz", await stage.person("sz", "14_to_15"))
    await her.press("我要去广州服务", "")
    await her.sees("请监护人先同意", "")
    await her.page.fill("#passcode", stage.stack.passcode or "")
    await her.press("我是监护人，我同意", "")
    await her.page.get_by_role("button", name="同意", exact=True).click()
    await her.press("去广州，一键注册", "")
    await her.press("是我，打开", "")
    await her.sees("账号已建好", "")


async def test_while_the_linkage_is_away_the_page_says_so_and_the_request_goes_on_afterwards(
    stage: Stage, surf: Browser
) -> None:
    shift = await stage.shift("gz", after=timedelta(hours=12))
    her = await Surfer.linked(stage, surf, "sz", "gz")
    await her.go("gz", shift.path)
    await stage.stack.processes["bridge"].stop()
    try:
        await her.press("报名", "")
        await her.sees("正在处理", "")
        await her.go("sz", "/hours")
        await her.sees("联动系统暂时联系不上", "")
    finally:
        await stage.stack.start("bridge")
    await her.sees("还没有服务记录", "")  # by itself
    await her.go("gz", shift.path)
    await her.sees("报名成功", "")


async def test_a_registry_that_is_down_says_so_and_nothing_is_lost(stage: Stage, surf: Browser) -> None:
    shift = await stage.shift("gz", after=timedelta(hours=15))
    her = await Surfer.linked(stage, surf, "sz", "gz")
    await join_while_down(stage, her, shift)
    await her.go("gz", shift.path)
    await her.sees_after_reload("报名成功", "")


async def join_while_down(stage: Stage, her: Surfer, shift: Shift) -> None:
    """She asks at home while the host's registry is down: its page says so, and it hears of her later."""
    await stage.misbehave("gz", down_for_seconds=600)
    try:
        await her.go("gz", shift.path)
        await her.sees("系统暂时不可用", "")
        await her.join("sz", shift)
        await her.sees("报名成功", "")
    finally:
        await stage.misbehave("gz", down_for_seconds=0)
