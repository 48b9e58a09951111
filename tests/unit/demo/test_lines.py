"""Checking a file of events: what is wrong is said by line, place and reason, and nothing else goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.operate.errors import EnvironmentProblem
from deploy.operate.lines import check, days
from deploy.tryout.demo.play import WEEKEND, weekend

LINES = WEEKEND.read_bytes().splitlines()
CAME, LEFT = 15, 16
"""The lines in which 夏小雨 checks in and out on Saturday."""


def _changed(number: int, **attributes: Any) -> bytes:
    event = json.loads(LINES[number])
    event["data"] |= attributes.pop("data", {})
    return json.dumps(event | attributes, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("line", "reason", "pointer"),
    [
        (b"{not json", "bytes", None),
        (_changed(LEFT, data={"at": "yesterday"}), "schema", "/data/at"),
        (_changed(LEFT, data={"phone": "1"}), "schema", "/data/phone"),
        (_changed(LEFT, type="shuangcheng.service.checked_sideways.v1"), "unknown_type", "/type"),
        (_changed(LEFT, partitionkey="gz-1"), "wrong_key", "/partitionkey"),
        (_changed(LEFT, source="urn:shuangcheng:service:bridge"), "wrong_topic", "/source"),
        (_changed(LEFT, type="shuangcheng.bridge.check_receipt.v1"), "schema", "/data/host"),
        (_changed(CAME, id="gz-2023-08-26-0202"), "reused_id", "/id"),
    ],
)
def test_a_wrong_line_is_named_with_place_and_reason(line: bytes, reason: str, pointer: str | None) -> None:
    letters, (problem,) = check([LINES[LEFT], b"", line])
    assert (problem.line, problem.reason, problem.pointer) == (3, reason, pointer)
    assert len(letters) == 1


def test_every_wrong_line_is_reported_not_only_the_first() -> None:
    assert [one.line for one in check([b"{", LINES[0], b"[]"])[1]] == [1, 3]


def test_the_same_event_twice_is_no_mistake() -> None:
    assert check([LINES[0], LINES[0]])[1] == []


def test_the_weekend_is_cut_into_its_days_and_none_of_it_is_moved() -> None:
    letters = weekend()
    cut = days(letters)
    assert [day.day for day, _ in cut] == [17, 18, 23, 24, 25, 26, 27]
    assert [letter for _, of_day in cut for letter in of_day] == letters


def test_a_line_that_is_older_than_those_before_it_stays_behind_them() -> None:
    letters = weekend()
    shuffled = [*letters[20:], *letters[:20]]
    ((day, all_of_them),) = days(shuffled)
    assert day.day == 27
    assert all_of_them == shuffled


def test_a_broken_weekend_stops_the_demo_before_it_starts(tmp_path: Path) -> None:
    file = tmp_path / "weekend.jsonl"
    file.write_bytes(b"\n".join([LINES[0], b"{"]))
    with pytest.raises(EnvironmentProblem, match=r"line 2"):
        weekend(file)


def _command(*arguments: str, text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "deploy.cli.main", *arguments]
    return subprocess.run(command, input=text, capture_output=True, timeout=60, check=False)


def test_send_says_what_is_wrong_and_sends_nothing() -> None:
    done = _command("send", "-", "--kafka", "127.0.0.1:1", text=LINES[0] + b"\n" + _changed(LEFT, data={"at": "x"}))
    assert done.returncode == 1
    assert b"line 2: /data/at: " in done.stderr
    assert b"nothing was sent" in done.stderr


def test_send_of_a_wrong_file_as_json_lists_the_problems() -> None:
    done = _command("send", "-", "--json", text=b"{")
    assert done.returncode == 1
    assert [one["line"] for one in json.loads(done.stdout)["problems"]] == [1]


def test_send_without_a_broker_ends_with_one_message_and_status_2() -> None:
    done = _command("send", str(WEEKEND), "--kafka", "127.0.0.1:1")
    assert done.returncode == 2
    assert b"no Kafka broker answers at 127.0.0.1:1" in done.stderr
    assert b"Traceback" not in done.stderr


def test_send_of_a_file_that_is_not_there_ends_with_status_2(tmp_path: Path) -> None:
    done = _command("send", str(tmp_path / "nowhere.jsonl"))
    assert (done.returncode, b"Traceback" in done.stderr) == (2, False)
