"""Acting as two registries on a running linkage: publish in their names, read their own books."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx

from contracts.envelope import Event
from contracts.messages import Message
from contracts.messages.base import AgeBand, Consent, EvidenceClass
from contracts.messages.service import SHANGHAI, CheckedIn, CheckedOut, ServiceAttested
from contracts.messages.shifts import Category, Place, ProjectPublished, ShiftPublished
from contracts.messages.signups import SignupRequested, SignupWithdrawn
from contracts.messages.volunteers import ConsentGiven, ConsentWithdrawn, LinkOffered, LinkRequested
from contracts.topics import registry_source, registry_topic_for
from deploy.operate.lines import Letter
from deploy.operate.publishing import Publisher
from deploy.tryout.local.stack import Stack
from tests.support.waiting import eventually

if TYPE_CHECKING:
    Database = asyncpg.Connection[asyncpg.Record]

DAY = datetime.now(SHANGHAI).replace(hour=9, minute=0, second=0, microsecond=0) - timedelta(days=3)
"""When services of these tests begin: nine in the morning three days ago."""


@dataclass
class Visit:
    """One volunteer at home and as a visitor, one shift of the host, and a service record there.

    ``who`` and ``where``: the mark of a visit by the same volunteer, and of one in the same shift.
    """

    home: str
    host: str
    mark: str = field(default_factory=lambda: uuid.uuid4().hex[:10])
    code: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    start: datetime = DAY
    age_band: AgeBand = AgeBand.ADULT
    guardian_approved: bool = False
    who: str = ""
    where: str = ""

    @property
    def home_ref(self) -> str:
        """Her number at home."""
        return f"h-{self.who or self.mark}"

    @property
    def host_ref(self) -> str:
        """Her number at the host."""
        return f"v-{self.who or self.mark}"

    @property
    def record_ref(self) -> str:
        """The record of this service."""
        return f"r-{self.mark}"

    @property
    def signup_ref(self) -> str:
        """What her home calls her request for this shift."""
        return f"u-{self.mark}"

    @property
    def shift(self) -> dict[str, Any]:
        """The shift's refs."""
        mark = self.where or self.mark
        return {"project_ref": f"p-{mark}", "shift_ref": f"s-{mark}"}

    def consent(self, version: int = 1) -> Consent:
        """Her permission, given a month before the service."""
        return Consent(version=version, given_at=self.start - timedelta(days=30))

    def link(self) -> list[tuple[str, Message]]:
        """Offer at home, request at the host."""
        offered = LinkOffered(
            volunteer_ref=self.home_ref,
            for_registry=self.host,
            code_hash=hashlib.sha256(self.code.encode()).hexdigest(),
            age_band=self.age_band,
            guardian_approved=self.guardian_approved,
            consent=self.consent(),
            expires_at=self.start + timedelta(days=30),
        )
        requested = LinkRequested(volunteer_ref=self.host_ref, home=self.home, home_ref=self.home_ref, code=self.code)
        return [(self.home, offered), (self.host, requested)]

    def publish(self, posts: int = 5, waitlist_posts: int = 0) -> list[tuple[str, Message]]:
        """The host's project with its shift, four hours long."""
        project = ProjectPublished(
            project_ref=self.shift["project_ref"],
            version=1,
            title="志愿护绿驿站",
            category=Category.ECOLOGY,
            organiser_ref="org-1",
        )
        shift = ShiftPublished(
            **self.shift,
            version=1,
            starts_at=self.start,
            ends_at=self.start + timedelta(hours=4),
            signup_opens_at=self.start - timedelta(days=20),
            signup_closes_at=self.start,
            posts=posts,
            waitlist_posts=waitlist_posts,
            place=Place(division_code="440104", text="二沙岛艺术公园"),
        )
        return [(self.host, project), (self.host, shift)]

    def sign_up(self) -> tuple[str, Message]:
        """One click in her home's app."""
        return self.home, SignupRequested(**self._of_signup())

    def sign_up_over_there(self) -> tuple[str, Message]:
        """One click in the host's app, which has a number of its own for it."""
        own = {"signup_ref": f"v-{self.mark}", "volunteer_ref": self.host_ref}
        return self.host, SignupRequested(**self._of_signup() | own)

    def give_back(self) -> tuple[str, Message]:
        """She gives the post, or her place in line, back."""
        return self.home, SignupWithdrawn(**self._of_signup())

    def _of_signup(self) -> dict[str, Any]:
        return {"signup_ref": self.signup_ref, "volunteer_ref": self.home_ref, "host": self.host, **self.shift}

    def withdraw_consent(self, version: int = 1) -> tuple[str, Message]:
        """From now on nothing about her goes from the host to her home."""
        return self.home, ConsentWithdrawn(volunteer_ref=self.home_ref, registry=self.host, version=version)

    def renew_consent(self, version: int = 2) -> tuple[str, Message]:
        """She allows it again."""
        given = ConsentGiven(volunteer_ref=self.home_ref, registry=self.host, consent=self.consent(version))
        return self.home, given

    def presence(self) -> list[tuple[str, Message]]:
        """In at the beginning, out at the end."""
        refs: dict[str, Any] = {"volunteer_ref": self.host_ref, "method": "scan", **self.shift}
        return [
            (self.host, CheckedIn(at=self.start, **refs)),
            (self.host, CheckedOut(at=self.start + timedelta(hours=4), **refs)),
        ]

    def attest(self, minutes: int, version: int = 1, *, revoked: bool = False) -> tuple[str, Message]:
        """The host's service record in this version."""
        record = ServiceAttested(
            volunteer_ref=self.host_ref,
            record_ref=self.record_ref,
            version=version,
            project_ref=self.shift["project_ref"],
            shift_ref=self.shift["shift_ref"],
            started_at=self.start,
            ended_at=self.start + timedelta(minutes=minutes),
            evidence_class=EvidenceClass.SCAN,
            revoked=revoked,
        )
        return self.host, record


class Linkage:
    """A running stack as its two registries see it."""

    def __init__(self, stack: Stack, publisher: Publisher, books: dict[str, Database], bridge: Database) -> None:
        self.stack = stack
        self.publisher = publisher
        self.books = books
        self.bridge = bridge

    async def say(self, *messages: tuple[str, Message], at: datetime | None = None) -> None:
        """Publish in the registries' names, in this order; times are a second apart, ten days before the service."""
        moment = at or DAY - timedelta(days=10)
        letters = []
        for number, (code, message) in enumerate(messages):
            source = registry_source(code)
            topic = registry_topic_for(source, type(message))
            assert topic is not None
            event = Event(uuid.uuid4().hex, source, (moment + timedelta(seconds=number)).astimezone(UTC), message)
            letters.append(Letter(topic, event))
        for letter in letters:
            await self.publisher.publish([letter])

    async def serve(self, visit: Visit, minutes: int) -> None:
        """The whole visit, from the link to the record of these minutes, until her home has posted them."""
        await self.say(*visit.link(), *visit.publish(), visit.sign_up())
        await self.say(*visit.presence(), at=visit.start)
        await self.say(visit.attest(minutes), at=visit.start + timedelta(hours=5))

        async def posted() -> bool:
            return await self.posted(visit) == [minutes]

        await eventually(posted)

    async def posted(self, visit: Visit) -> list[int]:
        """What the home's ledger has for her, posting by posting."""
        rows = await self.books[visit.home].fetch(
            "SELECT minutes FROM audit_credits WHERE volunteer_ref = $1", visit.home_ref
        )
        return [row[0] for row in rows]

    async def total(self, visit: Visit) -> int:
        """Minutes that her home has for her."""
        return sum(await self.posted(visit))

    async def stands(self, visit: Visit) -> tuple[str, str | None] | None:
        """State and reason of her sign-up in her home's own books."""
        row = await self.books[visit.home].fetchrow(
            "SELECT state, reason FROM signup WHERE signup_ref = $1", visit.signup_ref
        )
        return None if row is None else (row[0], row[1])

    async def rosters(self, visit: Visit) -> dict[str, list[str]]:
        """The states of all sign-ups for her shift, in the books of both."""
        states = "SELECT array_agg(state) FROM signup WHERE shift_ref = $1"
        return {
            code: list(await self.books[code].fetchval(states, visit.shift["shift_ref"]) or ())
            for code in (visit.home, visit.host)
        }

    async def served(self, visit: Visit) -> tuple[int, int, str] | None:
        """Version, minutes and status of the record in the host's own books."""
        row = await self.books[visit.host].fetchrow(
            "SELECT version, minutes, status FROM audit_served WHERE record_ref = $1", visit.record_ref
        )
        return None if row is None else (row[0], row[1], row[2])

    async def transfers(self, visit: Visit) -> dict[int, str]:
        """State of each version's transfer in the bridge."""
        rows = await self.bridge.fetch(
            "SELECT version, state FROM transfer WHERE record_ref = $1 ORDER BY version", visit.record_ref
        )
        return {row[0]: row[1] for row in rows}

    async def hasten_end_of_line(self, visit: Visit) -> None:
        """Services of these tests are of three days ago, for which a line stays open a little: that time is over."""
        name = f"line:shift:{visit.host}:{visit.shift['project_ref']}:{visit.shift['shift_ref']}"
        async with self.stack.postgres.connection("opportunities") as opportunities:
            done = await opportunities.execute("UPDATE timer SET due = now() WHERE name = $1", name)
        assert done == "UPDATE 1", f"no timer {name}"

    async def misbehave(self, code: str, **how: Any) -> None:
        """Ask a sandbox to misbehave."""
        headers = {"authorization": f"Bearer {self.stack.tokens[f'system:{code}']}"}
        async with httpx.AsyncClient(headers=headers) as client:
            answer = await client.post(f"{self.stack.url(f'sandbox_{code}')}/misbehave", json=how)
            answer.raise_for_status()

    async def upgrade(self, command: str) -> Any:
        """What `shuangcheng upgrade` prints for machines."""
        at = [f"--at={spec.name}={self.stack.url(spec.name)}" for spec in self.stack.specs.values() if spec.ours]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deploy.cli.main", "upgrade", command, "--json", "--token-file=-", *at),
            stdin=pipe, stdout=pipe, stderr=pipe,
        )  # fmt: skip
        out, said = await process.communicate(f"{self.stack.tokens['operator']}\n".encode())
        assert process.returncode == 0, said.decode()
        return json.loads(out)

    async def quarantined(self) -> int:
        """Messages that a service could not decide or read."""
        found: int = await self.bridge.fetchval(
            "SELECT count(*) FROM set_aside WHERE reason NOT IN ('waiting', 'ready', 'behind')"
        )
        return found


@asynccontextmanager
async def acting(stack: Stack) -> AsyncIterator[Linkage]:
    """Both registries of a running linkage with sandboxes, and their books."""
    async with Publisher(stack.broker.address) as publisher:
        books = {code: await asyncpg.connect(stack.dsn[f"sandbox_{code}"]) for code in ("gz", "sz")}
        bridge = await asyncpg.connect(stack.dsn["bridge"])
        try:
            yield Linkage(stack, publisher, books, bridge)
        finally:
            await asyncio.gather(bridge.close(), *(book.close() for book in books.values()))
