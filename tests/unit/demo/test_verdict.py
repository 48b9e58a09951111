"""The verdict: each equality of the books by itself, with its figures; and how it is shown."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from deploy.linkage import SERVICES
from deploy.tryout.demo.quiet import Look, readers
from deploy.tryout.demo.report import Report
from deploy.tryout.demo.showing import show_report
from deploy.tryout.demo.verdict import Audit, failures

GOOD = {"confirmed": 300, "credited": 260, "withheld": 25, "refused": 15, "uncertain": 0, "in_flight": 0, "held": 90}
WAYS = ("gz->sz", "sz->gz")


def _failures(change: dict[str, int] | None = None, audit: tuple[int, int] = (300, 260), **more: Any) -> list[str]:
    minutes = {WAYS[0]: GOOD | (change or {}), WAYS[1]: GOOD}
    return failures(minutes, {WAYS[0]: Audit(*audit), WAYS[1]: Audit(300, 260)}, **({"overbooked": 0} | more))


def test_books_that_agree_are_balanced() -> None:
    assert _failures() == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"audit": (299, 260)}, "gz->sz: confirmed 300 is not what the host served, 299"),
        ({"audit": (300, 261)}, "gz->sz: credited 260 is not what the home booked, 261"),
        ({"change": {"withheld": 24}}, "confirmed 300 is not credited 260 + withheld 24 + refused 15"),
        ({"change": {"withheld": 20, "in_flight": 5}}, "gz->sz: in_flight is 5, not 0"),
        ({"change": {"withheld": 20, "uncertain": 5}}, "gz->sz: uncertain is 5, not 0"),
        ({"overbooked": 2}, "2 posts are confirmed above the allotment"),
        ({"stuck": "bridge: 1 messages are not read yet"}, "not everything came to an end: bridge"),
    ],
)
def test_each_difference_is_found_and_said_with_its_figures(wrong: dict[str, Any], says: str) -> None:
    (found,) = _failures(**wrong)
    assert says in found


def test_a_direction_that_one_side_does_not_know_is_not_balanced() -> None:
    assert failures({}, {"gz->sz": Audit(0, 0)}, overbooked=0) == ["gz->sz: the bridge knows nothing of it"]
    assert failures({"gz->sz": GOOD}, {}, overbooked=0) == ["gz->sz: no audit covers it"]


def test_what_does_not_balance_is_shown() -> None:
    document = {
        "people": {"linked": 2, "unlinked": 0},
        **dict.fromkeys(("projects", "shifts", "posts", "overbooked", "quarantined"), 1),
        "signups": {"requested": 1, "confirmed": 1, "waitlisted": 0, "withdrawn": 0, "refused": {}},
        "directions": {"gz->sz": {"service_records": 3, "minutes": GOOD}},
        "held": {},
        "reviews": {"approved": 0, "rejected": 0, "refused": {}},
        "faults": [],
        "seconds": 1.0,
        "broker": {"kind": "embedded"},
    }
    console = Console(file=io.StringIO(), width=160)
    show_report(console, Report(document, {"gz->sz": Audit(299, 260)}, ["gz->sz: confirmed 300 is not …"]))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "NOT BALANCED  gz->sz: confirmed 300 is not …" in shown
    assert "299" in shown


def test_every_inbound_and_inner_topic_with_a_reader_is_watched() -> None:
    databases = dict.fromkeys((*SERVICES, "sandbox_gz", "sandbox_sz"), "dsn")
    watched = readers(databases | {"adapter_sz": "dsn"})
    assert sorted(watched) == sorted((*SERVICES, "adapter_sz", "sandbox_gz"))
    names = {entry.name for entry in watched["adapter_sz"]}
    assert "registry.sz.deliveries.v1" in names
    assert "registry.sz.receipts.v1" not in names
    assert "registry.sz.receipts.v1" in {entry.name for entry in watched["bridge"]}
    assert "opportunities.events.v1" in {entry.name for entry in watched["attendance"]}


def test_what_is_under_way_is_said_in_words() -> None:
    look = Look({("bridge", "outbox"): 2, ("identity", "waiting"): 3, ("attendance", "unread"): 0})
    assert (look.total(waiting=True), look.total(waiting=False)) == (5, 2)
    assert str(look) == "bridge: 2 messages are not published yet; identity: 3 messages wait for a fact"
