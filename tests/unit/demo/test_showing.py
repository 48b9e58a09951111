"""The end of the demo on a terminal: whatever the figures, 80 columns hold it, and nothing is cut off."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from contracts.messages.service import SHANGHAI
from deploy.tryout.demo.report import Report
from deploy.tryout.demo.showing import Timeline, show_report, show_timeline
from deploy.tryout.demo.verdict import Audit

RUN = datetime(2026, 9, 7, 12, 30, tzinfo=SHANGHAI)
SERVED = datetime(2023, 8, 26, 14, 0, tzinfo=SHANGHAI)
BIG = dict.fromkeys(("confirmed", "credited", "withheld", "refused", "uncertain", "in_flight", "held"), 9_999_999)
DOCUMENT: dict[str, Any] = {
    "people": {"linked": 100_000, "unlinked": 4_000},
    **dict.fromkeys(("projects", "shifts", "posts", "overbooked", "quarantined"), 22_480),
    "signups": {
        **dict.fromkeys(("requested", "confirmed", "waitlisted", "withdrawn"), 99_999),
        "refused": dict.fromkeys(("clash", "full", "guardian_missing", "not_linked", "not_open", "too_young"), 99_999),
    },
    "directions": {way: {"service_records": 99_999, "minutes": BIG} for way in ("gz->sz", "sz->gz")},
    "held": {"no_check_out": {"records": 99_999, "minutes": 9_999_999}},
    "reviews": {"approved": 99_999, "rejected": 99_999, "refused": {"self_review": 99_999}},
    "faults": [{"kind": "sigkill", "target": "bridge", "at": "2026-09-07T04:30:00Z", "recovered_seconds": 5.4}],
    "seconds": 71.4,
    "broker": {"kind": "embedded"},
}


def _shown(width: int, report: Report) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    show_report(console, report)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


def _step(what: str, after: int = 0, *, happened: datetime = RUN, **detail: Any) -> dict[str, Any]:
    return {
        "at": (RUN + timedelta(seconds=after)).isoformat(),
        "happened_at": happened.isoformat(),
        "what": what,
        **detail,
    }


def _timeline(console: Console, shifts: dict[tuple[str, str, str], Any]) -> list[str]:
    place = {"host": "gz", "project_ref": "gz-p", "shift_ref": "gz-s"}
    steps = [
        _step("transfer_credited", 4, total=135, delta=-15, version=2),
        _step("service_attested", 3, happened=SERVED, minutes=150),
        _step("transfer_queued", 3, total=150),
        _step("service_held", 2, minutes=150, reason="overlap"),
        _step("service_held", 2, minutes=150, reason="brand_new"),
    ]
    page = {
        "links": [{"host": "gz", "home": "sz", "steps": [_step("link_established")]}],
        "signups": [{**place, "steps": [_step("signup_requested", 1, happened=SERVED), _step("signup_confirmed", 2)]}],
        "services": [{**place, "credited_minutes": 135, "steps": steps}],
    }
    show_timeline(console, "夏小雨 (home sz)", Timeline(page, shifts))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("width", [80, 120])
def test_a_report_of_large_figures_fits(width: int) -> None:
    lines = _shown(width, Report(DOCUMENT, {way: Audit(9_999_999, 9_999_999) for way in DOCUMENT["directions"]}))
    assert max(map(cell_len, lines)) <= width
    shown = "\n".join(lines)
    assert shown.count("9999999") == 2 * (7 + 2)
    assert "…" not in shown
    assert "in_flight" in shown


def test_a_fault_that_could_not_be_made_is_said_with_the_report() -> None:
    note = "lost_answer did not happen: in so small a crowd nobody has a service to be credited"
    said = " ".join(" ".join(_shown(80, Report(DOCUMENT, notes=[note]))).split())
    assert note in said


def test_her_timeline_is_told_shift_by_shift_in_the_order_in_which_the_linkage_knew_it() -> None:
    shift = {
        "title": "志愿护绿驿站:二沙岛草地养护与外来入侵植物识别",
        "place": {"text": "越秀区二沙岛艺术公园护绿驿站"},
        "starts_at": SERVED.isoformat(),
        "ends_at": (SERVED + timedelta(hours=3)).isoformat(),
    }
    lines = _timeline(Console(file=io.StringIO(), width=80), {("gz", "gz-p", "gz-s"): shift})
    assert max(map(cell_len, lines)) <= 80
    assert "Saturday 2023-08-26 14:00 to 17:00, 越秀区二沙岛艺术公园护绿驿站" in map(str.strip, lines)
    assert any("held (It overlaps another service)" in line for line in lines)
    assert "brand_new" in " ".join(lines)
    order = ["linked", "志愿护绿驿站", "asked for a post", "has the post", "attests", "queued", "credited", "135 min"]
    at = [next(number for number, line in enumerate(lines) if word in line) for word in order]
    assert at == sorted(at)
    assert "2023-08-26 14:00  12:30:01  asked for a post: one click 一键报名" in lines[at[2]]
    assert lines[at[6]].rstrip().endswith("-15")


def test_a_shift_that_its_host_never_published_is_told_by_its_numbers() -> None:
    lines = _timeline(Console(file=io.StringIO(), width=80), {})
    assert any("gz gz-p gz-s" in line for line in lines)
