"""What people did on the pages of a rest_api registry: its own words become the message that it was."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from contracts.envelope import parse_structured
from deploy.tryout.sandbox.rest_api.speech import _CATEGORIES, _letter
from services.adapters.kinds.rest_api.said import read
from tests.support.messages import Example, valid_examples

SPOKEN = [one for one in valid_examples() if one.type in {message.TYPE for message in _CATEGORIES}]


@pytest.mark.parametrize("example", SPOKEN, ids=lambda one: f"{one.type}-{one.name}")
def test_what_a_sandbox_says_in_its_words_is_read_as_the_message_it_was(example: Example) -> None:
    event = parse_structured(json.dumps(example.event))
    code = event.source.rpartition(":")[2]
    told = json.loads(json.dumps({"序号": 7, **_letter(event)}))
    said = read(told, code)
    assert said.trouble is None
    assert said.number == 7
    assert said.event is not None
    assert (said.event.id, said.event.source, said.event.time) == (event.id, event.source, event.time)
    assert said.event.data == event.data


def letter(**changes: Any) -> dict[str, Any]:
    content = {"志愿者编号": "sz-1", "对方": "gz", "版本": 1}
    told = {"序号": 3, "消息号": "m-1", "时间": "2026-07-06T08:00:00+08:00", "类别": "撤回授权", "内容": content}
    return told | changes


@pytest.mark.parametrize(
    ("changes", "trouble"),
    [
        ({"类别": "天气"}, "no message for the category"),
        ({"内容": {"志愿者编号": "sz-1", "对方": "gz"}}, "Field required"),
        ({"内容": {"志愿者编号": "有空格 的", "对方": "gz", "版本": 1}}, "pattern"),
        ({"时间": "2026-07-06T08:00:00"}, "timezone"),
        ({"消息号": ""}, "at least 1 character"),
    ],
)
def test_what_cannot_be_read_is_told_beside_its_number(changes: dict[str, Any], trouble: str) -> None:
    said = read(letter(**changes), "sz")
    assert (said.number, said.event) == (3, None)
    assert trouble in (said.trouble or "")


def test_a_letter_without_a_number_that_can_be_kept_is_not_heard_and_holds_up_nothing() -> None:
    numbers: list[object] = ["3", 0, -1, 2**63, 2.0, True, None, [3]]
    letters: list[object] = [{}, [], "x", None, *(letter(序号=number) for number in numbers)]
    said = [read(raw, "sz") for raw in letters]
    assert {(one.number, one.event) for one in said} == {(None, None)}
    assert all("whole number" in (one.trouble or "") for one in said)
    assert len({one.digest for one in said}) == len(letters)


def test_two_letters_of_one_number_stand_apart_and_the_same_again_is_the_same() -> None:
    one, other = letter(消息号=""), letter(消息号="", 类别="天气")
    assert read(one, "sz").digest == read(dict(reversed(one.items())), "sz").digest != read(other, "sz").digest


def test_a_letter_that_is_nested_deeply_ends_no_listening() -> None:
    """It could be read and not written again: the whole answer counted as unreadable, and no later letter was heard."""
    deep = orjson.loads(b"[" * 1000 + b"]" * 1000)
    said = [read(letter(**{word: deep}), "sz") for word in ("消息号", "内容", "序号", "别的")]
    assert [one.number for one in said] == [3, 3, None, 3]
    assert [one.event is None for one in said] == [True, True, True, False]
    assert {len(one.digest or b"") for one in said} == {32}
