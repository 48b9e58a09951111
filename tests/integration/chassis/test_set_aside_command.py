"""`shuangcheng set-aside` on a service that runs: an operator sees, releases and discards without writing HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.rig import OPERATOR, REGISTRY, Rig
from tests.support.tally import credit
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[3]
ASKED = "raise-on-me-"


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    said: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


async def command(port: int, *arguments: str, token: str = OPERATOR) -> Ended:
    """Run it with the token on standard input, as an operator who pipes it there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SHUANGCHENG_")}
    where = ("--url", f"http://127.0.0.1:{port}", "--token-file", "-")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli.main", "set-aside", *arguments, *where),
        cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, stderr=pipe,
    )  # fmt: skip
    out, said = await asyncio.wait_for(process.communicate(f"{token}\n".encode()), timeout=60)
    assert process.returncode is not None
    assert b"Traceback" not in said, said.decode()
    return Ended(process.returncode, out.decode(), said.decode())


async def numbers(port: int, reason: str, *refs: str) -> list[str]:
    """The numbers of these volunteers' messages set aside for a reason, once there are so many."""

    async def shown() -> list[str]:
        ended = await command(port, "list", "--reason", reason, "--json")
        found = {row["subject"]: str(row["seq"]) for row in ended.document["messages"]}
        return [found[f"volunteer:{ref}"] for ref in refs] if len(found) == len(refs) else []

    return await eventually(shown, every=0.2)


async def test_what_raised_is_seen_released_and_decided_before_what_stood_behind_it(rig: Rig) -> None:
    async with rig.running(raise_on=ASKED) as runtime:
        port = runtime.settings.http_port
        await rig.send(credit("v", 3, id=f"{ASKED}1"), credit("v", 4), credit("w", 5, id=f"{ASKED}2"))
        of_v, of_w = await numbers(port, "raised", "v", "w")
        seen = await command(port, "list")
        assert seen.status == 0
        assert "set aside: 1 behind, 2 raised\n" in seen.out
        assert f"{of_v:>8}  raised        {rig.tally.inlet.name}/" in seen.out
        assert seen.out.count("  Its decision raised an error\n") == 2
        one = await command(port, "list", "--limit", "1")
        assert f"there are more: --after {min(of_v, of_w, key=int)}\n" in one.out
        ended = await command(port, "release", of_v)
        assert (ended.status, ended.out) == (0, "1 released, 0 repeats, 0 kept\n")
        await eventually(lambda: rig.db.fetchval("SELECT minutes = 7 FROM total WHERE ref = 'v'"))
        rest = await command(port, "release", "--all-of", "raised", "--json")
        assert (rest.status, rest.document) == (0, {"released": [int(of_w)], "repeats": [], "kept": []})
        await eventually(lambda: rig.total("w"))
        assert (await command(port, "list")).out == "set aside: nothing\n"
        assert (await command(port, "release", "--all-of", "raised")).out == "nothing is set aside as raised\n"


async def test_what_is_discarded_stays_on_record_with_who_and_why_and_opens_the_way(rig: Rig) -> None:
    async with rig.running(raise_on=ASKED) as runtime:
        port = runtime.settings.http_port
        await rig.send(credit("v", 3, id=f"{ASKED}1"), credit("v", 4))
        [number] = await numbers(port, "raised", "v")
        ended = await command(port, "discard", number, "--why", "sent by a test of gz")
        assert (ended.status, ended.out) == (0, "1 discarded, 0 kept\n")
        await eventually(lambda: rig.db.fetchval("SELECT minutes = 4 FROM total WHERE ref = 'v'"))
        record = await command(port, "discarded")
        assert "discarded by mei at " in record.out
        assert ": sent by a test of gz\n" in record.out
        [row] = (await command(port, "discarded", "--json")).document["messages"]
        assert (str(row["seq"]), row["why"]) == (number, "sent by a test of gz")


async def test_a_message_is_released_by_its_place_in_the_log_and_no_other_with_it(rig: Rig) -> None:
    """Numbers are of one database; places are the same in the one that is restored in its stead."""
    async with rig.running(raise_on=ASKED) as runtime:
        port = runtime.settings.http_port
        await rig.send(credit("v", 3, id=f"{ASKED}1"), credit("w", 5, id=f"{ASKED}2"))
        await numbers(port, "raised", "v", "w")
        [row] = await rig.db.fetch("SELECT * FROM set_aside WHERE subject = 'volunteer:w'")
        place = f"{row['topic']}/{row['partition']}/{row['offset']}"
        ended = await command(port, "release", "--at", place)
        assert (ended.status, ended.out) == (0, "1 released, 0 repeats, 0 kept\n")
        await eventually(lambda: rig.total("w"))
        assert await rig.aside() == {"raised": 1}
        again = await command(port, "discard", "--at", place, "--why", "as on the day before")
        assert (again.status, again.out) == (0, f"nothing is set aside from {place}\n")
        both = await command(port, "release", "17", "--at", place)
        assert (both.status, both.out) == (2, "")


async def test_what_is_kept_is_told_with_the_reason_and_ends_with_status_1_however_many(rig: Rig) -> None:
    async with rig.running() as runtime:
        many = [str(number) for number in range(1, 502)]  # more than a service takes at once
        ended = await command(runtime.settings.http_port, "release", *many)
    assert ended.status == 1
    *kept, total = ended.out.splitlines()
    assert kept[-1] == "     501  kept: no message set aside has this number (unknown)"
    assert total == "0 released, 0 repeats, 501 kept"


@pytest.mark.parametrize(
    ("token", "message"),
    [("some-other-token-of-somebody", "does not know this token"), (REGISTRY, "does not take this token")],
    ids=["unknown", "a registry's"],
)
async def test_a_token_that_is_not_an_operators_is_one_message_without_the_token(
    rig: Rig, token: str, message: str
) -> None:
    async with rig.running() as runtime:
        ended = await command(runtime.settings.http_port, "list", token=token)
    assert (ended.status, ended.out) == (2, "")
    assert message in ended.said
    assert ended.said.count("What to do:") == 1
    assert token not in ended.said


async def test_what_the_service_does_not_take_is_told_in_its_words(rig: Rig) -> None:
    async with rig.running() as runtime:
        ended = await command(runtime.settings.http_port, "release", "0")
    assert ended.status == 2
    assert "does not take this: body/sequences/0: Input should be greater than or equal to 1" in ended.said
