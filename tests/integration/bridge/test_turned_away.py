"""What the border sets aside without deciding it is told to its sender, once, whatever the reason."""

from __future__ import annotations

from dataclasses import replace
from zlib import crc32

import pytest

from contracts.envelope import Event
from contracts.messages import opportunities
from contracts.messages.refusals import MessageRefused
from contracts.partitioner import partition_for
from services.chassis.base import metrics
from services.chassis.log.records import Record
from tests.support.bridge_messages import HOST, established, signup
from tests.support.bridge_store import BridgeOnPostgres, bridge_on


@pytest.fixture
async def border(database: str):  # type: ignore[no-untyped-def]
    async with bridge_on(database) as found:
        await found.hear(established())
        yield found


def _other(used: Event) -> Event:
    """Another message under the id of this one, on its key."""
    return replace(used, data=used.data.model_copy(update={"signup_ref": "another"}))


@pytest.mark.parametrize("batches", [1, 2])
async def test_an_id_used_again_for_something_else_is_refused_to_its_sender_once(
    border: BridgeOnPostgres, batches: int
) -> None:
    first = border.said(HOST, signup())
    said = [border.record(first), border.record(_other(first))]
    for part in [said] if batches == 1 else [[one] for one in said]:
        await border.take(*part)
    await border.take(border.record(first))  # a plain repetition is no news to anybody
    [refused] = await border.sent(MessageRefused)
    assert (refused.message_id, refused.reason, refused.pointer) == (first.id, "reused_id", "/id")
    assert (refused.message_type, refused.refused_key) == (first.type, "-")
    assert "content counts" in (refused.detail or "")
    [command] = await border.sent(opportunities.RequestSignup)
    assert command.signup_ref == "N1"
    assert await border.set_aside() == ["reused_id"]


async def test_what_fails_in_the_database_does_not_tell_of_a_used_id_twice(border: BridgeOnPostgres) -> None:
    """The batch is halved, and each half is a transaction of its own."""
    first = border.said(HOST, signup())
    await border.pool.execute("ALTER TABLE outbox ADD CHECK (value NOT LIKE '%unlucky%'::bytea)")
    unlucky = border.said(HOST, signup(ref="unlucky"))
    await border.take(*map(border.record, (first, _other(first), unlucky)))
    assert [r.message_id for r in await border.sent(MessageRefused) if r.reason == "reused_id"] == [first.id]


def _elsewhere(record: Record) -> Record:
    """As clients on librdkafka place it unless they are told otherwise: CRC-32 of the key."""
    return record._replace(partition=crc32(record.key or b"") % 8)


async def test_a_message_in_the_wrong_partition_is_refused_and_told_the_right_one(border: BridgeOnPostgres) -> None:
    event = border.said(HOST, signup())
    record = _elsewhere(border.record(event))
    right = partition_for(event.key, 8)
    assert record.partition != right
    await border.take(record)
    [refused] = await border.sent(MessageRefused)
    assert (refused.message_id, refused.reason) == (event.id, "wrong_partition")
    assert refused.detail == f"it stands in partition {record.partition}; its key belongs in {right} of 8 (murmur2)"
    assert await border.sent(opportunities.RequestSignup) == []


async def test_an_inner_message_in_the_wrong_partition_is_set_aside(border: BridgeOnPostgres) -> None:
    record = border.record(border.heard(established(host_ref="another")))
    await border.take(record._replace(partition=(record.partition + 1) % 8))
    assert await border.set_aside() == ["wrong_partition"]
    assert await border.sent(MessageRefused) == []


async def test_a_message_with_two_traces_is_applied_and_counted(border: BridgeOnPostgres) -> None:
    record = border.record(border.said(HOST, signup()))
    trace = ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    before = _dropped(f"bridge.{HOST}")
    await border.take(record._replace(headers=[*record.headers, trace, trace]))
    assert len(await border.sent(opportunities.RequestSignup)) == 1
    assert _dropped(f"bridge.{HOST}") == before + 1


def _dropped(group: str) -> float:
    return metrics.own().kept.get_sample_value("shuangcheng_traceparents_dropped_total", {"group": group}) or 0
