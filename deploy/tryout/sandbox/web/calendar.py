"""One shift as an iCalendar object (RFC 5545)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

__all__ = ["calendar"]


def calendar(shift: dict[str, Any]) -> bytes:
    """A VCALENDAR with one VEVENT. ``shift`` has the form of the search's answer."""
    name = f"{shift['host']}.{shift['project_ref']}.{shift['shift_ref']}"
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Shuangcheng//Sandbox//EN",
        "BEGIN:VEVENT",
        f"UID:{_text(name)}@shuangcheng.invalid",
        f"DTSTAMP:{_moment(datetime.now(UTC).isoformat())}",
        f"DTSTART:{_moment(shift['starts_at'])}",
        f"DTEND:{_moment(shift['ends_at'])}",
        f"SUMMARY:{_text(shift['title'])}",
        f"LOCATION:{_text(shift['place']['text'])}",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return b"".join(_folded(line.encode()) for line in lines)


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return " ".join(escaped.splitlines())


def _folded(line: bytes) -> bytes:
    """Lines of 75 octets at most, never cut inside a character (RFC 5545 §3.1)."""
    parts = []
    limit = 75
    while len(line) > limit:
        cut = limit
        while line[cut] & 0xC0 == 0x80:
            cut -= 1
        parts.append(line[:cut])
        line, limit = line[cut:], 74
    return b"\r\n ".join([*parts, line]) + b"\r\n"
