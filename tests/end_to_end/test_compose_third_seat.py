"""A third seat is added to a compose linkage that runs: by one file and the printed command, without an image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.compose import ATTESTED, WEEKEND, Linkage, lines, running
from tests.support.waiting import eventually

pytestmark = [pytest.mark.compose, pytest.mark.whole, pytest.mark.timeout(900)]

FS = "--zh 佛山 --en Foshan --division 440600 --capability idempotent --kind rest_api --address http://system-fs:8080"


@pytest.fixture(scope="module")
def linkage(request: pytest.FixtureRequest) -> Iterator[Linkage]:
    with running(request.session) as linkage:
        yield linkage


def weekend_of_fs() -> list[dict[str, Any]]:
    """The weekend as gz and fs live it: fs in the place of sz, other people, shifts, records and codes."""
    text = json.dumps(WEEKEND, ensure_ascii=False)
    for event in WEEKEND:
        if code := event["data"].get("code"):
            fresh = f"fs{code[2:]}"
            old, new = (hashlib.sha256(one.encode()).hexdigest() for one in (code, fresh))
            assert old in text
            text = text.replace(code, fresh).replace(old, new)
    for old, new in (('"sz"', '"fs"'), (":sz", ":fs"), ('"sz-', '"fs-'), ('"gz-', '"gz-fs-')):
        text = text.replace(old, new)
    moved: list[dict[str, Any]] = json.loads(text)
    return moved


def minutes(linkage: Linkage, host: str, home: str) -> int:
    """Minutes that the host confirmed to a home, once the home has credited as many and every record is decided."""
    records = {e["data"]["record_ref"] for e in weekend_of_fs() if e["type"] == ATTESTED and e["source"].endswith(host)}
    rows = linkage.query(f"sandbox_{host}", "SELECT record_ref, home, minutes, status FROM audit_served")
    ours = [row for row in rows if row[0] in records]
    assert {row[0] for row in ours} == records
    assert {row[3] for row in ours} <= {"confirmed", "held"}
    confirmed = sum(int(row[2]) for row in ours if row[1] == home and row[3] == "confirmed")
    credited = linkage.query(f"sandbox_{home}", "SELECT coalesce(sum(minutes), 0) FROM audit_credits")
    assert confirmed == int(credited[0][0]) > 0
    return confirmed


async def test_a_seat_that_is_added_to_a_running_linkage_is_credited_in_both_directions(linkage: Linkage) -> None:
    kafka = f"127.0.0.1:{linkage.ports['KAFKA']}"
    image = linkage.inspect("bridge")["Image"]
    started = {name: linkage.inspect(name)["State"]["StartedAt"] for name in ("kafka", "postgres", "operator")}
    add = f"shuangcheng registries add fs {FS} --folder {linkage.seats} --kafka {kafka} --json"
    told = json.loads(linkage.shell(add))
    assert len(told["topics"]) > 5
    file = linkage.seats / "fs.yaml"
    text = file.read_text("utf-8")
    file.write_text(text.replace("24h", "unlimited").replace("7d", "unlimited").replace("30d", "unlimited"), "utf-8")
    linkage.shell(told["next"][0]["command"])
    linkage.system("fs")
    linkage.send(lines(weekend_of_fs()))
    assert await eventually(lambda: minutes(linkage, "gz", "fs"), 120, every=1) > 0
    assert await eventually(lambda: minutes(linkage, "fs", "gz"), 120, every=1) > 0
    assert linkage.inspect("bridge")["Image"] == image, "no image was built"
    for name, moment in started.items():
        assert linkage.inspect(name)["State"]["StartedAt"] == moment, f"{name} ran on"


def test_the_health_of_all_adapters_is_one_answer_and_each_is_reached_below_its_name(linkage: Linkage) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{linkage.ports['ADAPTERS']}", trust_env=False) as http:
        health = http.get("/health/ready").json()
        assert (health["ready"], set(health["adapters"])) == (True, {"adapter_fs", "adapter_sz"})
        assert http.get("/adapter_fs/health/ready").json()["ready"]
        bearer = {"authorization": f"Bearer {linkage.token}"}
        assert http.get("/adapter_fs/operations/set-aside", headers=bearer).json()["messages"] == []
        assert http.get("/adapter_fs/operations/set-aside").status_code == 401


def test_the_operators_page_shows_the_new_seats_adapter_without_another_start(linkage: Linkage) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{linkage.ports['OPERATOR']}", trust_env=False) as http:
        secret = http.get("/sign-in").text.split('name="csrf" value="')[1].split('"')[0]
        assert http.post("/sign-in", data={"csrf": secret, "token": linkage.token}).headers["location"] == "/"
        assert '<th scope="row">adapter_fs</th>' in http.get("/").text


def test_the_log_of_an_adapter_names_its_seat_and_all_adapters_end_in_order(linkage: Linkage) -> None:
    linkage.compose("stop", "adapters")
    assert linkage.inspect("adapters")["State"]["ExitCode"] == 0
    said = linkage.compose("logs", "--no-log-prefix", "adapters").splitlines()
    seats = {json.loads(line).get("service") for line in said if line.startswith("{")}
    assert seats >= {"adapters fs", "adapters sz"}
