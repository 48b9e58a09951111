"""A small run with something of everything, by events alone: for the checker's own tests.

``python -m tests.support.checker.scenario FILE`` records it anew.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from contracts.envelope import Event, encode
from contracts.messages import Message, service, shifts, signups, volunteers
from contracts.messages.base import AgeBand, Consent, EvidenceClass
from contracts.messages.shifts import Category, Place
from contracts.topics import registry_source, registry_topic_for
from deploy.demo.lines import Letter
from deploy.demo.publishing import Publisher
from deploy.local.stack import Stack, StackOptions
from tests.support.checker.gather import gather
from tests.support.checker.report import check
from tests.support.checker.world import World
from tests.support.waiting import eventually

__all__ = ["CANARY", "KINDS", "options", "run", "settled"]

KINDS: Final = {"gz": "kafka_native", "sz": "rest_api"}
CANARY: Final = "440106199001011234"
"""Stands in a message to volunteers that the border does not read; nowhere else may it be seen."""
_ADULT, _MINOR = AgeBand.ADULT, AgeBand.FROM_16
_PEOPLE: Final = {
    # ref at home: (home, host, ref at the host, age band, guardian)
    "sz-ann": ("sz", "gz", "gz-ann", _ADULT, False),
    "sz-bo": ("sz", "gz", "gz-bo", _MINOR, True),
    "sz-chu": ("sz", "gz", "gz-chu", _MINOR, False),
    "sz-eve": ("sz", "gz", "gz-eve", _ADULT, False),
    "sz-hua": ("sz", "gz", "gz-hua", _ADULT, False),
    "gz-dan": ("gz", "sz", "sz-dan", _ADULT, False),
    "gz-fay": ("gz", "sz", "sz-fay", _ADULT, False),
}


class _Play:
    """Makes events whose ids follow from what they say, in the days before ``now``."""

    def __init__(self, now: datetime) -> None:
        self.monday = (now - timedelta(days=10)).replace(hour=1, minute=0, second=0, microsecond=0)  # 09:00 there
        self._number = 0

    def at(self, day: int, hours: float = 0) -> datetime:
        """Days and hours after Monday morning."""
        return self.monday + timedelta(days=day, hours=hours)

    def say(self, code: str, day: int, message: Message) -> Letter:
        """An event in a registry's name."""
        self._number += 1
        source = registry_source(code)
        topic = registry_topic_for(source, type(message))
        assert topic is not None
        return Letter(topic, Event(f"{code}-{self._number:04}", source, self.at(day), message))

    def links(self) -> Iterable[Letter]:
        """Offers with consent, requests with the code."""
        for ref, (home, host, host_ref, band, guardian) in _PEOPLE.items():
            code = sha256(ref.encode()).hexdigest()[:43]
            offer = volunteers.LinkOffered(
                volunteer_ref=ref,
                for_registry=host,
                code_hash=sha256(code.encode()).hexdigest(),
                age_band=band,
                guardian_approved=guardian,
                consent=Consent(version=1, given_at=self.at(-2)),
                expires_at=self.at(3),
            )
            yield self.say(home, -2, offer)
            request = volunteers.LinkRequested(volunteer_ref=host_ref, home=home, home_ref=ref, code=code)
            yield self.say(host, -2, request)
        wrong = volunteers.LinkRequested(volunteer_ref="gz-gus", home="sz", home_ref="sz-ann", code="w" * 43)
        yield self.say("gz", -2, wrong)

    def offers(self) -> Iterable[Letter]:
        """Projects and shifts: gz has two that overlap, with few posts."""
        for code, project in (("gz", "river"), ("gz", "park"), ("sz", "first-aid")):
            said = shifts.ProjectPublished(
                project_ref=project, version=1, title=project, category=Category.ECOLOGY, organiser_ref="org-1"
            )
            yield self.say(code, -2, said)
        yield self.shift("gz", "river", "river-tue", 1, posts=2)
        yield self.shift("gz", "river", "river-wed", 2, posts=9)
        yield self.shift("gz", "park", "park-tue", 1, posts=9)
        yield self.shift("gz", "park", "park-thu", 3, posts=9)
        yield self.shift("sz", "first-aid", "aid-wed", 2, posts=5)
        yield self.shift("sz", "first-aid", "aid-fri", 4, posts=5)

    def shift(self, code: str, project: str, ref: str, day: int, *, posts: int, version: int = 1) -> Letter:
        """Three hours from nine."""
        said = shifts.ShiftPublished(
            project_ref=project,
            shift_ref=ref,
            version=version,
            starts_at=self.at(day),
            ends_at=self.at(day, 3),
            signup_opens_at=self.at(-3),
            signup_closes_at=self.at(day, -1),
            posts=posts,
            waitlist_posts=3,
            place=Place(division_code="440104", text="there"),
        )
        return self.say(code, -2, said)

    def ask(self, code: str, ref: str, host: str, project: str, shift: str, **more: Any) -> Letter:
        """A sign-up, given back with ``back=True``."""
        kind = signups.SignupWithdrawn if more.get("back") else signups.SignupRequested
        said = kind(signup_ref=f"{ref}-{shift}", volunteer_ref=ref, host=host, project_ref=project, shift_ref=shift)
        return self.say(code, -1, said)

    def serve(self, code: str, ref: str, project: str, shift: str, day: int) -> Iterable[Letter]:
        """Came, left, and attested as version 1."""
        where: dict[str, Any] = {"volunteer_ref": ref, "project_ref": project, "shift_ref": shift, "method": "scan"}
        yield self.say(code, day, service.CheckedIn(at=self.at(day, 0), **where))
        yield self.say(code, day + 1, service.CheckedOut(at=self.at(day, 3), **where))
        yield self.attest(code, ref, project, shift, day)

    def attest(self, code: str, ref: str, project: str, shift: str, day: int, **more: Any) -> Letter:
        """A service record of 165 minutes, or as said."""
        said: dict[str, Any] = {
            "record_ref": f"{ref}-{shift}-r",
            "version": 1,
            "volunteer_ref": ref,
            "project_ref": project,
            "shift_ref": shift,
            "started_at": self.at(day),
            "ended_at": self.at(day, 3),
            "break_minutes": 15,
            "evidence_class": EvidenceClass.SCAN,
        }
        return self.say(code, day + 1, service.ServiceAttested(**(said | more)))

    def at_home(self) -> Iterable[Letter]:
        """She serves at home as well, twice on a day: no post, no transfer."""
        for shift, hour in (("own-am", 0), ("own-pm", 5)):
            where: dict[str, Any] = {"volunteer_ref": "gz-dan", "project_ref": "own", "shift_ref": shift}
            starts, ends = self.at(3, hour), self.at(3, hour + 3)
            said = signups.SignupReported(signup_ref=f"{shift}-1", host="gz", starts_at=starts, ends_at=ends, **where)
            yield self.say("gz", -1, said)
            yield self.say("gz", 4, service.CheckedIn(at=starts, method="scan", **where))
            yield self.attest("gz", "gz-dan", "own", shift, 3, started_at=starts, ended_at=ends)


async def run(stack: Stack) -> World:
    """Play it, phase by phase, and give the snapshot of the end."""
    play = _Play(datetime.now(UTC))
    async with Publisher(stack.broker.address) as publisher:
        for phase in _phases(play):
            await publisher.publish(phase)
            await settled(stack)
    await _poison(stack, play)
    return await settled(stack)


def _phases(play: _Play) -> Iterable[list[Letter]]:
    river = ("gz", "river", "river-tue")
    yield [*play.links(), *play.offers()]
    yield [play.ask("sz", "sz-ann", *river), play.ask("gz", "gz-bo", *river), play.ask("gz", "gz-chu", *river)]
    yield [play.ask("sz", "sz-eve", *river), play.ask("gz", "gz-ann", "gz", "park", "park-tue")]
    yield [play.ask("sz", "sz-hua", *river)]
    yield [
        play.ask("gz", "gz-bo", *river, back=True),
        *(play.ask("gz", ref, "gz", "river", "river-wed") for ref in ("gz-ann", "gz-bo", "gz-eve")),
        *(play.ask("gz", ref, "gz", "park", "park-thu") for ref in ("gz-ann", "gz-eve")),
        *(play.ask("gz", ref, "sz", "first-aid", "aid-wed") for ref in ("gz-dan", "gz-fay")),
        play.ask("sz", "sz-dan", "sz", "first-aid", "aid-fri"),
        play.ask("gz", "gz-nobody", *river),
    ]
    yield [play.shift("gz", "river", "river-tue", 1, posts=3, version=2)]
    yield [
        *play.serve("gz", "gz-ann", "river", "river-tue", 1),
        *play.serve("gz", "gz-eve", "river", "river-tue", 1),
        *play.serve("gz", "gz-ann", "river", "river-wed", 2),
        *play.serve("sz", "sz-dan", "first-aid", "aid-wed", 2),
        *play.serve("sz", "sz-fay", "first-aid", "aid-wed", 2),
        *play.serve("sz", "sz-dan", "first-aid", "aid-fri", 4),
        *play.serve("gz", "gz-ann", "park", "park-thu", 3),
        play.attest("gz", "gz-bo", "river", "river-wed", 2),
        *play.at_home(),
    ]
    yield [
        play.attest("gz", "gz-ann", "river", "river-tue", 1, version=2, break_minutes=45, reason_code="correction"),
        play.attest("gz", "gz-ann", "river", "river-wed", 2, version=2, revoked=True, reason_code="retract"),
        play.say("sz", 5, volunteers.ConsentWithdrawn(volunteer_ref="sz-eve", registry="gz", version=1)),
        play.say("gz", 5, volunteers.ConsentWithdrawn(volunteer_ref="gz-fay", registry="sz", version=1)),
    ]
    yield [
        *play.serve("gz", "gz-eve", "river", "river-wed", 2),
        *play.serve("gz", "gz-eve", "park", "park-thu", 3),
    ]


async def _poison(stack: Stack, play: _Play) -> None:
    """A message of each bad kind, one with a used id, and one with a field that nobody reads."""
    good = play.attest("gz", "gz-ann", "park", "park-thu", 3)
    value, headers = encode(good.event)
    topic, key = good.topic, good.event.key.encode()
    reused = [(n, b"gz-0002" if n == "ce_id" else v) for n, v in headers]
    stranger = [(n, registry_source("sz").encode() if n == "ce_source" else v) for n, v in headers]
    consent = Consent(version=2, given_at=play.at(-1))
    offered = play.say("sz", -1, volunteers.ConsentGiven(volunteer_ref="sz-bo", registry="gz", consent=consent))
    body, named = encode(offered.event)
    told = body[:-1] + f',"document":"{CANARY}"}}'.encode()
    producer = AIOKafkaProducer(bootstrap_servers=stack.broker.address)
    await producer.start()
    try:
        await producer.send_and_wait(topic, b"{no json", key=key, headers=headers)
        await producer.send_and_wait(topic, value, key=b"gz-bo", headers=headers)
        await producer.send_and_wait(topic, value, key=key, headers=stranger)
        await producer.send_and_wait(topic, value, key=key, headers=reused)
        await producer.send_and_wait(offered.topic, told, key=offered.event.key.encode(), headers=named)
    finally:
        await producer.stop()


async def settled(stack: Stack) -> World:
    """The snapshot once nothing is on its way: twice the same number of messages, everything read."""
    seen = 0

    async def still() -> Any:
        nonlocal seen
        world = await gather(stack.broker.address, stack.dsn)
        before, seen = seen, sum(map(len, world.lines.values()))
        on_its_way = check(world, only=("I16",)).red or any(
            row["state"] in ("queued", "sent") for row in world.tables["bridge"]["transfer"]
        )
        return world if before == seen and not on_its_way else None

    world: World = await eventually(still, 60, every=0.1, what="the end of all traffic")
    return world


def options(broker: str = "embedded") -> StackOptions:
    """A launch with short waits."""
    return StackOptions(kinds=KINDS, broker=broker, settings={"AWAIT_FACTS": "2", "RECEIPT_DUE": "5"})


async def _record() -> World:
    async with Stack(options(), progress=print) as stack:
        return await run(stack)


if __name__ == "__main__":
    recorded = asyncio.run(_record())
    recorded.save(Path(sys.argv[1]))
    print(check(recorded, canaries=[CANARY]).text())
