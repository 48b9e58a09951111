"""Quarantined messages come back into their queue on release, or go on record when they are discarded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer

from contracts import envelope
from contracts.envelope import Event, encode
from contracts.messages.receipts import CreditAccepted
from tests.support.rig import Rig, http, release, release_raised, standing
from tests.support.tally import credit
from tests.support.waiting import eventually

_ASKED = "raise-on-me-"


@contextmanager
def _older_version() -> Iterator[None]:
    """The process as it was before the type came into the contract."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(envelope._CATALOGUE, CreditAccepted.TYPE)
        yield


async def _seen(rig: Rig, ref: str) -> list[int] | None:
    seen = await rig.db.fetchval("SELECT seen FROM total WHERE ref = $1", ref)
    return None if seen is None else json.loads(seen)


async def _ids_said(rig: Rig, wanted: int) -> list[str]:
    """The ids of so many messages that the tally has published."""
    ids: list[str] = []
    async with AIOKafkaConsumer(
        rig.tally.outlet.name, bootstrap_servers=rig.settings.kafka, auto_offset_reset="earliest"
    ) as consumer:
        while len(ids) < wanted:
            ids.append(dict((await asyncio.wait_for(consumer.getone(), 120)).headers)["ce_id"].decode())
    return ids


async def _set_aside(rig: Rig, count: int) -> None:
    await eventually(lambda: rig.db.fetchval("SELECT count(*) = $1 FROM set_aside", count))


async def _quarantined_by_the_older_version(rig: Rig, *events: Event) -> None:
    with _older_version():
        async with rig.running():
            await rig.send(*events)
            await _set_aside(rig, len(events))
            assert await rig.aside() == {"unknown_type": len(events)}


async def test_what_an_older_version_did_not_know_is_applied_on_release_before_what_came_later(rig: Rig) -> None:
    """Found in review: only what had raised could be released, so these stayed for ever."""
    await _quarantined_by_the_older_version(rig, credit("v", 1), credit("v", 2), credit("w", 9))
    async with rig.running(raise_on=_ASKED) as runtime:
        port = runtime.settings.http_port
        await rig.send(credit("v", 3, id=f"{_ASKED}1"), credit("v", 4), credit("v", 5))
        await _set_aside(rig, 6)
        old, raised = await standing(port, "unknown_type"), await standing(port, "raised")
        assert await release(port, *raised, *old) == {"released": [*old, *raised], "repeats": [], "kept": []}
        await _set_aside(rig, 0)
        await rig.send(credit("v", 6))
        await eventually(lambda: rig.db.fetchval("SELECT minutes = 21 FROM total WHERE ref = 'v'"))
        assert await _seen(rig, "v") == [1, 2, 3, 4, 5, 6]
        assert await _seen(rig, "w") == [9]
        await eventually(lambda: rig.db.fetchval("SELECT NOT bool_or(parked) FROM entity"))


async def test_what_is_released_behind_one_that_raised_waits_for_that_one(rig: Rig) -> None:
    async with rig.running(raise_on=_ASKED) as runtime:
        await rig.send(credit("v", 3, id=f"{_ASKED}1"))
        await _set_aside(rig, 1)
    with _older_version():
        async with rig.running():
            await rig.send(credit("v", 4))
            await _set_aside(rig, 2)
    async with rig.running() as runtime:
        port = runtime.settings.http_port
        await release(port, *await standing(port, "unknown_type"))
        await rig.send(credit("v", 5), credit("other", 1))
        await eventually(lambda: rig.total("other"))
        assert await rig.aside() == {"raised": 1, "behind": 2}
        await release_raised(port)
        await _set_aside(rig, 0)
    assert await _seen(rig, "v") == [3, 4, 5]


async def test_what_is_not_in_the_contract_even_now_stays_and_its_reason_is_told(rig: Rig) -> None:
    async with rig.running() as runtime:
        port = runtime.settings.http_port
        value, headers = encode(credit("v", 1))
        await rig.producer.send_and_wait(rig.tally.inlet.name, key=b"v", value=b"{}", headers=headers)
        await rig.producer.send_and_wait(rig.tally.inlet.name, key=b"other", value=value, headers=headers)
        await _set_aside(rig, 2)
        both = await standing(port, "schema") + await standing(port, "wrong_key")
        told = await release(port, *both, 4711)
        assert told["released"] == told["repeats"] == []
        assert sorted(kept["error"] for kept in told["kept"]) == ["schema", "unknown", "wrong_key"]
        assert await rig.aside() == {"schema": 1, "wrong_key": 1}
        assert await rig.db.fetchval("SELECT sum(attempts) FROM set_aside") == 2


async def test_a_reused_id_is_decided_in_its_own_right_once_an_operator_says_so(rig: Rig) -> None:
    async with rig.running() as runtime:
        port = runtime.settings.http_port
        await rig.send(credit("v", 1, id="e1"), credit("v", 20, id="e1"))
        [seq] = await eventually(lambda: standing(port, "reused_id"))
        assert await _seen(rig, "v") == [1]
        assert (await release(port, seq))["released"] == [seq]
        await _set_aside(rig, 0)
        await rig.send(credit("v", 300, id="e1"))
        await _set_aside(rig, 1)
        assert await rig.aside() == {"reused_id": 1}
        # Two that were added up and two refusals, each under an id of its own.
        assert len(set(await _ids_said(rig, 4))) == 4
    assert await _seen(rig, "v") == [1, 20]


async def test_what_was_sent_again_meanwhile_is_not_applied_a_second_time_on_release(rig: Rig) -> None:
    first, second = credit("v", 1, id="e1"), credit("w", 2, id="e2")
    await _quarantined_by_the_older_version(rig, first, second)
    async with rig.running() as runtime:
        port = runtime.settings.http_port
        await rig.send(first, replace(second, data=second.data.model_copy(update={"delta": 50})))
        await eventually(lambda: rig.total("w"))
        await eventually(lambda: rig.total("v"))
        numbers = {row[0]: row[1] for row in await rig.db.fetch("SELECT key, seq FROM set_aside")}
        one, other = numbers[b"v"], numbers[b"w"]
        told = await release(port, one, other)
        assert (told["released"], told["repeats"]) == ([], [one])
        assert [(kept["seq"], kept["error"]) for kept in told["kept"]] == [(other, "reused_id")]
        assert await rig.aside() == {"reused_id": 1}
    assert (await _seen(rig, "v"), await _seen(rig, "w")) == ([1], [50])


async def test_what_is_discarded_goes_on_record_and_those_behind_it_go_on(rig: Rig) -> None:
    """Found in review: a message whose decision raised for good held its subject for ever."""
    async with rig.running(raise_on=_ASKED) as runtime:
        port = runtime.settings.http_port
        await rig.send(credit("v", 1, id=f"{_ASKED}1"), credit("v", 2), credit("v", 3))
        await _set_aside(rig, 3)
        [raised], [behind, _] = await standing(port, "raised"), await standing(port, "behind")
        told = await _discard(port, [raised, behind, 4711], "  sent by mistake, see the letter of 4 July ")
        assert told["discarded"] == [raised]
        assert [(kept["seq"], kept["error"]) for kept in told["kept"]] == [(behind, "under_way"), (4711, "unknown")]
        await _set_aside(rig, 0)
        await rig.send(credit("v", 4))
        await eventually(lambda: rig.db.fetchval("SELECT minutes = 9 FROM total WHERE ref = 'v'"))
        async with http(port) as client:
            [gone] = (await client.get("/operations/discarded")).json()["messages"]
    assert await _seen(rig, "v") == [2, 3, 4]
    assert (gone["seq"], gone["reason"], gone["subject"]) == (raised, "raised", "volunteer:v")
    assert (gone["discarded_by"], gone["why"]) == ("mei", "sent by mistake, see the letter of 4 July")
    value = await rig.db.fetchval("SELECT value FROM discarded WHERE discarded_at > now() - interval '1 minute'")
    assert json.loads(value)["delta"] == 1


async def _discard(port: int, sequences: list[int], why: str) -> dict[str, Any]:
    async with http(port) as client:
        answer = await client.post("/operations/set-aside/discard", json={"sequences": sequences, "why": why})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_what_waits_is_neither_released_nor_discarded_by_hand(rig: Rig) -> None:
    async with rig.running(await_facts=60) as runtime:
        port = runtime.settings.http_port
        await rig.send(credit("wait-x-1", 1))
        [waiting] = await eventually(lambda: standing(port, "waiting"))
        for told in (await release(port, waiting), await _discard(port, [waiting], "impatience")):
            assert [(kept["seq"], kept["error"]) for kept in told["kept"]] == [(waiting, "under_way")]
        assert await rig.aside() == {"waiting": 1}


async def test_a_long_list_comes_in_pages_that_hold_each_message_once(rig: Rig) -> None:
    async with rig.running() as runtime:
        _, headers = encode(credit("v", 1))
        for _ in range(7):
            await rig.producer.send(rig.tally.inlet.name, key=b"v", value=b"{}", headers=headers)
        await rig.producer.flush()
        await _set_aside(rig, 7)
        pages: list[list[int]] = []
        after: int | None = 0
        async with http(runtime.settings.http_port) as client:
            while after is not None:
                page = (await client.get("/operations/set-aside", params={"after": after, "limit": 3})).json()
                assert page["summary"] == {"schema": 7}
                pages.append([message["seq"] for message in page["messages"]])
                after = page["next"]
    assert list(map(len, pages)) == [3, 3, 1]
    told = [seq for page in pages for seq in page]
    assert told == sorted(set(told))


async def test_what_cannot_be_meant_is_refused_with_a_word_for_machines(rig: Rig) -> None:
    async with rig.running() as runtime, http(runtime.settings.http_port) as client:
        answers = [
            await client.post("/operations/set-aside/release", json={"sequences": []}),
            await client.post("/operations/set-aside/release", json={"sequences": [-1]}),
            await client.post("/operations/set-aside/release", json={"sequences": list(range(1, 502))}),
            await client.post("/operations/set-aside/discard", json={"sequences": [1]}),
            await client.post("/operations/set-aside/discard", json={"sequences": [1], "why": "  "}),
            await client.get("/operations/set-aside", params={"limit": 0}),
        ]
        assert {(answer.status_code, answer.json()["error"]) for answer in answers} == {(422, "invalid")}
        assert (await client.get("/operations/nothing")).json() == {"error": "not_found", "detail": "Not Found"}


async def test_while_the_database_takes_nobody_an_operator_is_told_to_ask_again(rig: Rig) -> None:
    name = await rig.db.fetchval("SELECT current_database()")
    async with rig.running() as runtime, http(runtime.settings.http_port) as client:
        assert (await client.get("/operations/set-aside")).status_code == 200
        await rig.db.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
        try:
            await rig.db.execute(
                """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()
                     AND backend_type = 'client backend'"""
            )
            refused = await client.get("/operations/set-aside")
        finally:
            await rig.db.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
        assert (refused.status_code, refused.json()["error"]) == (503, "unavailable")
        await eventually(lambda: _answers(client))


async def _answers(client: httpx.AsyncClient) -> bool:
    return (await client.get("/operations/set-aside")).status_code == 200
