"""Register, find, join, check in, be attested, and see the hours at home: as a person does it in a browser."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.async_api import Browser, expect

from tests.support.pages import CITY, ORGANISER, Stage, Surfer
from tests.support.pages_organiser import check_in_and_attest
from tests.support.waiting import eventually

pytestmark = pytest.mark.whole

STEP = {"gz": 1, "sz": 30}
"""What each city shows of minutes is the nearest multiple of these, halves downwards (rule 75)."""


def as_shown(minutes: int, step: int) -> tuple[str, str]:
    """Minutes in the words of a page, zh and en."""
    hours, rest = divmod((minutes + (step - 1) // 2) // step * step, 60)
    return (f"{hours} 小时 {rest} 分", f"{hours} h {rest} min") if hours else (f"{rest} 分钟", f"{rest} min")


@pytest.mark.parametrize(("home", "host", "language"), [("sz", "gz", "zh"), ("gz", "sz", "en")])
async def test_an_hour_goes_home_by_itself(stage: Stage, surf: Browser, home: str, host: str, language: str) -> None:
    shift = await stage.shift(host, after=timedelta(minutes=4))
    her = await Surfer.linked(stage, surf, home, host, language=language)

    await her.press("找服务", "Find")
    await her.page.fill("#text", shift.title)
    await her.press("查找", "Search")
    await her.page.get_by_role("link", name=shift.title).click()
    await her.press("报名", "Sign up")
    await her.sees("报名成功", "Confirmed")

    watching = await her.context.new_page()
    await watching.goto(stage.url(home, "/hours"))
    await expect(watching.locator("#hours")).to_contain_text(her.words("0 分钟", "0 min"))
    organiser = await check_in_and_attest(stage, surf, her, shift)
    # Neither page is reloaded: both tell by themselves.
    await expect(watching.locator(".way .here")).to_contain_text(her.words("已入账", "Credited"))
    # Soon after midnight the day has no half hour yet, so the page may rightly show none.
    minutes = await stage.books[host].fetchval("SELECT minutes FROM attestation WHERE shift_ref = $1", shift.shift_ref)
    await expect(watching.locator(".total .big")).to_have_text(her.words(*as_shown(minutes, STEP[home])))
    city = her.words(*CITY[home])
    await organiser.sees(f"已在{city}入账", f"Credited in {city}")


async def test_without_javascript_it_works_as_well(stage: Stage, surf: Browser) -> None:
    shift = await stage.shift("gz", after=timedelta(minutes=4))
    her = await Surfer.at(stage, surf, java_script_enabled=False)
    her.ref = await stage.person("sz")
    await her.sign_in("sz", her.ref)
    await her.register("sz", "gz")
    await her.sees_after_reload("账号已建好", "")
    await her.join("gz", shift)
    await her.sees_after_reload("报名成功", "")
    organiser = await Surfer.at(stage, surf, java_script_enabled=False)
    await organiser.sign_in("gz", ORGANISER["gz"])
    await organiser.go("gz", shift.roster)
    await organiser.page.check("input[name=who]")
    await organiser.press("确认所选的服务", "")
    await her.go("sz", "/hours")
    await her.sees_after_reload("没有签到记录", "")  # held: she never checked in, and the page says why
    await her.sees("等服务方处理", "")


async def test_a_double_click_and_the_back_button_do_nothing_twice(stage: Stage, surf: Browser) -> None:
    shift = await stage.shift("gz", after=timedelta(minutes=4))
    her = await Surfer.linked(stage, surf, "sz", "gz")
    await her.go("gz", shift.path)
    await her.page.get_by_role("button", name="报名").dblclick()
    await her.sees("报名成功", "")
    organiser = await check_in_and_attest(stage, surf, her, shift)
    await organiser.page.go_back()
    await organiser.page.check("input[name=who]")
    await organiser.press("确认所选的服务", "")  # as it was: that is no correction
    await organiser.sees("没有新的内容", "")
    book = stage.books["gz"]
    asked = await book.fetchval("SELECT count(*) FROM signup_request WHERE shift_ref = $1", shift.shift_ref)
    attested = await book.fetchval("SELECT count(*) FROM attestation WHERE shift_ref = $1", shift.shift_ref)
    assert (asked, attested) == (1, 1)


async def test_a_service_is_corrected_with_a_reason_and_the_difference_goes_home(stage: Stage, surf: Browser) -> None:
    shift = await stage.shift("sz", after=timedelta(minutes=4))
    her = await Surfer.linked(stage, surf, "gz", "sz")
    await her.join("sz", shift)
    await her.sees("报名成功", "")
    organiser = await check_in_and_attest(stage, surf, her, shift)
    await organiser.sees("已在广州入账", "")
    await organiser.go("sz", shift.roster)
    begin = organiser.page.locator("input[name^=from-]")
    day, _ = (await begin.input_value()).split("T")
    await begin.fill(f"{day}T00:00")
    await organiser.page.locator("input[name^=to-]").fill(f"{day}T00:01")
    await organiser.page.check("input[name=who]")
    await organiser.press("确认所选的服务", "")
    await organiser.sees("已提交 1 条", "")

    async def lowered() -> bool:
        rows = await stage.books["gz"].fetch("SELECT minutes FROM posting WHERE ref = $1 ORDER BY number", her.ref)
        return len(rows) in (1, 2) and sum(row[0] for row in rows) == 1

    await eventually(lowered)


async def test_withdrawn_consent_withholds_the_hours_until_she_agrees_again(stage: Stage, surf: Browser) -> None:
    shift = await stage.shift("gz", after=timedelta(minutes=4))
    her = await Surfer.linked(stage, surf, "sz", "gz")
    await her.join("gz", shift)
    await her.sees("报名成功", "")
    await her.go("sz")
    await her.press("撤回授权", "")
    await her.sees_after_reload("已撤回授权", "")
    organiser = await check_in_and_attest(stage, surf, her, shift)
    await organiser.sees("待授权", "")
    await her.go("gz", "/hours")
    await her.sees("待授权", "")
    await her.go("sz", "/hours")
    await her.sees("有 1 条服务记录等您重新同意", "")
    await her.sees("0 分钟", "")
    await her.press("重新同意", "")
    await her.go("sz", "/hours")
    await her.sees("已入账", "")
    await organiser.sees("已在深圳入账", "")
