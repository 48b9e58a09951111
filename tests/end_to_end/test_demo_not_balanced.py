"""The demo with books that do not agree."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from deploy.tryout.demo.play import WEEKEND
from deploy.tryout.local.postgres import Postgres
from tests.support.backends import Backends
from tests.support.demo import REPORT, parts_with_lines, paths, play
from tests.support.waiting import eventually

VISITOR = "gz-10027719|sz-30990052"
"""Who serves in sz in the weekend's file, at home and there."""
BY_HAND = """
INSERT INTO posting (posting_key, transfer_id, ref, host, record_ref, version, minutes, total, at)
SELECT 'by hand', gen_random_uuid(), ref, host, record_ref || '-by-hand', 1, 61, 61, now() FROM posting LIMIT 1
RETURNING minutes
"""

pytestmark = pytest.mark.whole


async def booked_by_hand(postgres: Postgres) -> object:
    """As soon as a demo's sz has booked something, book 61 minutes there that the linkage never heard of."""

    async def booked() -> object:
        async with postgres.connection() as admin:
            names = [row[0] for row in await admin.fetch("SELECT datname FROM pg_database")]
        for name in names:
            # Of a launch on a server that it did not start itself.
            if name.startswith("sc_") and name.endswith("_sandbox_sz"):
                with suppress(asyncpg.UndefinedTableError):
                    ledger = await asyncpg.connect(urlunsplit(urlsplit(postgres.admin_dsn)._replace(path=f"/{name}")))
                    try:
                        return await ledger.fetchval(BY_HAND)
                    finally:
                        await ledger.close()
        return None

    return await eventually(booked, 120, every=0.2, what="a posting by hand")


@pytest.mark.timeout(300)
async def test_a_posting_that_no_transfer_stands_for_is_all_that_one_volunteers_demo_is_not_balanced_for(
    backends: Backends,
    postgres: Postgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nobody served in sz: a direction that stood in no report, and that the verdict was against."""
    monkeypatch.setenv("SHUANGCHENG_POSTGRES", postgres.admin_dsn)
    without_visitor = [line for line in WEEKEND.read_text("utf-8").splitlines() if not re.search(VISITOR, line)]
    weekend = tmp_path / "weekend.jsonl"
    weekend.write_text("\n".join(without_visitor), "utf-8")
    hand = asyncio.create_task(booked_by_hand(postgres))
    try:
        outcome = await play(backends, tmp_path, weekend=weekend, people=1, calm=True, broker="embedded")
    finally:
        hand.cancel()
    assert hand.result() == 61
    assert (outcome.status, outcome.report["balanced"]) == (1, False)
    nowhere = ("faults", "held.", "reviews.refused")  # nothing was broken, held or refused
    assert set(paths(outcome.report)) == {path for path in REPORT if not path.startswith(nowhere)}
    nothing = outcome.report["directions"]["sz->gz"]
    assert (nothing["service_records"], set(nothing["minutes"].values())) == (0, {0})
    credited = outcome.report["directions"]["gz->sz"]["minutes"]["credited"]
    assert outcome.found["gz->sz"][1] == credited + 61
    shown = capsys.readouterr().out
    assert f"NOT BALANCED  gz->sz: credited {credited} is not what the home booked, {credited + 61}" in shown
    assert re.search(r"NOT BALANCED  61 minutes are booked under transfer \S+,\s+which the bridge does not know", shown)
    assert shown.count("NOT BALANCED") == 2
    logs = re.search(r"logs stay in (\S+)", shown)
    assert logs is not None
    assert "bridge" in parts_with_lines(Path(logs[1]).parent)
