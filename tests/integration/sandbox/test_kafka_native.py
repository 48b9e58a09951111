"""The registry of the kind kafka_native: what it takes in from its topics, and what it answers there."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from contracts.envelope import Event, decode, encode
from contracts.messages import deliveries
from contracts.topics import DELIVERIES, RECEIPTS, TEMPLATES, registry_topic_for
from deploy.operate.topics import ensure_topics
from deploy.tryout.local.broker import Broker
from tests.support.registries import (
    attested,
    credit,
    decided,
    link,
    new_code,
    offered,
    own,
    requested,
    said,
    told,
)
from tests.support.sandboxes import Sandbox, kafka_native
from tests.support.waiting import eventually


@dataclass
class Line:
    """Both ends of one registry's topics, and the registry on them."""

    code: str
    sandbox: Sandbox
    producer: AIOKafkaProducer
    consumer: AIOKafkaConsumer
    heard: list[tuple[str, str, object]]
    ids: list[str]
    attempts: list[int | None]

    async def send(self, *events: Event) -> None:
        """Publish these, each where it belongs."""
        sent = []
        for event in events:
            topic = registry_topic_for(event.source, type(event.data)) or DELIVERIES.of(self.code).name
            value, headers = encode(event)
            sent.append(await self.producer.send(topic, value, key=event.key.encode(), headers=headers))
        for future in sent:
            await future

    async def register(self, *refs: str) -> None:
        """Publish these volunteers, and wait until the registry knows them: it reads its topics side by side."""
        await self.send(*(own(self.code, offered(ref)) for ref in refs))
        await eventually(lambda: self.knows(refs), what="its own letters are taken in")

    async def knows(self, refs: Sequence[str]) -> bool:
        """Whether all of these are on its books."""
        found = await self.sandbox.rows("SELECT ref FROM volunteer")
        return {ref for (ref,) in found} >= set(refs)

    async def receipts(self, number: int) -> list[tuple[str, str, object]]:
        """The receipts so far, once there are so many."""

        async def enough() -> bool:
            for records in (await self.consumer.getmany(timeout_ms=50)).values():
                for one in records:
                    event = decode(one.value, one.headers)
                    assert event.source == f"urn:shuangcheng:registry:{self.code}"
                    self.heard.append(said(event.data))
                    self.ids.append(event.id)
                    self.attempts.append(getattr(event.data, "attempt", None))
            return len(self.heard) >= number

        await eventually(enough, what=f"{number} receipts")
        return self.heard

    async def credits(self) -> list[tuple[Any, ...]]:
        """The ledger."""
        return await self.sandbox.rows("SELECT volunteer_ref, minutes FROM audit_credits ORDER BY 1, 2")


@contextlib.asynccontextmanager
async def line(broker: Broker, database: str, code: str | None = None, **settings: Any) -> AsyncIterator[Line]:
    code = code or new_code()
    await ensure_topics(broker.address, [entry.of(code) for entry in TEMPLATES])
    profile = "test" if broker.idempotent else "embedded"
    given = {"registry": code, "kafka": broker.address, "profile": profile} | settings
    producer = AIOKafkaProducer(bootstrap_servers=broker.address, acks="all")
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.address, group_id=None, auto_offset_reset="earliest")
    await producer.start()
    await consumer.start()
    entry = RECEIPTS.of(code)
    consumer.assign([TopicPartition(entry.name, number) for number in range(entry.partitions)])
    try:
        async with kafka_native(database, **given) as sandbox:
            yield Line(code, sandbox, producer, consumer, [], [], [])
    finally:
        await consumer.stop()
        await producer.stop()


async def test_a_credit_is_posted_and_answered(broker: Broker, database: str) -> None:
    async with line(broker, database) as ours:
        await ours.register("H-1")
        await ours.send(told(credit("H-1", 75)))
        assert await ours.receipts(1) == [("CreditAccepted", "H-1", 75)]
        assert await ours.credits() == [("H-1", 75)]
        page = (await ours.sandbox.http.get("/books/volunteers/H-1")).json()
        assert (page["total_minutes"], page["shown_minutes"]) == (75, 75)


async def test_a_redelivered_credit_has_one_effect_and_a_repeated_one_the_first_answer(
    broker: Broker, database: str
) -> None:
    async with line(broker, database) as ours:
        posted = credit("H-1", 75)
        event = told(posted)
        await ours.register("H-1")
        await ours.send(event, event, told(posted))
        other = credit("H-1", 60, transfer_id=posted.transfer_id)
        await ours.send(told(other))
        heard = await ours.receipts(3)
        assert heard == [("CreditAccepted", "H-1", 75)] * 2 + [("CreditRefused", "H-1", "conflict")]
        assert await ours.credits() == [("H-1", 75)]


async def test_a_queryable_registry_says_what_it_posted_and_what_it_never_saw(broker: Broker, database: str) -> None:
    async with line(broker, database, capability="queryable") as ours:
        posted = credit("H-1", 75)
        queries = [
            deliveries.CreditQueried(volunteer_ref="H-1", transfer_id=number)
            for number in (posted.transfer_id, uuid.uuid4())
        ]
        await ours.register("H-1")
        await ours.send(told(posted), *map(told, queries), told(posted))
        assert await ours.receipts(4) == [
            ("CreditAccepted", "H-1", 75),
            ("CreditAccepted", "H-1", 75),
            ("CreditUnknown", "H-1", None),
            ("CreditAccepted", "H-1", 75),
        ]
        assert await ours.credits() == [("H-1", 75), ("H-1", 75)]


async def test_it_loses_an_answer_answers_twice_and_refuses_when_asked_to(broker: Broker, database: str) -> None:
    async with line(broker, database) as ours:
        await ours.sandbox.misbehave(commit_and_lose_answer=1, answer_twice=1, refuse={"reason": "cap", "n": 1})
        # One volunteer, so one order: refused, answer lost, answered twice, answered.
        sent = [credit("H-1", minutes) for minutes in (10, 20, 30, 40)]
        await ours.register("H-1")
        await ours.send(*map(told, sent))
        assert await ours.receipts(4) == [
            ("CreditRefused", "H-1", "cap"),
            ("CreditAccepted", "H-1", 30),
            ("CreditAccepted", "H-1", 30),
            ("CreditAccepted", "H-1", 40),
        ]
        assert len(set(ours.ids)) == 4
        assert await ours.credits() == [("H-1", 20), ("H-1", 30), ("H-1", 40)]


async def test_every_answer_names_the_attempt_that_it_answers_where_it_was_told_one(
    broker: Broker, database: str
) -> None:
    async with line(broker, database, capability="queryable") as ours:
        await ours.sandbox.misbehave(refuse={"reason": "cap", "retry": True, "n": 1})
        posted = credit("H-1", 75)
        sent = [posted.model_copy(update={"attempt": number}) for number in (1, 2)]
        asked = deliveries.CreditQueried(volunteer_ref="H-1", transfer_id=posted.transfer_id, attempt=3)
        never_sent = asked.model_copy(update={"transfer_id": uuid.uuid4(), "attempt": 4})
        without = asked.model_copy(update={"attempt": None})
        await ours.register("H-1")
        await ours.send(*map(told, [*sent, asked, never_sent, without]))
        kinds = [kind for kind, _, _ in await ours.receipts(5)]
        assert kinds == ["CreditRefused", *["CreditAccepted"] * 2, "CreditUnknown", "CreditAccepted"]
        assert ours.attempts == [1, 2, 3, 4, None]


async def test_it_posts_and_answers_late_when_asked_to(broker: Broker, database: str) -> None:
    async with line(broker, database) as ours:
        await ours.sandbox.misbehave(commit_after_seconds=1)
        assert (await ours.sandbox.http.get("/misbehave")).json()["commit_after_seconds"] == 1
        sent_at = datetime.now(UTC)
        await ours.register("H-1")
        await ours.send(told(credit("H-1", 75)))
        assert await ours.receipts(1) == [("CreditAccepted", "H-1", 75)]
        ((at,),) = await ours.sandbox.rows("SELECT at FROM posting")
        assert at - sent_at >= timedelta(seconds=1)
        assert (await ours.sandbox.http.get("/misbehave")).json()["commit_after_seconds"] == 0


async def test_while_it_is_down_it_takes_nothing_and_afterwards_everything(broker: Broker, database: str) -> None:
    async with line(broker, database) as ours:
        await ours.sandbox.misbehave(down_for_seconds=600)
        await ours.send(told(credit("H-1", 75)), own(ours.code, offered("H-1")))
        await eventually(lambda: ours.knows(["H-1"]), what="its own letters are taken in all the same")
        assert await ours.credits() == []
        await ours.sandbox.misbehave(down_for_seconds=0)
        assert await ours.receipts(1) == [("CreditAccepted", "H-1", 75)]


async def test_after_a_restart_nothing_is_missed_and_nothing_is_taken_twice(broker: Broker, database: str) -> None:
    async with line(broker, database) as ours:
        code = ours.code
        await ours.register("H-1")
        await ours.send(told(credit("H-1", 10)))
        await ours.receipts(1)
        await ours.send(told(credit("H-1", 20)))
    async with line(broker, database, code) as ours:
        await ours.send(told(credit("H-1", 30)))

        async def all_told() -> bool:
            # A receipt may have been sent when the sandbox stopped before it noted so: it says the same again then.
            return {value for _, _, value in await ours.receipts(1)} == {10, 20, 30}

        await eventually(all_told)
        assert len({*ours.ids}) == 3
        assert await ours.credits() == [("H-1", 10), ("H-1", 20), ("H-1", 30)]


async def test_what_is_no_message_or_not_from_its_owner_stops_nothing(broker: Broker, database: str) -> None:
    async with line(broker, database) as ours:
        topic = DELIVERIES.of(ours.code).name
        await ours.producer.send_and_wait(topic, b"\xff\x00", key=b"H-1")
        await ours.producer.send_and_wait(topic, b"{}", key=b"H-1", headers=[("ce_id", b"\xff")])
        forged = own("zz", offered("H-2"))
        value, headers = encode(forged)
        name = registry_topic_for(own(ours.code, offered("H-2")).source, type(forged.data))
        await ours.producer.send_and_wait(name, value, key=b"H-2", headers=headers)
        value, headers = encode(own("zz", credit("H-1", 99)))
        await ours.producer.send_and_wait(topic, value, key=b"H-1", headers=headers)
        await ours.register("H-1")
        await ours.send(told(credit("H-1", 75)))
        assert await ours.receipts(1) == [("CreditAccepted", "H-1", 75)]
        assert (await ours.sandbox.http.get("/books/volunteers/H-2")).status_code == 404


async def test_it_keeps_up_with_thousands_of_messages_within_seconds(broker: Broker, database: str) -> None:
    people = 1000
    async with line(broker, database) as ours:
        refs = [f"G-{number}" for number in range(people)]
        await ours.register(*(f"H-{number}" for number in range(people)))
        await ours.send(*(own(ours.code, requested(ref)) for ref in refs))
        await ours.send(*(own(ours.code, attested(ref, f"R-{ref}")) for ref in refs))
        await ours.send(*(told(link(ref, "sz", "established")) for ref in refs))
        await ours.send(*(told(decided(ref, f"R-{ref}", 1, "confirmed")) for ref in refs))
        await ours.send(*(told(credit(f"H-{number}", 60)) for number in range(people)))

        async def whole() -> bool:
            ((served,),) = await ours.sandbox.rows(
                "SELECT count(*) FROM audit_served WHERE home = 'sz' AND status = 'confirmed' AND minutes = 90"
            )
            ((credited,),) = await ours.sandbox.rows("SELECT coalesce(sum(minutes), 0) FROM audit_credits")
            return bool(served == people and credited == people * 60)

        await eventually(whole, every=0.1)
        await ours.receipts(people)
