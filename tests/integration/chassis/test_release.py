"""A queue behind a message whose decision raised, and an operator who releases it while more keeps arriving."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from services.chassis.decisions import Inbound
from tests.support.reacting import with_rows
from tests.support.rig import REGISTRY, Rig, http, release, release_raised, standing
from tests.support.tally import credit
from tests.support.tally_child import TallyChild
from tests.support.waiting import eventually

_ASKED = "raise-on-me-"


@asynccontextmanager
async def _process(rig: Rig, folder: Path, **settings: str) -> AsyncIterator[int]:
    """The tally as a process that is ready; gives its port."""
    tally = TallyChild(rig, folder, **settings)
    try:
        await tally.start()
        yield tally.port
    finally:
        await tally.stop()


async def test_a_thousand_behind_one_that_raised_are_applied_in_order_while_more_arrive(
    rig: Rig, tmp_path: Path
) -> None:
    line, more = list(range(1000)), list(range(1000, 1400))
    async with _process(rig, tmp_path, RAISE_ON=_ASKED) as port:
        await rig.send(credit("v", -1, id=f"{_ASKED}1"), *[credit("v", delta) for delta in line])
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 1001 FROM set_aside"))
        assert await rig.aside() == {"raised": 1, "behind": 1000}

        async def keep_sending() -> None:
            for start in range(0, len(more), 25):
                await rig.send(*[credit("v", delta) for delta in more[start : start + 25]])

        sending = asyncio.create_task(keep_sending())
        await release_raised(port)
        await sending
        applied = "SELECT jsonb_array_length(seen) = 1401 FROM total WHERE ref = 'v'"
        await eventually(lambda: rig.db.fetchval(applied))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM set_aside"))
        await eventually(lambda: rig.db.fetchval("SELECT NOT bool_or(parked) FROM entity"))
    seen = await rig.db.fetchval("SELECT seen FROM total WHERE ref = 'v'")
    assert json.loads(seen) == [-1, *line, *more]


async def test_a_message_raises_on_request_by_the_id_that_it_descends_from_too_and_no_other_does(rig: Rig) -> None:
    async with rig.running(raise_on=_ASKED) as runtime:
        descendant = replace(credit("b", 2), correlation=f"{_ASKED}2")
        await rig.send(credit("a", 1, id=f"{_ASKED}1"), descendant, credit("c", 3, id=f"not-{_ASKED}"))
        await eventually(lambda: rig.total("c"))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 2 FROM set_aside"))
        details = {row[0] for row in await rig.db.fetch("SELECT detail FROM set_aside WHERE reason = 'raised'")}
        assert details == {f"RaisedOnRequest: as asked by SHUANGCHENG_RAISE_ON={_ASKED}"}
        await release_raised(runtime.settings.http_port)
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 0 FROM set_aside"))
    assert [await rig.total(ref) for ref in "abc"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("token", "status", "error"),
    [
        (None, 401, "unknown_token"),
        ("the-token-of-nobody-at-all", 401, "unknown_token"),
        (REGISTRY, 403, "not_allowed"),
    ],
)
async def test_only_an_operator_looks_at_releases_or_discards_what_is_set_aside(
    rig: Rig, token: str | None, status: int, error: str
) -> None:
    async with rig.running(raise_on=_ASKED) as runtime:
        await rig.send(credit("v", 1, id=f"{_ASKED}1"))
        [raised] = await eventually(lambda: standing(runtime.settings.http_port, "raised"))
        async with http(runtime.settings.http_port, token) as client:
            answers = [
                await client.get("/operations/set-aside"),
                await client.get("/operations/discarded"),
                await client.post("/operations/set-aside/release", json={"sequences": [raised]}),
                await client.post("/operations/set-aside/discard", json={"sequences": [raised], "why": "no reason"}),
            ]
        assert [_error(answer) for answer in answers] == [(status, error)] * 4
        assert await rig.aside() == {"raised": 1}
        assert await rig.db.fetchval("SELECT count(*) FROM discarded") == 0


def _error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


async def test_a_message_whose_subject_cannot_be_named_keeps_no_other_from_being_released(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen by hand: a bare 500 for all that was asked for, as often as it was asked."""

    def subject(inbound: Inbound) -> str:
        if inbound.data.volunteer_ref == "odd" and rig.tally.broken:
            raise KeyError("as asked")
        return f"volunteer:{inbound.data.volunteer_ref}"

    service = with_rows(rig.tally.service(), subject=subject)
    monkeypatch.setattr(rig.tally, "service", lambda: service)
    async with rig.running() as runtime:
        port = runtime.settings.http_port
        await rig.send(credit("odd", 3), credit("raise-v", -1))
        await eventually(lambda: rig.db.fetchval("SELECT count(*) = 2 FROM set_aside"))
        [odd], [raised] = await standing(port, "unwritable"), await standing(port, "raised")
        told = await release(port, odd, raised)
        assert (told["released"], [(one["seq"], one["error"]) for one in told["kept"]]) == (
            [raised],
            [(odd, "unwritable")],
        )
        rig.tally.broken = False
        assert (await release(port, odd))["released"] == [odd], "the inbox did not take it in before"
        await eventually(lambda: rig.total("odd"))
