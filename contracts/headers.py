"""The headers of a record that are read: the attributes of an event, its media type, and its trace.

Other headers may hold anything. A trace that cannot be handed on is dropped, and the message is not refused for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from contracts.refused import ContractError

__all__ = ["JSON", "READ", "STRUCTURED", "Headers", "Read", "Trace", "read_headers", "trace_of"]

Headers = Iterable[tuple[str, bytes | None]]
JSON: Final = "application/json"
STRUCTURED: Final = "application/cloudevents+json"
READ: Final = ("specversion", "id", "source", "type", "time", "partitionkey", "correlationid", "causationid")
"""The attributes that are read."""

_TRACES: Final = ("ce_traceparent", "traceparent")
"""The trace of the event, by the CloudEvents extension, and the trace of its last carrier, which tracing writes."""
_MEDIA_TYPES: Final = ("content-type", "contenttype")
"""The name of the Kafka binding, and the name that Spring writes; the first counts."""
_KNOWN: Final = {f"ce_{name}": name for name in (*READ, "subject")} | {name: name for name in (*_TRACES, *_MEDIA_TYPES)}
_W3C: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Trace(NamedTuple):
    """A W3C traceparent, and whether one was given that could not be used."""

    parent: str | None
    dropped: bool


class Read(NamedTuple):
    """What the headers hold beside the attributes."""

    media_type: str
    trace: Trace


def read_headers(headers: Headers, attributes: dict[str, str]) -> Read:
    """Fill in the attributes that are there. Attributes that are filled in stay when this raises.

    Raises ``ContractError``.
    """
    plain: dict[str, str] = {}
    traces: dict[str, list[object]] = {}
    for name, raw in headers:
        short = _KNOWN.get(name) or _KNOWN.get(name.lower())
        if short is None:
            continue
        if short in _TRACES:
            traces.setdefault(short, []).append(raw)
            continue
        place = plain if short in _MEDIA_TYPES else attributes
        if short in place:
            raise ContractError("envelope", f"header {name!r} stands twice")
        try:
            place[short] = raw.decode() if raw else ""
        except UnicodeDecodeError:
            raise ContractError("envelope", f"header {name!r} is not UTF-8") from None
    media_type = next((plain[name] for name in _MEDIA_TYPES if plain.get(name)), JSON)
    # Some libraries write every text in a header as JSON.
    return Read(media_type.partition(";")[0].strip(' "').lower(), trace_of(traces) if traces else _NO_TRACE)


_NO_TRACE: Final = Trace(None, dropped=False)


def trace_of(given: Mapping[str, Sequence[object]]) -> Trace:
    """The event's own trace, else its carrier's. A trace that stands twice, or is malformed, does not count."""
    found: list[str] = []
    dropped = False
    for name in _TRACES:
        values = [value for value in given.get(name, ()) if value not in (None, b"", "")]
        if not values:
            continue
        text = _text(values[0]) if len(values) == 1 else None
        if text is None or _W3C.fullmatch(text) is None:
            dropped = True
        else:
            found.append(text)
    return Trace(found[0] if found else None, dropped)


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("ascii") if value.isascii() else None
    return value if isinstance(value, str) else None
