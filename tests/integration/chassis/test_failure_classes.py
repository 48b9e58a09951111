"""What fails is repeated, halved or set aside by its class: no fault of one message keeps the others waiting for ever,
and no fault of the database is counted against a message."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import pytest
from aiokafka import TopicPartition

from contracts.envelope import decode
from services.chassis.base import database
from services.chassis.base.clock import Clock
from services.chassis.batch import isolating
from services.chassis.batch.live import LiveBatches
from services.chassis.batch.processing import Processor
from services.chassis.decisions import Decision, Inbound, Send, States
from services.chassis.log import records
from services.chassis.log.records import Candidate, Record
from services.chassis.service import Service, Undecodable
from tests.support.reacting import with_rows
from tests.support.refusing import let_in, refusing
from tests.support.rig import Rig, first_lane
from tests.support.tally import Total, as_record, credit
from tests.support.waiting import eventually

_HUGE = 2**63


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolating, "_LONGEST_BACKOFF", 0.01)


def _unwritable(rig: Rig) -> Service:
    """A tally whose decision about ``huge-…`` gives a figure that no column takes."""
    service = rig.tally.service()
    [row] = service.reactions.values()

    def too_much(states: States, inbound: Inbound, now: datetime, policy: None) -> Decision:
        ref = inbound.data.volunteer_ref
        if ref.startswith("huge-"):
            return Decision(changes=(Total(ref, _HUGE, []),))
        return row.decide(states, inbound, now, policy)

    return with_rows(service, decide=too_much)


@pytest.fixture
async def lane(rig: Rig) -> AsyncIterator[Any]:
    """Applies events to a service of the rig as one batch, without a broker."""
    opened: list[LiveBatches] = []

    async def connect() -> database.Connection:
        return await database.open_connection(rig.settings.database.get_secret_value(), application="test")

    async def apply(service: Service, *events: Any) -> LiveBatches:
        if not opened:
            await rig.db.execute("INSERT INTO consumed VALUES ($1, $2, 0, 0)", rig.tally.group, rig.tally.inlet.name)
            # What no broker hands over belongs into this partition, whatever its key.
            inlet = dataclasses.replace(rig.tally.inlet, partitions=1)
            stream = dataclasses.replace(service.streams[0], topics=(inlet,))
            batches = LiveBatches(Processor(service, rig.settings, Clock()), stream, await connect(), renew=connect)
            batches.next[TopicPartition(rig.tally.inlet.name, 0)] = 0
            opened.append(batches)
        [batches] = opened
        start = batches.next[TopicPartition(rig.tally.inlet.name, 0)]
        await batches.apply([_record(rig, start + number, event) for number, event in enumerate(events)])
        return batches

    yield apply
    for batches in opened:
        batches.connection.terminate()


def _record(rig: Rig, offset: int, event: Any) -> Record:
    key, value, headers = as_record(event)
    return Record(rig.tally.inlet.name, 0, offset, 1, key, headers, value)


async def _position(rig: Rig) -> int:
    found: int = await rig.db.fetchval("SELECT next_offset FROM consumed")
    return found


async def test_a_figure_that_no_column_takes_is_set_aside_and_the_others_are_applied(rig: Rig, lane: Any) -> None:
    await lane(_unwritable(rig), credit("a", 1), credit("huge-1", 1), credit("b", 2), credit("huge-1", 3))
    assert (await rig.total("a"), await rig.total("b")) == (1, 2)
    assert await rig.aside() == {"raised": 1, "behind": 1}
    assert await _position(rig) == 4


async def test_the_same_through_the_whole_service(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    service = _unwritable(rig)
    monkeypatch.setattr(rig.tally, "service", lambda: service)
    async with rig.running() as runtime:
        await rig.send(credit("huge-1", 1), credit("a", 1))
        await eventually(lambda: rig.total("a"))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 1 FROM set_aside"))
        lane = await first_lane(runtime)
        await eventually(lambda: lane.trouble is None)


async def test_a_decoder_that_raises_costs_its_message_alone(
    rig: Rig, lane: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(value: Any, headers: Any) -> Any:
        if b"odd-" in value:
            raise ZeroDivisionError("as asked")
        return decode(value, headers)

    monkeypatch.setattr(records, "decode", raising)
    await lane(rig.tally.service(), credit("a", 1), credit("odd-1", 1), credit("b", 1))
    assert (await rig.total("a"), await rig.total("b")) == (1, 1)
    assert await rig.aside() == {"bytes": 1}
    assert await rig.db.fetchval("SELECT count(*) = 1 FROM outbox WHERE value LIKE '%bytes%'::bytea")


async def test_a_refusal_that_raises_leaves_its_message_set_aside(rig: Rig, lane: Any) -> None:
    def refuse(unreadable: Undecodable) -> Iterable[Send]:
        raise KeyError("as asked")

    service = dataclasses.replace(rig.tally.service(), refuse=refuse)
    await lane(service, credit("a", 1), credit("b", 1, source="urn:shuangcheng:registry:zz"), credit("c", 1))
    assert (await rig.total("a"), await rig.total("c")) == (1, 1)
    assert await rig.aside() == {"wrong_source": 1}


async def test_a_message_whose_subject_cannot_be_named_is_kept_by_its_bytes(rig: Rig, lane: Any) -> None:
    def subject(inbound: Inbound) -> str:
        if inbound.data.volunteer_ref == "odd":
            raise KeyError("as asked")
        return f"volunteer:{inbound.data.volunteer_ref}"

    service = with_rows(rig.tally.service(), subject=subject)
    await lane(service, credit("a", 1), credit("odd", 1), credit("b", 1))
    assert (await rig.total("a"), await rig.total("b")) == (1, 1)
    assert await rig.aside() == {"unwritable": 1}
    assert await rig.db.fetchval("SELECT value IS NOT NULL FROM set_aside")


async def test_an_error_that_nobody_has_listed_costs_its_message_alone_after_five_failures(rig: Rig, lane: Any) -> None:
    await refusing(rig.db, "total", "XX000", "NEW.ref = 'odd'")
    tried: list[int] = []
    batches = await lane(rig.tally.service(), credit("z", 1))
    commit = batches._commit

    async def seen(candidates: Sequence[Candidate], *arguments: Any, **named: Any) -> Any:
        tried.append(len(candidates))
        return await commit(candidates, *arguments, **named)

    batches._commit = seen
    await lane(rig.tally.service(), credit("a", 1), credit("b", 1), credit("odd", 1), credit("c", 1))
    assert (await rig.total("a"), await rig.total("b"), await rig.total("c")) == (1, 1, 1)
    assert await rig.aside() == {"raised": 1}
    # together twice, by halves, five times alone, then set aside; and what stood beside it
    assert tried == [4, 4, 2, 2, 1, 1, 1, 1, 1, 1, 1]
    assert await rig.db.fetchval("SELECT detail FROM set_aside") == "InternalServerError XX000"


@pytest.mark.parametrize("code", ["53100", "57014", "08006", "40001", "55P03"])
async def test_what_the_database_is_at_fault_for_is_never_counted_against_a_message(
    rig: Rig, lane: Any, code: str
) -> None:
    batches = await lane(rig.tally.service(), credit("z", 1))
    await refusing(rig.db, "total", code)
    for _ in range(7):
        with pytest.raises(asyncpg.PostgresError) as met:
            await lane(rig.tally.service(), credit("a", 1))
        assert met.value.sqlstate == code
    assert await rig.aside() == {}
    assert await _position(rig) == 1
    await let_in(rig.db, "total")
    assert await lane(rig.tally.service(), credit("a", 1)) is batches
    assert await rig.total("a") == 1


async def test_an_unlisted_error_is_the_databases_while_it_takes_no_other_write_either(rig: Rig, lane: Any) -> None:
    await lane(rig.tally.service(), credit("z", 1))
    await refusing(rig.db, "total", "58030")
    await refusing(rig.db, "probe", "58030")
    for _ in range(7):
        with pytest.raises(asyncpg.PostgresError):
            await lane(rig.tally.service(), credit("a", 1), credit("b", 1))
    assert await rig.aside() == {}
    assert await _position(rig) == 1


async def test_what_computes_too_long_together_is_applied_in_parts(
    rig: Rig, lane: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database ends a transaction that stands idle; the client meets a lost line, and tried again for ever."""
    monkeypatch.setattr(database, "_LONGEST_IDLE", 0.8)
    monkeypatch.setitem(database._SESSION, "idle_in_transaction_session_timeout", "800")
    service = rig.tally.service()
    [row] = service.reactions.values()

    def slow(states: States, inbound: Inbound, now: datetime, policy: None) -> Decision:
        ref = inbound.data.volunteer_ref
        if ref.startswith("slow-"):
            time.sleep(0.3)
        if ref.startswith("endless-"):
            time.sleep(1)
        return row.decide(states, inbound, now, policy)

    service = with_rows(service, decide=slow)
    await lane(service, *(credit(f"slow-{number}", 1) for number in range(4)), credit("endless-1", 1))
    assert await rig.db.fetchval("SELECT sum(minutes) FROM total") == 4
    assert await rig.aside() == {"raised": 1}
    assert "OutOfTime" in await rig.db.fetchval("SELECT detail FROM set_aside")
    assert await _position(rig) == 5


async def test_what_came_back_in_and_fails_without_being_listed_is_raised_again(rig: Rig) -> None:
    async with rig.running(await_facts=60) as runtime:
        await rig.send(credit("wait-x-1", 1), credit("wait-x-2", 2))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 2 FROM set_aside WHERE reason = 'waiting'"))
        await refusing(rig.db, "total", "XX000", "NEW.ref = 'wait-x-1'")
        await rig.send(credit("fact-x", 1))
        await eventually(lambda: rig.total("wait-x-2"))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 1 FROM set_aside WHERE reason = 'raised'"))
        await eventually(lambda: runtime.reentry.trouble is None)


async def test_the_way_back_in_says_that_the_database_refuses_and_counts_nothing(rig: Rig) -> None:
    async with rig.running(await_facts=60) as runtime:
        await rig.send(credit("wait-y-1", 1))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 1 FROM set_aside WHERE reason = 'waiting'"))
        await refusing(rig.db, "total", "53100", "NEW.ref LIKE 'wait-%'")
        await rig.send(credit("fact-y", 1))

        def said() -> str | None:
            return runtime.reentry.trouble.detail if runtime.reentry.trouble else None

        assert await eventually(said) == "DiskFullError 53100"
        await eventually(lambda: runtime.reentry.trouble and runtime.reentry.trouble.count > 1)
        assert await rig.aside() == {"ready": 1}
        await let_in(rig.db, "total")
        await eventually(lambda: rig.total("wait-y-1"))
        await eventually(lambda: runtime.reentry.trouble is None)


async def test_what_a_lane_meets_while_reading_is_said_once_and_is_over_when_it_reads_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FastStream logged it to nobody; what was no error of Kafka's ended the subscriber without a word."""
    async with rig.running() as runtime:
        lane = await first_lane(runtime)
        getmany = lane.consumer.getmany

        async def raising(*_: Any, **__: Any) -> Any:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "as asked")

        monkeypatch.setattr(lane.consumer, "getmany", raising)
        await eventually(lambda: lane.trouble and lane.trouble.count > 2)
        assert lane.trouble is not None
        assert lane.trouble.detail.startswith("UnicodeDecodeError")
        await rig.send(credit("a", 1))
        monkeypatch.setattr(lane.consumer, "getmany", getmany)
        await eventually(lambda: rig.total("a"))
        await eventually(lambda: lane.trouble is None)


@pytest.mark.parametrize(
    ("take", "give", "code"),
    [
        ("ALTER TABLE total RENAME TO gone", "ALTER TABLE gone RENAME TO total", "42P01"),
        ("ALTER TABLE total RENAME minutes TO gone", "ALTER TABLE total RENAME gone TO minutes", "42703"),
    ],
)
async def test_a_table_that_is_lacking_is_no_messages_fault(
    rig: Rig, lane: Any, take: str, give: str, code: str
) -> None:
    """Seen by hand: every honest message was set aside, one by one, and the service was ready."""
    batches = await lane(rig.tally.service(), credit("z", 1))
    await rig.db.execute(take)
    for _ in range(2):
        with pytest.raises(asyncpg.PostgresError) as met:
            await lane(rig.tally.service(), credit("a", 1), credit("b", 1))
        assert met.value.sqlstate == code
    assert await rig.aside() == {}
    assert await _position(rig) == 1
    await rig.db.execute(give)
    assert await lane(rig.tally.service(), credit("a", 1), credit("b", 1)) is batches
    assert await rig.total("a") == 1
