"""What pages tell of a shift, of consent and of hours, on a linkage that runs: read without a browser."""

from __future__ import annotations

import html
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from contracts.messages import shifts, volunteers
from contracts.messages.base import Consent
from tests.support import said
from tests.support.pages import Stage
from tests.support.said import attested, offered, presence, project, requested
from tests.support.secret_forms import SecretForms
from tests.support.waiting import eventually

pytestmark = pytest.mark.whole

DAY = timedelta(days=1)


class Reader(SecretForms):
    """Somebody at home in gz, who serves in sz too. She reads the pages of gz without a browser, in Chinese."""

    def __init__(self, stage: Stage, ref: str, host_ref: str) -> None:
        super().__init__(stage.url("gz", ""))
        self.stage, self.ref, self.host_ref = stage, ref, host_ref

    async def reads(self, path: str) -> str:
        """The text of a page, without its form fields."""
        answer = await self.open(path)
        assert answer.status_code == 200, answer.text
        main = answer.text[answer.text.index("<main") :]
        return " ".join(html.unescape(re.sub("<[^>]+>", " ", main)).split())

    async def sees(self, path: str, *words: str) -> None:
        """Wait until a page says this."""

        async def said_all() -> bool:
            text = await self.reads(path)
            return all(word in text for word in words)

        await eventually(said_all, every=0.3, what=" and ".join(words))


@asynccontextmanager
async def reader(stage: Stage) -> AsyncIterator[Reader]:
    """Her, linked and signed in."""
    ref, host_ref, now = await stage.person("gz"), f"sz-v-{uuid.uuid4().hex[:10]}", datetime.now(UTC)
    await stage.say("gz", offered(ref, "sz", now, code=ref))
    await stage.say("sz", requested(host_ref, "gz", ref, code=ref))
    linked = "SELECT established FROM link WHERE ref = $1"
    await eventually(lambda: stage.books["gz"].fetchval(linked, ref), what="the link is made")
    her = Reader(stage, ref, host_ref)
    async with her:
        await her.open("/sign-in")
        await her.send("/sign-in", ref=ref, passcode=stage.stack.passcode or "")
        yield her


async def test_a_full_shift_is_found_by_its_line_and_joined(stage: Stage) -> None:
    """Full shifts were not found, so nobody reached a line."""
    line, full = await stage.shift("sz", posts=0, waitlist=2), await stage.shift("sz", posts=0)
    async with reader(stage) as her:
        assert "已满，可以候补（已有 0 人排队）" in await her.reads(f"/find?text={line.title}")
        assert "没有找到合适的班次" in await her.reads(f"/find?text={full.title}")
        assert "报名候补" in await her.reads(line.path)
        assert "岗位 已满 " in await her.reads(full.path)
        await her.send(f"{line.path}/join")
        await her.sees(line.path, "候补中", "已有 1 人排队")


async def test_a_shift_says_when_its_sign_up_opens_and_that_it_is_over(stage: Stage) -> None:
    """It was offered as a shift that can be joined, and whoever clicked was refused."""
    later = await stage.shift("sz", opens=timedelta(hours=2))
    over = await stage.shift("sz", after=timedelta(minutes=-1), opens=-DAY)
    other = await stage.shift("sz")
    async with reader(stage) as her:
        found = await her.reads(f"/find?text={later.title}")
        assert re.search(r"报名 \d+月\d+日 周. \d\d:\d\d 开始", found)
        for shift, words in ((later, "开始"), (over, "报名已截止")):
            text = await her.reads(shift.path)
            assert words in text
            assert f'action="{shift.path}/join"' not in (await her.open(shift.path)).text
        assert f'action="{other.path}/join"' in (await her.open(other.path)).text
        # Whoever asks all the same is offered shifts that she can join now.
        await her.send(f"{later.path}/join")
        await her.sees(later.path, "未成功", "还有这些适合您")
        others = (await her.open(later.path)).text.partition("<h2>还有这些适合您</h2>")[2]
        assert re.findall(r'href="(/shifts/[^"]+)"', others)
        assert "开始" not in re.sub("<[^>]+>", "", others)


async def served(her: Reader) -> said.Shift:
    """She had a post two days ago, from 09:00 to 19:00 in Shanghai, and checked in. Nothing is attested yet."""
    stage, mark = her.stage, uuid.uuid4().hex[:8]
    begins = datetime.now(UTC).replace(hour=1, minute=0, second=0, microsecond=0) - 2 * DAY
    shift = said.Shift("sz", f"sz-p-{mark}", f"sz-s-{mark}", begins, hours=10)
    published: shifts.ShiftPublished = shift.published()
    await stage.say("sz", project(f"sz-p-{mark}"), published, at=begins - DAY)
    await stage.say("gz", shift.requested(her.ref, f"gz-s-{mark}"), at=begins - timedelta(hours=1))
    await stage.say("sz", presence(shift, her.host_ref, begins), at=begins)
    state = "SELECT state = 'confirmed' FROM signup WHERE ref = $1 AND shift_ref = $2"
    await eventually(lambda: stage.books["gz"].fetchval(state, her.ref, shift.ref), what="the post")
    return shift


async def test_consent_that_ran_out_says_so_and_is_renewed_by_a_click(stage: Stage) -> None:
    """The page said that hours were shared, and sent her to a button that was not there; consent stood, it answered."""
    async with reader(stage) as her:
        shift, now = await served(her), datetime.now(UTC)
        short = Consent(version=2, given_at=now - 2 * DAY, valid_until=now - DAY)
        await stage.say("gz", volunteers.ConsentGiven(volunteer_ref=her.ref, registry="sz", consent=short))
        await her.sees("/", "授权已到期")
        await stage.say("sz", attested(shift, her.host_ref, f"R-{shift.ref}"))
        await her.sees("/hours", "有 1 条服务记录等您重新同意")
        mine = await her.reads("/")
        assert "重新同意" in mine
        assert "同意共享服务记录" not in mine
        assert "您的授权已到期" in await her.reads("/serve/sz")
        await her.open("/")
        answer = await her.send("/consent/sz/give")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        await her.sees("/hours", "已入账 1 小时 0 分")
        mine = await her.reads("/")
        assert "同意共享服务记录" in mine
        assert "授权已到期" not in mine
        assert (await her.send("/consent/sz/give")).status_code == 409, "now it stands"


async def test_a_held_correction_leaves_the_credit_in_sight(stage: Stage) -> None:
    """The page said of the whole record that it does not count."""
    async with reader(stage) as her:
        shift = await served(her)
        await stage.say("sz", attested(shift, her.host_ref, f"R-{shift.ref}"))
        await her.sees("/hours", "已入账 1 小时 0 分")
        await stage.say("sz", attested(shift, her.host_ref, f"R-{shift.ref}", 2, 600))
        await her.sees("/hours", "已入账 1 小时 0 分", "更正： 暂不计入 10 小时 0 分", "等服务方处理")
