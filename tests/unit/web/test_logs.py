"""Processes with pages write an error without its trace, and what repeats once."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator

import pytest
import structlog

from deploy.web import logs
from tests.support.log_lines import Lines, written


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """What was written since the last look."""
    with written(capsys, logs.configure, "sandbox") as found:
        yield found


def _tell_ended() -> None:
    for processor in structlog.get_config()["processors"]:
        if isinstance(processor, logs.Repeats):
            processor.sweep(math.inf)


def test_a_task_that_fails_every_second_is_one_line_without_its_trace(lines: Lines) -> None:
    for number in range(58):
        try:
            raise ConnectionError(f"[Errno 111] attempt {number}")
        except ConnectionError:
            structlog.get_logger().exception("task_failed")
    (line,) = lines()
    assert line["error"].startswith("ConnectionError: [Errno 111] attempt 0 at web/test_logs.py:")
    assert line["service"] == "sandbox"
    _tell_ended()
    (line,) = lines()
    assert (line["event"], line["name"], line["count"]) == ("no longer repeated", "task_failed", 58)


def test_a_librarys_trace_is_one_line_and_its_complaints_are_one_each(lines: Lines) -> None:
    for number in range(100):
        logging.getLogger("library.conn").error("Unable connect to node with id %s", number)
    try:
        raise KeyError("nobody")
    except KeyError:
        logging.getLogger("library.http").exception("Exception in ASGI application\n")
    assert [(line["event"], line.get("error", "")[:18]) for line in lines()] == [
        ("Unable connect to node with id 0", ""),
        ("Exception in ASGI application", "KeyError: 'nobody'"),
    ]


def test_what_a_group_says_while_it_starts_is_no_error(lines: Lines) -> None:
    for _ in range(35):
        logging.getLogger("library.group").error("Request failed: GroupCoordinatorNotAvailableError")
    _tell_ended()
    assert lines() == []
