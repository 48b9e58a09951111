"""The end of the demo in words: one volunteer's timeline, a table per direction, the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from contracts.messages.service import SHANGHAI
from deploy.demo.report import Report

__all__ = ["show_report", "show_timeline"]

_COLUMNS = ("confirmed", "credited", "withheld", "refused", "uncertain", "in_flight", "held")
_WORDS = {
    "link_established": "linked: one-click registration 一键注册",
    "signup_requested": "asked for a post: one click 一键报名",
    "signup_confirmed": "has the post",
    "checked_in": "checked in",
    "checked_out": "checked out",
    "service_attested": "the host attests her service",
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


def show_timeline(console: Console, title: str, page: Mapping[str, Any]) -> None:
    """Everything that happened to her, as the linkage came to know it, with the time at which it happened."""
    table = Table(title=title, title_justify="left", title_style="bold", show_edge=False)
    for name in ("known", "what", "where", "minutes", "happened"):
        table.add_column(name, justify="right" if name == "minutes" else "left")
    for known, happened, *rest in sorted(_rows(page), key=lambda row: row[:2]):
        table.add_row(_clock(known), *rest, _clock(happened))
    console.print(table)
    total = sum(one["credited_minutes"] for one in page["services"])
    console.print(
        f"her home has {total} min = {total // 60} 小时 {total % 60} 分 of service in other cities", markup=False
    )


def _rows(page: Mapping[str, Any]) -> Iterator[tuple[datetime, datetime, str, str, str]]:
    for group, where in (("links", "host"), ("signups", "shift_ref"), ("services", "record_ref")):
        for entry in page[group]:
            for step in entry["steps"]:
                yield _row(step, str(entry.get(where) or entry["host"]))


def _row(step: Mapping[str, Any], where: str) -> tuple[datetime, datetime, str, str, str]:
    what = _WORDS.get(step["what"], step["what"].replace("_", " "))
    if step.get("reason"):
        what += f" ({step['reason']})"
    if step.get("version", 1) > 1:
        what += f", version {step['version']}"
    number = step.get("delta") if step["what"] == "transfer_credited" else step.get("minutes", step.get("total"))
    minutes = "" if number is None else f"{number:+d}" if step["what"] == "transfer_credited" else str(number)
    return datetime.fromisoformat(step["at"]), datetime.fromisoformat(step["happened_at"]), what, where, minutes


def _clock(moment: datetime) -> str:
    return moment.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")


def show_report(console: Console, report: Report) -> None:
    """The figures by direction beside what both registries say themselves, and whether all agree."""
    document = report.document
    people, sign_ups = document["people"], document["signups"]
    refused = ", ".join(f"{reason} {count}" for reason, count in sign_ups["refused"].items())
    for line in (
        f"people     {people['linked']} linked, {people['unlinked']} not",
        f"offered    {document['projects']} projects, {document['shifts']} shifts, {document['posts']} posts",
        f"sign-ups   {sign_ups['requested']} requested: {sign_ups['confirmed']} confirmed, "
        f"{sign_ups['waitlisted']} waitlisted, {sign_ups['withdrawn']} withdrawn; refused: {refused or 'none'}",
        f"trouble    {document['overbooked']} overbooked, {document['quarantined']} quarantined"
        + "".join(f"; {one['kind']} {one['target']}, {one['recovered_seconds']} s" for one in document["faults"]),
    ):
        console.print(line, markup=False, soft_wrap=True)
    for direction, one in sorted(document["directions"].items()):
        _show_direction(console, direction, one, report)
    for line in report.broken:
        console.print(f"NOT BALANCED  {line}", markup=False, style="bold red", soft_wrap=True)
    if not report.broken:
        console.print(
            "BALANCED  every confirmed minute is credited once or stands in another state", style="bold green"
        )
    console.print(f"{document['seconds']} s on {document['broker']['kind']}", markup=False)


def _show_direction(console: Console, direction: str, one: Mapping[str, Any], report: Report) -> None:
    host, _, home = direction.partition("->")
    table = Table(
        title=f"served in {host}, home {home}: minutes", title_justify="left", title_style="bold", show_edge=False
    )
    for name in ("", "records", *_COLUMNS):
        table.add_column(name, justify="left" if not name else "right")
    table.add_row("bridge", str(one["service_records"]), *(str(one["minutes"][name]) for name in _COLUMNS))
    audit = report.audits.get(direction)
    if audit is not None:
        table.add_row("registries' audits", "", str(audit.served), str(audit.credited))
    console.print(table)
