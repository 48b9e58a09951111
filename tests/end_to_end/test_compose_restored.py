"""The runbooks on a real engine: their commands, as they stand there, on Kafka and PostgreSQL that are in use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.compose import WEEKEND, Linkage, missing
from tests.support.runbooks import commands
from tests.support.waiting import eventually

pytestmark = [pytest.mark.compose, pytest.mark.whole, pytest.mark.timeout(900)]

ATTESTED = "shuangcheng.service.service_attested.v1"
OTHER = {"gz": "sz", "sz": "gz"}
LEDGER = "SELECT * FROM audit_credits ORDER BY 1"


@pytest.fixture(scope="module")
def linkage(request: pytest.FixtureRequest) -> Iterator[Linkage]:
    reason = missing()
    if reason and all(item.get_closest_marker("compose") for item in request.session.items):
        pytest.exit(reason, returncode=1)
    if reason:
        pytest.fail(reason, pytrace=False)
    running = Linkage()
    running.down()
    try:
        running.up()
        yield running
    finally:
        running.down()


@pytest.fixture(scope="module")
def weekend() -> list[dict[str, Any]]:
    return [json.loads(line) for line in WEEKEND.read_text(encoding="utf-8").splitlines() if line]


def lines(events: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)


def corrected(weekend: list[dict[str, Any]], more: int) -> list[dict[str, Any]]:
    """Each host's service records once more, in the next version, with a longer break."""
    found = []
    for event in weekend:
        if event["type"] == ATTESTED:
            data = event["data"] | {
                "version": event["data"]["version"] + more, "break_minutes": event["data"]["break_minutes"] + more,
            }  # fmt: skip
            found.append(event | {"id": f"{event['id']}-corrected-{more}", "data": data})
    return found


def balanced(linkage: Linkage, versions: int) -> dict[str, int]:
    """Minutes by host once each record of it stands at this version and the other's ledger has the same sum."""
    found = {}
    for host, home in OTHER.items():
        rows = linkage.query(f"sandbox_{host}", "SELECT version, home, minutes, status FROM audit_served")
        assert rows
        assert all(int(row[0]) >= versions and row[3] in ("confirmed", "held") for row in rows), rows
        found[host] = sum(int(row[2]) for row in rows if row[1] == home and row[3] == "confirmed")
        credits = linkage.query(f"sandbox_{home}", "SELECT coalesce(sum(minutes), 0) FROM audit_credits")
        assert found[host] == int(credits[0][0])
    return found


async def settled(linkage: Linkage, versions: int) -> dict[str, int]:
    return await eventually(lambda: balanced(linkage, versions), 180, every=1)


def books(linkage: Linkage) -> list[Any]:
    """Both ledgers, and the border's links, consents and transfers."""
    facts = (
        "SELECT host, record_ref, version, state, total, delta FROM transfer ORDER BY 1, 2, 3",
        "SELECT person, home, home_ref, host, host_ref, state FROM link ORDER BY 1, 2, 3, 4, 5",
    )
    ledgers = [linkage.query(f"sandbox_{code}", LEDGER) for code in OTHER]
    return [*ledgers, *(linkage.query("bridge", fact) for fact in facts)]


def rested(linkage: Linkage, act: str) -> None:
    """An operator pauses the registry sz, or resumes it."""
    token = linkage.compose("run", "--rm", "-T", "secrets", "cat", "/secrets/operator/operator").strip()
    url = f"http://127.0.0.1:{linkage.ports['BRIDGE']}/registries/sz/{act}"
    order = {"json": {"why": "its ledger is looked at"}, "headers": {"authorization": f"Bearer {token}"}}
    httpx.post(url, **order, timeout=30, trust_env=False).raise_for_status()  # type: ignore[arg-type]


async def test_a_database_comes_back_by_the_runbook_and_the_books_are_equal(
    linkage: Linkage, weekend: list[dict[str, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "monday"
    linkage.send(lines(weekend))
    before = await settled(linkage, 1)
    assert all(before.values())
    for command in commands("Backups"):
        linkage.shell(command, BACKUP=folder)
    rested(linkage, "pause")
    rested(linkage, "resume")
    linkage.send(lines(corrected(weekend, 1)))
    after = await settled(linkage, 2)
    assert after != before
    standing = books(linkage)
    told = "".join(linkage.shell(one, BACKUP=folder, NAME="bridge") for one in commands("A database is lost"))
    assert "bridge: restored as of " in told
    assert "did at " in told
    assert told.index(": pause sz") < told.index(": resume sz"), "what operators did since, in order"
    assert "(healthy)" in told
    assert await settled(linkage, 2) == after
    assert books(linkage) == standing
    aside = linkage.query("bridge", "SELECT reason, count(*) FROM set_aside GROUP BY reason")
    assert aside == []
    linkage.send(lines(corrected(weekend, 2)))  # and it goes on
    assert await settled(linkage, 3) != after
