"""Lines that repeat are written once and counted; an episode is told when it begins and when it is over."""

from __future__ import annotations

import json
import logging
import math

import pytest
import structlog

from services.chassis.base import logs
from services.chassis.base.repeats import Ended, Repeats, shape


def test_lines_that_differ_in_numbers_and_ids_are_of_one_kind() -> None:
    one = shape("Unable connect to node 1 of 0x7f00aa: Task-12 a3f0c2d4-0000-4000-8000-0123456789ab")
    assert one == shape("Unable connect to node 27 of 0x7f11bb: Task-9 a3f0c2d4-1111-4111-8111-0123456789ab")
    assert shape("topic a does not exist") != shape("topic b does not exist")


def test_a_line_is_written_once_and_its_end_is_told_with_a_count() -> None:
    repeats = Repeats(quiet=30)
    assert [repeats.writes("away", {"name": "away"}, float(second)) for second in range(58)] == [True] + 57 * [False]
    assert repeats.ended(80) == []
    assert repeats.ended(88) == [Ended({"name": "away"}, 58, 57.0)]
    assert not repeats.counting
    assert repeats.writes("away", {}, 100.0)


def test_a_line_that_came_once_has_no_end_to_be_told() -> None:
    repeats = Repeats(quiet=30)
    assert repeats.writes("once", {}, 0.0)
    assert repeats.ended(math.inf) == []


def test_what_passes_by_itself_is_written_only_when_it_does_not() -> None:
    repeats = Repeats(quiet=30, patience=20)
    assert [repeats.writes("starting", {}, float(second), passes=True) for second in range(22)] == (
        20 * [False] + [True, False]
    )
    assert repeats.writes("brief", {}, 0.0, passes=True) is False
    assert [ended.count for ended in repeats.ended(math.inf)] == [22]


def test_kinds_beyond_what_is_kept_are_counted_together() -> None:
    repeats = Repeats(most=2)
    assert [repeats.writes(name, {}, 0.0) for name in "abcde"] == [True, True, True, False, False]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> object:
    """What was written since the last look."""
    before = structlog.get_config()
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    before_it = logs._own.set(logs._Own())
    logs.configure("INFO", "tally")
    yield lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    logs._own.reset(before_it)
    structlog.configure(**before)
    root.handlers = handlers
    root.setLevel(level)


def test_a_client_that_complains_a_thousand_times_is_one_line_and_its_end_another(lines) -> None:  # type: ignore[no-untyped-def]
    for number in range(1000):
        logging.getLogger("library.conn").error("Unable connect to node with id %s: %s", 1, f"[Errno {number}]")
        logs.log().warning("batch failed, tried again", group="tally", detail=f"OSError: {number}")
    said = lines()
    assert [(line["event"], line.get("logger")) for line in said] == [
        ("Unable connect to node with id 1: [Errno 0]", "library.conn"),
        ("batch failed, tried again", None),
    ]
    logs._tell_ended(math.inf)
    assert [(line["event"], line["count"], line["service"]) for line in lines()] == [
        ("no longer repeated", 1000, "tally")
    ] * 2


def test_a_trace_is_one_line_with_its_error_and_place(lines) -> None:  # type: ignore[no-untyped-def]
    try:
        raise KeyError("nobody")
    except KeyError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
    (line,) = lines()
    assert line["event"] == "Exception in ASGI application"
    assert line["detail"].startswith("KeyError: 'nobody' at chassis/test_repeats.py:")


def test_an_episode_says_its_beginning_each_new_detail_and_its_end(lines) -> None:  # type: ignore[no-untyped-def]
    episode = logs.Episode("relay interrupted", topic="registry.tt.refusals")
    for _ in range(60):
        episode.failed("no leader for 10 s")
    episode.failed("no such topic", level="error")
    assert (episode.active, episode.count, episode.detail) == (True, 61, "no such topic")
    assert [(line["level"], line["detail"]) for line in lines()] == [
        ("warning", "no leader for 10 s"),
        ("error", "no such topic"),
    ]
    episode.over()
    episode.over()
    (line,) = lines()
    assert (line["event"], line["count"], line["topic"]) == ("relay interrupted: over", 61, "registry.tt.refusals")
    assert not episode.active


def test_what_fails_and_recovers_all_the_time_is_no_flood(lines) -> None:  # type: ignore[no-untyped-def]
    episode = logs.Episode("flapping")
    for _ in range(500):
        episode.failed("away")
        episode.over()
    assert [line["event"] for line in lines()] == ["flapping", "flapping: over"]
    logs._tell_ended(math.inf)
    assert [(line["event"], line["count"]) for line in lines()] == [("no longer repeated", 500)]
