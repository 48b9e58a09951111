"""A small run with some of everything, made by events alone, for the checker's own tests (``recording.py``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from contracts.envelope import encode
from contracts.ids import transfer_id
from contracts.messages import receipts, volunteers
from contracts.messages.base import Consent
from contracts.topics import registry_source
from deploy.audit.gather import gather
from deploy.audit.report import check
from deploy.audit.world import World
from deploy.operate.lines import Letter
from deploy.operate.publishing import Publisher
from deploy.tryout.demo.books import Books
from deploy.tryout.demo.quiet import Quiet
from deploy.tryout.local.options import StackOptions
from deploy.tryout.local.stack import Stack
from tests.support.checker.play import Play
from tests.support.lines import end_lines
from tests.support.waiting import eventually

__all__ = ["CANARY", "KINDS", "options", "run", "settled"]

KINDS: Final = {"gz": "kafka_native", "sz": "rest_api"}
CANARY: Final = "440106199001011234"
"""Planted in a message to volunteers that the border does not read. It may be nowhere else."""


@dataclass(frozen=True)
class _Phase:
    """Messages that are sent together, and the misbehaviour of homes meanwhile."""

    said: Sequence[Letter]
    mischief: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


async def run(stack: Stack) -> World:
    """Play the run, phase by phase. Gives the snapshot of the end."""
    play = Play(datetime.now(UTC))
    urls = {name: stack.url(name) for name in stack.specs}
    address = stack.broker.address
    async with (
        Publisher(address) as publisher,
        Books(stack.dsn, urls, stack.tokens) as books,
        Quiet(books, stack.dsn, address, lambda: None) as quiet,
    ):
        for phase in (*_joining(play), *_serving(play), *_going_wrong(play), *_ending_early(play)):
            for code, wanted in phase.mischief.items():
                await books.misbehave(code, wanted)
            await publisher.publish(phase.said)
            await _answered(books, quiet)
    await _poison(stack, play)
    await end_lines(stack)
    return await settled(stack)


async def _answered(books: Books, quiet: Quiet) -> None:
    """Whether nothing is under way any more and each link request has its answer. Until then only a timer stands for
    the request."""

    async def answered() -> bool:
        await quiet.until(lambda look: not look.total(waiting=True))
        return bool(await books.value("identity", "SELECT count(*) = 0 FROM request"))

    await eventually(answered, every=0.2, what="an answer to each link request")


def _joining(play: Play) -> Iterable[_Phase]:
    """Links, posts and places in line, a cancelled shift, and requests that cannot be followed."""
    river, sat = ("gz", "river", "river-tue"), ("gz", "park", "park-sat")
    yield _Phase([*play.links(), *play.offers()])
    yield _Phase([play.guess()])
    yield _Phase([play.late_link()])
    first = [play.ask("sz", "sz-ann", *river), play.ask("gz", "gz-bo", *river), play.ask("gz", "gz-chu", *river)]
    yield _Phase([*first, play.ask("gz", "gz-ivy", *sat)])
    second = [play.ask("sz", "sz-eve", *river), play.ask("gz", "gz-ann", "gz", "park", "park-tue")]
    yield _Phase([*second, play.ask("sz", "sz-hua", *sat)])
    yield _Phase([play.ask("sz", "sz-hua", *river)])
    yield _Phase(
        [
            play.ask("gz", "gz-bo", *river, back=True),
            *(play.ask("gz", ref, "gz", "river", "river-wed") for ref in ("gz-ann", "gz-bo", "gz-eve")),
            *(play.ask("gz", ref, "gz", "park", "park-thu") for ref in ("gz-ann", "gz-eve")),
            *(play.ask("gz", ref, "gz", "park", "park-sun") for ref in ("gz-ann", "gz-hua", "gz-ivy")),
            *(play.ask("gz", ref, "sz", "first-aid", "aid-wed") for ref in ("gz-dan", "gz-fay", "gz-jun")),
            *(play.ask("gz", ref, "sz", "first-aid", "aid-sat") for ref in ("gz-dan", "gz-jun")),
            play.ask("gz", "gz-jun", "sz", "first-aid", "aid-fri"),
            play.ask("sz", "sz-dan", "sz", "first-aid", "aid-fri"),
            play.ask("gz", "gz-nobody", *river),
        ]
    )
    yield _Phase(
        [
            play.shift("gz", "river", "river-tue", 1, posts=3, version=2),
            play.shift("gz", "park", "park-sat", 5, posts=1, version=2, state="cancelled"),
            play.shift("gz", "river", "river-wed", 2, posts=8),
            play.project("gz", "river", 2, "summer"),
            play.ask("gz", "gz-ann", "gz", "river", "river-wed"),
            play.ask("sz", "sz-ann", "gz", "river", "river-wed"),
            play.ask("gz", "gz-hua", "gz", "river", "river-wed", back=True),
            play.busy("gz", "gz-dan", "own-wed", 2),
            play.busy("gz", "gz-jun", "own-fri", 4),
        ]
    )
    yield _Phase([play.ask("gz", "gz-jun", "sz", "first-aid", "aid-fri", back=True)])
    yield _Phase([play.ask("gz", "gz-ivy", *river)])  # this volunteer gets no post until the end


def _serving(play: Play) -> Iterable[_Phase]:
    """Service that counts, that is held, corrected or revoked, and that is withheld for want of consent."""
    wed, aid = ("river", "river-wed", 2), ("first-aid", "aid-wed", 2)
    yield _Phase(
        [
            *play.serve("gz", "gz-ann", "river", "river-tue", 1),
            *play.serve("gz", "gz-eve", "river", "river-tue", 1),
            *play.serve("gz", "gz-ann", *wed),
            *play.serve("sz", "sz-dan", *aid),
            *play.serve("sz", "sz-fay", *aid),
            *play.presence("sz", "sz-jun", *aid),
            *play.serve("sz", "sz-dan", "first-aid", "aid-fri", 4),
            *play.serve("gz", "gz-ann", "park", "park-thu", 3),
            play.attest("gz", "gz-bo", *wed),
            *play.at_home(),
            *list(play.presence("gz", "gz-hua", "river", "river-tue", 1))[1:],
            play.consent("sz", "sz-kim", "gz", 2, 1, given=False),
        ]
    )
    yield _Phase(
        [
            play.attest("gz", "gz-ann", "river", "river-tue", 1, version=2, break_minutes=45, reason_code="correction"),
            play.attest("gz", "gz-ann", *wed, version=2, revoked=True, reason_code="retract"),
            play.attest("gz", "gz-ann", "park", "park-thu", 3, break_minutes=20),
            play.busy("gz", "gz-dan", "own-pm", 3, 1),
            play.consent("sz", "sz-eve", "gz", 5, 1, given=False),
            play.consent("gz", "gz-fay", "sz", 5, 1, given=False),
            play.ask("gz", "gz-kim", "gz", "park", "park-sun"),
        ]
    )
    yield _Phase(
        [
            *play.serve("gz", "gz-eve", *wed),
            *play.serve("gz", "gz-eve", "park", "park-thu", 3),
            *play.serve("gz", "gz-kim", "park", "park-sun", 6),
            play.break_or_restore("gz", "gz-jun", "sz", 7, broken=True),
        ]
    )
    yield _Phase(
        [
            play.consent("sz", "sz-kim", "gz", 8, 2, given=True),
            play.break_or_restore("sz", "sz-jun", "gz", 7, broken=True),
            play.attest("sz", "sz-jun", *aid),
            play.ask("gz", "gz-jun", "sz", "first-aid", "aid-fri", day=8),
        ]
    )
    yield _Phase([play.break_or_restore("gz", "gz-jun", "sz", 8, broken=False)])
    yield _Phase([play.break_or_restore("sz", "sz-jun", "gz", 8, broken=False)])
    yield _Phase([play.break_or_restore("sz", "sz-jun", "gz", 8, broken=False)])


def _going_wrong(play: Play) -> Iterable[_Phase]:
    """Homes that refuse for now and for good, lose their answers, answer twice, and contradict themselves."""
    sun, sat = ("park", "park-sun", 6), ("first-aid", "aid-sat", 5)
    later = {"refuse": {"reason": "ledger_closed", "retry": True, "n": 1}}
    never = {"refuse": {"reason": "over_limit", "n": 1}}
    yield _Phase([*play.serve("gz", "gz-ann", *sun), *play.serve("sz", "sz-dan", *sat)], {"gz": later, "sz": later})
    lose = {"commit_and_lose_answer": 1}
    yield _Phase([*play.serve("gz", "gz-ivy", *sun), *play.serve("sz", "sz-jun", *sat)], {"gz": lose, "sz": lose})
    corrected: dict[str, Any] = {"version": 2, "break_minutes": 45, "reason_code": "correction"}
    twice = play.attest("sz", "sz-dan", *sat, **corrected)
    yield _Phase([*play.serve("gz", "gz-hua", *sun), twice], {"gz": {"answer_twice": 1}, "sz": never})
    yield _Phase([play.attest("gz", "gz-hua", *sun, **corrected)])
    transfer = transfer_id("sz", "sz-dan-aid-wed-r", 1)
    said = receipts.CreditRefused(transfer_id=transfer, volunteer_ref="gz-dan", reason="changed_our_mind")
    unknown = transfer_id("sz", "nobody", 1)
    booked = receipts.CreditAccepted(transfer_id=unknown, volunteer_ref="gz-dan", delta=60, posted_at=play.at(8))
    yield _Phase([play.say("gz", 8, said), play.say("gz", 8, booked)])


def _ending_early(play: Play) -> Iterable[_Phase]:
    """A shift is cancelled at half time, after somebody has tried to give her post back: what she served counts."""
    friday: dict[str, Any] = {"code": "gz", "project": "park", "ref": "park-fri", "day": 4, "posts": 9}
    post, half_time = ("gz", "park", "park-fri"), 4 + 1.5 / 24
    yield _Phase([play.shift(**friday), play.ask("gz", "gz-hua", *post)])
    yield _Phase([play.ask("gz", "gz-hua", *post, back=True, day=4 + 1 / 24)])
    yield _Phase([play.shift(**friday, version=2, state="cancelled", said=half_time)])
    served = play.attest("gz", "gz-hua", *post[1:], 4, ended_at=play.at(half_time), break_minutes=0)
    yield _Phase([*play.presence("gz", "gz-hua", *post[1:], 4), served])


async def _poison(stack: Stack, play: Play) -> None:
    """A message of each bad kind, a message with a used id, and a message with a field that nobody reads."""
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
    """The snapshot once nothing is on its way: two looks find the same number of messages, and all of them are read."""
    seen = 0

    async def still() -> Any:
        nonlocal seen
        world = await gather(stack.broker.address, stack.dsn)
        before, seen = seen, sum(map(len, world.lines.values()))
        tables = world.tables
        on_its_way = (
            check(world, only=("I16",)).broken
            or any(row["state"] in ("queued", "sent") for row in tables["bridge"]["transfer"])
            or tables["identity"]["request"]
        )
        return world if before == seen and not on_its_way else None

    world: World = await eventually(still, every=0.1, what="the end of all traffic")
    return world


def options(broker: str = "embedded") -> StackOptions:
    """The options of a launch with short waits. Nothing is killed in it, so one process is enough."""
    return StackOptions(kinds=KINDS, broker=broker, settings={"AWAIT_FACTS": "2", "RECEIPT_DUE": "5"}, one_process=True)
