"""Two cities' pages on a running linkage: people, shifts, and what a person does in a browser."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
from aiokafka import AIOKafkaProducer
from playwright.async_api import Browser, BrowserContext, Page, expect
from playwright.async_api import Error as PlaywrightError

from contracts.envelope import Event
from contracts.ids import transfer_id
from contracts.messages import Message, shifts
from contracts.messages.receipts import CreditAccepted
from contracts.messages.shifts import Campaign, Category, Place
from contracts.topics import SIGNUPS, registry_source, registry_topic_for
from deploy.linkage import OPERATOR
from deploy.operate.lines import Letter
from deploy.operate.publishing import Publisher
from deploy.tryout.local.stack import Stack
from tests.support.browsers import browser, chromium
from tests.support.waiting import PATIENCE, eventually

__all__ = ["CITY", "ORGANISER", "Shift", "Stage", "Surfer", "browser", "chromium"]

expect.set_options(timeout=PATIENCE * 1000)
CITY = {"gz": ("广州", "Guangzhou"), "sz": ("深圳", "Shenzhen")}
ORGANISER = {"gz": "gz-org-0417", "sz": "sz-org-1183"}
_ADDRESSES = (f"{one}.{other}" for one in range(256) for other in range(1, 255))
_DIVISION = {"gz": ("440104", "越秀区二沙岛"), "sz": ("440304", "福田区市民中心")}


@dataclass(frozen=True, slots=True)
class Shift:
    """A shift that a test has published."""

    host: str
    project_ref: str
    shift_ref: str
    title: str

    @property
    def path(self) -> str:
        """Its page."""
        return f"/shifts/{self.host}/{self.project_ref}/{self.shift_ref}"

    @property
    def roster(self) -> str:
        """Its organiser's page."""
        return f"/organiser/{self.project_ref}/{self.shift_ref}"


@dataclass
class Stage:
    """A linkage whose registries have pages, with direct lines to their books for what no page shows."""

    stack: Stack
    publisher: Publisher
    books: dict[str, asyncpg.Connection[asyncpg.Record]]
    http: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(trust_env=False))

    def url(self, code: str, path: str = "/") -> str:
        """Where a city's page is, or the operator's."""
        return self.stack.url(code if code == OPERATOR else f"sandbox_{code}") + path

    async def misbehave(self, code: str, **how: object) -> None:
        """Ask a city's system to misbehave."""
        headers = {"authorization": f"Bearer {self.stack.tokens[f'system:{code}']}"}
        (await self.http.post(self.url(code, "/misbehave"), json=how, headers=headers)).raise_for_status()

    async def person(self, code: str, age_band: str = "adult", *, guardian: bool = False) -> str:
        """Somebody new at home in this registry; gives her number."""
        ref = f"{code}-{uuid.uuid4().hex[:10]}"
        name = f"测试{ref[-4:]}"
        await self.books[code].execute(
            "INSERT INTO account (ref, kind, name, age_band, guardian_approved) VALUES ($1, 'volunteer', $2, $3, $4)",
            ref,
            name,
            age_band,
            guardian,
        )
        await self.books[code].execute("INSERT INTO volunteer (ref, known_since) VALUES ($1, now())", ref)
        return ref

    async def shift(
        self,
        host: str,
        *,
        title: str | None = None,
        posts: int = 5,
        waitlist: int = 0,
        minimum_age: int = 0,
        after: timedelta = timedelta(hours=3),
        opens: timedelta = timedelta(hours=-1),
    ) -> Shift:
        """Publish a project with one shift, and wait until it is known."""
        mark = uuid.uuid4().hex[:8]
        one = Shift(host, f"{host}-p-{mark}", f"{host}-s-{mark}", title or f"护绿{mark}")
        now = datetime.now(UTC)
        division, place = _DIVISION[host]
        await self.say(
            host,
            shifts.ProjectPublished(
                project_ref=one.project_ref,
                version=1,
                title=one.title,
                category=Category.ECOLOGY,
                organiser_ref=ORGANISER[host],
                campaign=Campaign(ref="zhiyuan-yixia", title="志愿一夏"),
            ),
            shifts.ShiftPublished(
                project_ref=one.project_ref,
                shift_ref=one.shift_ref,
                version=1,
                starts_at=now + after,
                ends_at=now + after + timedelta(hours=2),
                signup_opens_at=now + opens,
                signup_closes_at=now + after,
                posts=posts,
                waitlist_posts=waitlist,
                minimum_age=minimum_age,
                place=Place(division_code=division, text=place),
            ),
        )

        async def known() -> bool:
            answers = [await self.http.get(self.url(code, one.path)) for code in self.books]
            on_books = await self.books[host].fetchval("SELECT 1 FROM shift WHERE shift_ref = $1", one.shift_ref)
            return bool(on_books) and all(answer.status_code == 200 for answer in answers)

        await eventually(known, what="the shift can be found")
        return one

    async def begin(self, shift: Shift) -> None:
        """From now on the linkage tells pages that this shift began a minute ago."""
        async with self.stack.postgres.connection("opportunities") as db:
            begun = "UPDATE shift SET starts_at = now() - interval '1 minute' WHERE shift_ref = $1"
            await db.execute(begun, shift.shift_ref)

    async def noted(self, shift: Shift) -> None:
        """Wait until the linkage has heard that somebody serves this shift at home."""
        known = "SELECT state = 'reported' FROM signup WHERE shift_ref = $1"
        async with self.stack.postgres.connection("opportunities") as db:
            await eventually(lambda: db.fetchval(known, shift.shift_ref), what="the linkage knows of it")

    async def offered(self, home_ref: str) -> None:
        """Wait until the linkage knows the offer of this volunteer: before this moment her code is no good anywhere."""
        known = "SELECT count(*) FROM offer JOIN account USING (person) WHERE home_ref = $1"
        async with self.stack.postgres.connection("identity") as db:
            await eventually(lambda: db.fetchval(known, home_ref), what="the offer is known")

    async def contradict(self, host: str, home: str, record_ref: str, home_ref: str) -> None:
        """The home says of a record's first version that it booked one minute, which is not what it was sent."""
        transfer = transfer_id(host, record_ref, 1)
        now = datetime.now(UTC)
        await self.say(
            home, CreditAccepted(transfer_id=transfer, volunteer_ref=home_ref, delta=1, posted_at=now, attempt=1)
        )

    async def said_nonsense(self, code: str) -> None:
        """A registry publishes what is not in the contract, and the bridge sets it aside."""
        db = await asyncpg.connect(self.stack.dsn["bridge"])
        before = await db.fetchval("SELECT count(*) FROM set_aside")
        producer = AIOKafkaProducer(bootstrap_servers=self.stack.broker.address)
        await producer.start()
        try:
            await producer.send_and_wait(SIGNUPS.of(code).name, b"{}", key=b"x")
            await eventually(lambda: db.fetchval("SELECT count(*) > $1 FROM set_aside", before))
        finally:
            await producer.stop()
            await db.close()

    async def say(self, code: str, *messages: Message, at: datetime | None = None) -> None:
        """Publish in a registry's name, as said at this moment; now, if none is given."""
        letters, at = [], at or datetime.now(UTC)
        for message in messages:
            source = registry_source(code)
            topic = registry_topic_for(source, type(message))
            assert topic is not None
            letters.append(Letter(topic, Event(f"test-{uuid.uuid4()}", source, at, message)))
        await self.publisher.publish(letters)


class Surfer:
    """Somebody at a browser: signed in at either city, in one language."""

    def __init__(self, stage: Stage, context: BrowserContext, page: Page, language: str) -> None:
        self.stage, self.context, self.page, self.language = stage, context, page, language
        self.ref = ""
        """Her number at home."""

    @classmethod
    async def at(cls, stage: Stage, browser: Browser, language: str = "zh", **options: Any) -> Surfer:
        """A new browser profile."""
        usual: dict[str, Any] = {
            "viewport": {"width": 360, "height": 740},
            "locale": {"zh": "zh-CN"}.get(language, "en"),
            # From an address of her own: strangers' codes of other tests would have her wait for five minutes.
            "extra_http_headers": {"X-Forwarded-For": f"198.18.{next(_ADDRESSES)}"},
        }
        context = await browser.new_context(**(usual | options))
        context.set_default_timeout(PATIENCE * 1000)
        return cls(stage, context, await context.new_page(), language)

    @classmethod
    async def linked(
        cls, stage: Stage, browser: Browser, home: str, host: str, *, age_band: str = "adult", language: str = "zh"
    ) -> Surfer:
        """Somebody new at home in one city, signed in there and with an account in the other."""
        her = await cls.at(stage, browser, language)
        her.ref = await stage.person(home, age_band, guardian=age_band != "adult")
        await her.sign_in(home, her.ref)
        await her.register(home, host)
        await her.sees("账号已建好", "Your account is ready")
        return her

    def words(self, zh: str, en: str) -> str:
        """The text in this person's language."""
        return zh if self.language == "zh" else en

    async def go(self, code: str, path: str = "/") -> None:
        """Open a page of a city."""
        await self.page.goto(self.stage.url(code, path))

    async def sign_in(self, code: str, ref: str) -> None:
        """Sign in there; at the operator's page ``ref`` is a token."""
        await self.go(code, "/sign-in")
        if code == OPERATOR:
            await self.page.fill("#token", ref)
        else:
            await self.page.select_option("#ref", ref)
            await self.page.fill("#passcode", self.stage.stack.passcode or "")
        await self.page.locator("main button").click()
        await self.page.wait_for_url(lambda url: not url.endswith("/sign-in"))

    async def press(self, zh: str, en: str) -> None:
        """Press the button or link with this text."""
        name = self.words(zh, en)
        await self.page.get_by_role("button", name=name).or_(self.page.get_by_role("link", name=name)).first.click()

    async def sees(self, zh: str, en: str) -> None:
        """Wait until the page says so, without being reloaded."""
        await expect(self.page.locator("main")).to_contain_text(self.words(zh, en))

    async def sees_after_reload(self, zh: str, en: str) -> None:
        """Reload until the page says so."""

        async def said() -> bool:
            try:
                await self.page.reload()
                return self.words(zh, en) in (await self.page.text_content("main") or "")
            except PlaywrightError:  # what was pressed before is still under way
                return False

        await eventually(said, every=0.3, what=self.words(zh, en))

    async def register(self, home: str, host: str) -> None:
        """From her home's page to an account at the other city."""
        await self.offer(home, host)
        city = self.words(*CITY[host])
        await self.press(f"去{city}，一键注册", f"To {city}: one-click registration")
        await self.press("是我，打开", "It is me: open")

    async def offer(self, home: str, host: str) -> dict[str, str]:
        """From her home's page up to the button to the other city, and until her offer is known; gives what the button
        carries."""
        city = self.words(*CITY[host])
        await self.go(home)
        await self.press(f"我要去{city}服务", f"Serve in {city}")
        await self.page.locator("main form button.main").click()  # agree
        await self.page.locator(f"form[action^='{self.stage.url(host, '')}']").wait_for()
        await self.stage.offered(self.ref)
        return await self.carried(host)

    async def carried(self, host: str) -> dict[str, str]:
        """What the button on the carrying page would send to the other city; it is not pressed."""
        form = self.page.locator(f"form[action^='{self.stage.url(host, '')}']")
        fields = form.locator("input[type=hidden]")
        return {
            await one.get_attribute("name") or "": await one.get_attribute("value") or "" for one in await fields.all()
        }

    async def bring(self, host: str, fields: dict[str, str]) -> None:
        """Come to a city with a form that was made elsewhere, as a foreign page would send this browser there."""
        inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
        await self.page.goto("about:blank")
        form = f"<form method=post action='{self.stage.url(host, '/visit')}'>{inputs}<button>go</button></form>"
        await self.page.set_content(form)
        await self.page.click("button")
        await self.page.wait_for_load_state()

    async def join(self, code: str, shift: Shift) -> None:
        """Open a shift's page at a city and sign up."""
        await self.go(code, shift.path)
        await self.press("报名", "Sign up")
