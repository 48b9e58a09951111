"""A one-time code: it opens one session, after a question, for whoever brings it first; and it leads back as well."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from datetime import timedelta

import asyncpg
import httpx
import pytest
from playwright.async_api import Browser, expect

from tests.support.pages import CITY, Stage, Surfer
from tests.support.waiting import eventually

pytestmark = pytest.mark.whole

HOMES = pytest.mark.parametrize(("home", "host", "language"), [("sz", "gz", "zh"), ("gz", "sz", "en")])
GOOD = ("账号已建好", "Your account is ready")
NO_GOOD = ("这个按钮不能用", "This button does not work")
USED = ("这个按钮已经用过", "This button was used already")
ASKED = ("您即将打开", "You are about to open")


async def rows(stage: Stage) -> Counter[str]:
    """How many rows each table has, in every database of the linkage and of the registries."""
    found: Counter[str] = Counter()
    for name in ("identity", "bridge", "sandbox_gz", "sandbox_sz"):
        db = await asyncpg.connect(stage.stack.dsn[name])
        for (table,) in await db.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
            found[f"{name}.{table}"] = await db.fetchval(f"SELECT count(*) FROM {table}")
        await db.close()
    return found


async def visitors(stage: Stage, host: str, home_ref: str) -> list[str]:
    """Accounts at the host that are linked to this volunteer, and whatever was made beside them."""
    async with stage.stack.postgres.connection("identity") as db:
        found = await db.fetch(
            "SELECT host_ref FROM link JOIN account USING (person) WHERE home_ref = $1 AND host = $2", home_ref, host
        )
    return [row[0] for row in found]


@HOMES
async def test_her_whole_way_with_two_phones(stage: Stage, surf: Browser, home: str, host: str, language: str) -> None:
    """A second pass made an empty account, and gave again the consent that she had withdrawn, without a word."""
    shift = await stage.shift(host, after=timedelta(hours=5))
    first = await Surfer.linked(stage, surf, home, host, language=language)
    await first.join(host, shift)
    await first.sees("报名成功", "Confirmed")
    (account,) = await visitors(stage, host, first.ref)
    made = await stage.books[host].fetchval("SELECT count(*) FROM account")

    second = await Surfer.at(stage, surf, language)
    await second.sign_in(home, first.ref)
    await second.press(f"去{CITY[host][0]}的账号", f"Go on to {CITY[host][1]}")
    await second.sees("授权仍然有效", "your consent stands")
    await second.page.locator("main form button.main").click()
    await second.sees(first.ref, first.ref)
    await second.press(f"打开我在{CITY[host][0]}的账号", f"Open my account in {CITY[host][1]}")
    await second.sees(first.ref, first.ref)
    await second.press("是我，打开", "It is me: open")
    await second.sees(*GOOD)
    await second.go(host, "/mine")
    await second.sees(shift.title, shift.title)
    assert await stage.books[host].fetchval("SELECT count(*) FROM account") == made
    async with stage.stack.postgres.connection("identity") as db:
        versions = "SELECT version, host_ref FROM link WHERE host_ref = $1"
        assert tuple(await db.fetchrow(versions, account) or ()) == (1, account)
        given = "SELECT version, state FROM consent JOIN account USING (person) WHERE home_ref = $1"
        assert tuple(await db.fetchrow(given, first.ref) or ()) == (1, "given")
    # The first phone is still signed in, and sees the same.
    await first.go(host, "/mine")
    await first.sees(shift.title, shift.title)


@HOMES
async def test_the_way_back_asks_for_consent_that_was_withdrawn_and_gives_none_by_itself(
    stage: Stage, surf: Browser, home: str, host: str, language: str
) -> None:
    her = await Surfer.linked(stage, surf, home, host, language=language)
    await her.go(home)
    await her.press("撤回授权", "Withdraw consent")
    await her.sees_after_reload("已撤回授权", "Consent withdrawn")
    await her.press(f"去{CITY[host][0]}的账号", f"Go on to {CITY[host][1]}")
    await her.sees("您已撤回授权。同意之后", "You withdrew your consent. Agree first")
    await her.press("不同意", "I do not agree")
    await her.sees("已撤回授权", "Consent withdrawn")
    # An old page of hers, without the words to agree to, gives nothing again.
    secret = await her.page.locator("input[name=csrf]").first.get_attribute("value") or ""
    answer = await her.context.request.post(
        stage.url(home, f"/serve/{host}"), form={"csrf": secret, "form": "an-old-page-of-hers-01"}
    )
    assert answer.status == 409
    await her.press(f"去{CITY[host][0]}的账号", f"Go on to {CITY[host][1]}")
    await her.page.locator("main form button.main").click()
    await her.press(f"打开我在{CITY[host][0]}的账号", f"Open my account in {CITY[host][1]}")
    await her.press("是我，打开", "It is me: open")
    await her.sees(*GOOD)
    await her.go(home)
    await her.sees_after_reload("同意共享服务记录", "Service records are shared")
    assert len(await visitors(stage, host, her.ref)) == 1


async def test_the_way_back_works_without_javascript(stage: Stage, surf: Browser) -> None:
    her = await Surfer.linked(stage, surf, "sz", "gz")
    plain = await Surfer.at(stage, surf, java_script_enabled=False)
    await plain.sign_in("sz", her.ref)
    await plain.press("去广州的账号", "")
    await plain.press("去广州的账号", "")
    await plain.press("打开我在广州的账号", "")
    await plain.press("是我，打开", "")
    await plain.sees_after_reload("账号已建好", "")
    assert len(await visitors(stage, "gz", her.ref)) == 1


@HOMES
async def test_a_code_that_she_used_opens_nothing_for_whoever_steals_it(
    stage: Stage, surf: Browser, home: str, host: str, language: str
) -> None:
    """It signed in for ever, from any browser."""
    her = await Surfer.at(stage, surf, language)
    her.ref = await stage.person(home)
    await her.sign_in(home, her.ref)
    fields = await her.offer(home, host)
    early = await Surfer.at(stage, surf, language)
    await early.bring(host, fields)  # a thief who came before her, and looks at the question
    await early.sees(*ASKED)
    await her.page.locator("main form button.main").click()
    await her.press("是我，打开", "It is me: open")
    await her.sees(*GOOD)
    late = await Surfer.at(stage, surf, language)
    await late.bring(host, fields)
    await late.sees(*NO_GOOD)
    await early.press("是我，打开", "It is me: open")
    await early.sees(*USED)
    for thief in (early, late):
        await thief.go(host, "/hours")
        assert thief.page.url.startswith(stage.url(host, "/sign-in"))
    # Her own double press, or the back button, opens the one session that she has.
    await her.go(host, "/visit")
    await her.press("是我，打开", "It is me: open")
    await her.sees(*GOOD)
    assert len(await visitors(stage, host, her.ref)) == 1


async def test_a_code_that_was_stolen_before_she_used_it_is_told_to_her(stage: Stage, surf: Browser) -> None:
    """Whoever holds the code controls both accounts (rule 80): the first press counts, and she hears of it."""
    her = await Surfer.at(stage, surf)
    her.ref = await stage.person("sz")
    await her.sign_in("sz", her.ref)
    fields = await her.offer("sz", "gz")
    thief = await Surfer.at(stage, surf)
    await thief.bring("gz", fields)
    await thief.sees(her.ref, "")  # the page names whose account it is
    await thief.press("是我，打开", "")
    await thief.sees("账号已建好", "")
    await her.page.locator("main form button.main").click()
    await her.sees(*NO_GOOD)
    await her.sees("撤回授权并告诉工作人员", "")
    await her.go("sz")
    await her.sees_after_reload("已与广州关联", "")


async def test_a_foreign_link_signs_nobody_in_and_nobody_out(stage: Stage, surf: Browser) -> None:
    """Login CSRF: signed in to the attacker's account without a word, she would serve for him."""
    her = await Surfer.linked(stage, surf, "sz", "gz")
    attacker = await Surfer.at(stage, surf)
    attacker.ref = await stage.person("sz")
    await attacker.sign_in("sz", attacker.ref)
    fields = await attacker.offer("sz", "gz")
    shift = await stage.shift("gz")
    await her.join("gz", shift)
    await her.sees("报名成功", "")
    await her.bring("gz", fields)
    await her.sees("您即将打开", "")
    await her.sees(attacker.ref, "")
    await her.sees("您现在以", "")
    for secret in ("", "x" * 32):
        answer = await her.context.request.post(stage.url("gz", "/visit/open"), form={"csrf": secret})
        assert answer.status == 403
    await her.press("不是我", "")
    await her.go("gz", "/mine")
    await her.sees(shift.title, "")
    assert await visitors(stage, "gz", attacker.ref) == []


@HOMES
async def test_strangers_nonsense_leaves_no_row_and_her_right_code_still_works(
    stage: Stage, surf: Browser, home: str, host: str, language: str
) -> None:
    """300 posts made 300 persons, requests and accounts; five of them made her offer void."""
    her = await Surfer.at(stage, surf, language)
    her.ref = await stage.person(home)
    await her.sign_in(home, her.ref)
    await her.offer(home, host)
    async with stage.stack.postgres.connection("identity") as db:
        await eventually(lambda: db.fetchval("SELECT count(*) = 0 FROM request"), what="nothing of others stands")
    before = await rows(stage)
    stranger = {"X-Forwarded-For": f"203.0.113.{1 if host == 'gz' else 2}", "Accept-Language": language}

    async def guess(number: int) -> httpx.Response:
        ref = her.ref if number % 2 else f"{home}-nobody-{number}"
        form = {"home": home, "ref": ref, "code": f"{number:043d}"}
        return await stage.http.post(stage.url(host, "/visit"), data=form, headers=stranger, timeout=60)

    answers = await asyncio.gather(*(guess(number) for number in range(300)))
    assert Counter(answer.status_code for answer in answers) == {404: 30, 429: 270}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["retry-after"] == "300"
    assert her.words("试得太多了", "Too many tries") in refused.text
    assert await rows(stage) == before
    await her.page.locator("main form button.main").click()
    await her.press("是我，打开", "It is me: open")
    await her.sees(*GOOD)


async def test_whoever_signs_in_from_a_shift_or_a_qr_code_is_there_again(stage: Stage, surf: Browser) -> None:
    shift = await stage.shift("gz")
    ref = await stage.person("gz")
    for path in (shift.path, f"/check-in/{shift.project_ref}/{shift.shift_ref}?code=123456"):
        her = await Surfer.at(stage, surf)
        await her.go("gz", path)
        if path == shift.path:
            await her.press("登录后报名", "")
        await her.page.select_option("#ref", ref)
        await her.page.fill("#passcode", stage.stack.passcode or "")
        await her.page.locator("main button").click()
        await expect(her.page).to_have_url(stage.url("gz", path))
    assert await her.page.locator("#code").input_value() == "123456"


async def test_while_nobody_can_say_whether_her_code_is_good_she_is_told_that_it_is_not_used(
    stage: Stage, surf: Browser
) -> None:
    """She was told that what she sees updates by itself, on a page that does not."""
    her = await Surfer.at(stage, surf)
    her.ref = await stage.person("sz")
    await her.sign_in("sz", her.ref)
    fields = await her.offer("sz", "gz")
    identity = stage.stack.processes["identity"]
    assert identity.pid is not None
    os.kill(identity.pid, signal.SIGSTOP)
    try:
        hers = {"X-Forwarded-For": "203.0.113.3"}
        answer = await stage.http.post(stage.url("gz", "/visit"), data=fields, headers=hers, timeout=60)
    finally:
        os.kill(identity.pid, signal.SIGCONT)
    assert answer.status_code == 503
    assert "还没有用掉" in answer.text
    await her.page.locator("main form button.main").click()
    await her.press("是我，打开", "")
    await her.sees("账号已建好", "")
