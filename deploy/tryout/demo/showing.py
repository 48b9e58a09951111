"""The end of the demo in words: one volunteer's timeline, a table per direction, the verdict. 80 columns are enough."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from textwrap import fill
from typing import Any, Final, TypeAlias

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from contracts.messages.service import SHANGHAI
from contracts.reasons import words_of
from deploy.tryout.demo.report import Report
from deploy.tryout.demo.verdict import MINUTES

__all__ = ["Place", "Timeline", "show_report", "show_timeline", "where"]

Place: TypeAlias = tuple[str, str, str]
"""A shift: host, project and shift by their numbers."""

_HAPPENED, _KNOWN, _WHAT, _MINUTES = 16, 8, 40, 7
"""Widths: with two columns between them and before, 79 together."""
_WORDS: Final = {
    "link_established": "linked: one-click registration 一键注册",
    "link_broken": "the link is broken 解除关联",
    "link_restored": "the link is restored 恢复关联",
    "consent_given": "she consents to sharing 同意共享",
    "consent_withdrawn": "she withdraws her consent 撤回同意",
    "signup_requested": "asked for a post: one click 一键报名",
    "signup_confirmed": "has the post",
    "signup_waitlisted": "waits in line 候补",
    "signup_promoted": "has the post, out of the line 递补",
    "signup_refused": "gets no post 未录取",
    "signup_given_back": "gives the post back 退出",
    "signup_withdrawn": "has the post no longer 已退出",
    "signup_reported": "is busy at home then 本地有约",
    "checked_in": "checked in",
    "checked_out": "checked out",
    "service_attested": "the host attests her service",
    "service_reviewed": "a reviewer of the host decides",
    "service_confirmed": "confirmed by the linkage",
    "service_held": "held",
    "service_revoked": "revoked by the host",
    "transfer_queued": "queued for her home 待发",
    "transfer_withheld": "withheld until she consents 待授权",
    "transfer_sent": "sent to her home 已发",
    "transfer_uncertain": "her home is being asked 待核",
    "transfer_credited": "credited at home 已入账",
    "transfer_refused": "refused by her home 被拒",
    "transfer_superseded": "a later version took its place 已更替",
}


@dataclass(frozen=True)
class Timeline:
    """The bridge's timeline of a volunteer, and the shifts in it as opportunities knows them."""

    page: Mapping[str, Any]
    shifts: Mapping[Place, Mapping[str, Any]]


def where(entry: Mapping[str, Any]) -> Place:
    """The shift of a sign-up or a service."""
    return entry["host"], entry.get("project_ref", ""), entry.get("shift_ref", "")


def show_timeline(console: Console, title: str, timeline: Timeline) -> None:
    """Show the timeline shift by shift. Within a shift the order is that in which the linkage learned of each step; the
    time is that at which the step happened."""
    console.print(title, markup=False, style="bold")
    console.print(_columns([("happened", "known", "what", "minutes")]), style="dim")
    for heading, steps in _chapters(timeline):
        for line in heading:
            console.print(f"  {line}", markup=False, style="bold")
        console.print(_columns(map(_row, steps)))
    total = sum(one["credited_minutes"] for one in timeline.page["services"])
    console.print(
        f"\n  her home has {total} min = {total // 60} 小时 {total % 60} 分 of service in other cities\n", markup=False
    )


def _columns(rows: Iterable[tuple[str, str, str, str]]) -> Padding:
    table = Table.grid(padding=(0, 2, 0, 0))
    for width in (_HAPPENED, _KNOWN, _WHAT):
        table.add_column(width=width)
    table.add_column(width=_MINUTES, justify="right")
    for row in rows:
        table.add_row(*map(Text, row))
    return Padding(table, (0, 0, 0, 2), expand=False)


def _chapters(timeline: Timeline) -> Iterator[tuple[tuple[str, ...], list[Mapping[str, Any]]]]:
    """Her links, then each shift that she asked for or served in: its words, and all its steps."""
    for link in timeline.page["links"]:
        yield (), link["steps"]
    shifts: dict[Place, list[Mapping[str, Any]]] = {}
    for entry in (*timeline.page["signups"], *timeline.page["services"]):
        shifts.setdefault(where(entry), []).extend(entry["steps"])
    for place, steps in sorted(shifts.items(), key=lambda pair: min(_moment(step, "at") for step in pair[1])):
        yield ("", *_heading(timeline, place)), sorted(steps, key=lambda step: _moment(step, "at"))


def _heading(timeline: Timeline, place: Place) -> tuple[str, ...]:
    shift = timeline.shifts.get(place)
    if shift is None:
        return (" ".join(place),)
    begin, end = _moment(shift, "starts_at"), _moment(shift, "ends_at")
    return shift["title"], f"{begin:%A %Y-%m-%d %H:%M} to {end:%H:%M}, {shift['place']['text']}"


def _row(step: Mapping[str, Any]) -> tuple[str, str, str, str]:
    what = _WORDS.get(step["what"], step["what"].replace("_", " "))
    if step.get("reason"):
        what += f" ({words_of(step['reason'])[1]})"
    if step.get("version", 1) > 1:
        what += f", version {step['version']}"
    number = step.get("delta") if step["what"] == "transfer_credited" else step.get("minutes", step.get("total"))
    minutes = "" if number is None else f"{number:+d}" if step["what"] == "transfer_credited" else str(number)
    return f"{_moment(step, 'happened_at'):%Y-%m-%d %H:%M}", f"{_moment(step, 'at'):%H:%M:%S}", what, minutes


def _moment(said: Mapping[str, Any], name: str) -> datetime:
    return datetime.fromisoformat(said[name]).astimezone(SHANGHAI)


def show_report(console: Console, report: Report) -> None:
    """Show the figures by direction, beside the audits of both registries, and whether all agree."""
    document = report.document
    for name, text in _lines(report):
        lines = fill(text, console.width - 1, initial_indent=f"{name:<10}", subsequent_indent=" " * 10)
        console.print(lines, markup=False, soft_wrap=True)
    for direction, one in sorted(document["directions"].items()):
        _show_direction(console, direction, one, report)
    for line in report.broken:
        console.print(f"NOT BALANCED  {line}", markup=False, style="bold red", soft_wrap=True)
    if not report.broken:
        console.print(
            "BALANCED  every confirmed minute is credited once or stands in another state", style="bold green"
        )
    console.print(f"{document['seconds']} s on {document['broker']['kind']}", markup=False)


def _lines(report: Report) -> Iterator[tuple[str, str]]:
    document = report.document
    people, sign_ups = document["people"], document["signups"]
    yield "people", f"{people['linked']} linked, {people['unlinked']} not"
    yield "offered", f"{document['projects']} projects, {document['shifts']} shifts, {document['posts']} posts"
    yield (
        "sign-ups",
        f"{sign_ups['requested']} requested: {sign_ups['confirmed']} confirmed, {sign_ups['waitlisted']} waitlisted, "
        f"{sign_ups['withdrawn']} withdrawn; refused: {_by_reason(sign_ups['refused'])}",
    )
    held = {reason: one["records"] for reason, one in document["held"].items()}
    yield "held", f"records: {_by_reason(held)}"
    reviews = document["reviews"]
    refused = _by_reason(reviews["refused"])
    yield (
        "reviews",
        f"{reviews['approved']} to approve, {reviews['rejected']} to reject; of these refused: {refused}",
    )
    yield "trouble", f"{document['overbooked']} overbooked, {document['quarantined']} quarantined"
    for fault in document["faults"]:
        yield "", f"{fault['kind']} {fault['target']}: recovered after {fault['recovered_seconds']} s"
    for note in report.notes:
        yield "", note


def _by_reason(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{words_of(reason)[1]} {count}" for reason, count in counts.items()) or "none"


def _show_direction(console: Console, direction: str, one: Mapping[str, Any], report: Report) -> None:
    host, _, home = direction.partition("->")
    console.print(f"served in {host}, home {home}: minutes", markup=False, style="bold")
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("", "records", *MINUTES):
        table.add_column(name, justify="right" if name else "left", no_wrap=True, min_width=6)
    table.add_row("bridge", str(one["service_records"]), *(str(one["minutes"][name]) for name in MINUTES))
    audit = report.audits.get(direction)
    if audit is not None:
        table.add_row("audits", "", str(audit.served), str(audit.credited))
    console.print(Padding(table, (0, 0, 0, 2), expand=False))
