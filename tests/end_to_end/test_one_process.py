"""A whole linkage in one process: it does what the processes do, its parts stay apart, and no death is hidden."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from deploy.linkage import OPERATOR, SERVICES
from deploy.operate.errors import ProcessFailed
from deploy.tryout.local.options import StackOptions
from deploy.tryout.local.processes import Child, module, own_environment
from deploy.tryout.local.specs import ProcessSpec, process_table
from deploy.tryout.local.stack import LINKAGE, Stack
from tests.support.journey import Linkage, Visit, acting
from tests.support.waiting import eventually

pytestmark = pytest.mark.whole

OPTIONS = StackOptions(broker="embedded", one_process=True, pages=True, settings={"RECEIPT_DUE": "2"})


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def linkage() -> AsyncIterator[Linkage]:
    async with Stack(OPTIONS) as stack, acting(stack) as linkage:
        yield linkage


async def answer(stack: Stack, part: str, path: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {stack.tokens['operator']}"}
    async with httpx.AsyncClient(base_url=stack.url(part), headers=headers, trust_env=False) as client:
        return await client.get(path)


@pytest.mark.parametrize(("home", "host"), [("sz", "gz"), ("gz", "sz")])
async def test_hours_served_in_one_registry_are_credited_in_the_other(linkage: Linkage, home: str, host: str) -> None:
    visit = Visit(home, host)
    await linkage.serve(visit, 125)
    assert await linkage.posted(visit) == [125]
    assert set(linkage.stack.processes) == {LINKAGE}


async def test_each_part_answers_for_itself_at_its_own_port(linkage: Linkage) -> None:
    stack = linkage.stack
    names = {"adapter_sz": "adapters"} | {name: name for name in SERVICES}
    for part, name in names.items():
        health = (await answer(stack, part, "/health/ready")).json()
        assert (health["service"], health["ready"]) == (name, True)
    groups = {part: set((await answer(stack, part, "/health/ready")).json()["groups"]) for part in names}
    assert groups["bridge"] == {"bridge", "bridge.gz", "bridge.sz"}
    for part in names:
        counted = (await answer(stack, part, "/metrics")).text
        others = set().union(*(groups[other] for other in names if other != part))
        assert [name for name in others if f'group="{name}"' in counted] == []
    assert (await answer(stack, OPERATOR, "/sign-in")).status_code == httpx.codes.OK


async def test_each_line_says_which_part_wrote_it(linkage: Linkage) -> None:
    text = await asyncio.to_thread((linkage.stack.folder / "logs" / f"{LINKAGE}.log").read_text)
    written = [json.loads(line) for line in text.splitlines()]
    started = {(line["part"], line["service"]) for line in written if line["event"] == "started"}
    assert started == {("adapter_sz", "adapters")} | {(name, name) for name in SERVICES}


async def test_no_secret_stands_on_its_command_line(linkage: Linkage) -> None:
    pid = linkage.stack.processes[LINKAGE].pid
    command = await asyncio.to_thread(Path(f"/proc/{pid}/cmdline").read_text)
    told = [*linkage.stack.dsn.values(), *linkage.stack.tokens.values(), *linkage.stack.naming_secrets.values()]
    assert [secret for secret in told if secret in command] == []


async def test_a_process_that_is_killed_is_reported_and_started_again_goes_on(linkage: Linkage) -> None:
    pid = linkage.stack.processes[LINKAGE].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ProcessFailed, match="linkage was ended by signal 9"):
        await asyncio.wait_for(linkage.stack.wait(), timeout=120)
    await linkage.stack.start(LINKAGE)
    visit = Visit("sz", "gz")
    await linkage.say(*visit.link(), *visit.publish(), visit.sign_up())

    async def confirmed() -> bool:
        return await linkage.stands(visit) == ("confirmed", None)

    await eventually(confirmed)


async def test_a_part_that_ends_ends_the_process_in_order_and_is_named(linkage: Linkage) -> None:
    stack = linkage.stack
    await stack.postgres.drop_database("identity")
    await stack.postgres.create_database("identity")
    ended = "linkage ended with status 1"
    said = await eventually(lambda: "".join(str(one) for one in stack.deaths if ended in str(one)))
    assert "identity: under this name there is another database" in said
    assert stack.processes[LINKAGE].tail(100).count("stopping in order") == len(SERVICES) + 1


async def run_alone(folder: Path, *parts: dict[str, Any]) -> Child:
    """Run these parts to their end, without broker and database."""
    (folder / "logs").mkdir()
    modules = sorted({part["module"] for part in parts})
    child = module("linkage", ["deploy.tryout.local.together", *modules], folder, own_environment({}), listens=True)
    await child.start()
    await child.tell(json.dumps(parts))
    await asyncio.wait_for(child.wait(), timeout=120)
    return child


def part(name: str, package: str, **environment: str) -> dict[str, Any]:
    given = {f"SHUANGCHENG_{variable}": value for variable, value in environment.items()}
    return {"name": name, "module": package, "migrates": package != "deploy.operator", "environment": given}


NOWHERE = "postgresql://somebody:secret@127.0.0.1:1/nowhere"


@pytest.mark.parametrize(
    ("package", "environment", "why"),
    [
        ("services.identity", {"DATABASE": NOWHERE}, "Connect call failed ('127.0.0.1', 1)"),
        ("services.attendance", {"DATABASE": NOWHERE, "LANES": "none"}, "SHUANGCHENG_LANES: "),
        ("deploy.tryout.sandbox.rest_api", {"DATABASE": NOWHERE, "REGISTRY": "sz"}, "SHUANGCHENG_DATABASE: "),
        ("deploy.operator", {"SERVICES": "{}"}, "SHUANGCHENG_SERVICES: "),
    ],
)
async def test_a_part_that_cannot_start_is_named_with_the_reason(
    tmp_path: Path, package: str, environment: dict[str, str], why: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    page = part("page", "deploy.operator", SERVICES='{"bridge": "http://127.0.0.1:1"}', HTTP_PORT=port)
    child = await run_alone(tmp_path, page, part("astray", package, HTTP_PORT=port, **environment))
    assert child.returncode == 2
    *_, last = child.tail().splitlines()
    assert last.startswith("astray: ")
    assert why in last
    assert "secret" not in child.tail()


async def test_a_launch_whose_part_cannot_start_says_which_and_leaves_nothing() -> None:
    kinds = {"gz": "kafka_native"}
    seatless = ProcessSpec("adapter_nn", "services.adapters", "adapter_nn")
    stack = Stack(
        StackOptions(kinds=kinds, one_process=True, broker="embedded"), table=[*process_table(kinds), seatless]
    )
    with pytest.raises(ProcessFailed, match="linkage ended with status 2") as raised:
        await stack.__aenter__()
    assert "adapter_nn: " in str(raised.value)
    assert not stack.processes[LINKAGE].running
    assert stack.broker.pid is stack.postgres.pid is None
