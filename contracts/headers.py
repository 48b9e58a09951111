"""What the headers of a record say: the attributes of an event, its media type, and the trace that it belongs to.

Only what is read here can be wrong here. Other headers are nobody's business, whatever they hold, and a trace that
cannot be handed on is dropped: it is no condition of anything.
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
"""That of the event, by the CloudEvents extension, and that of its last carrier, which tracing writes by itself."""
_MEDIA_TYPES: Final = ("content-type", "contenttype")
"""By the Kafka binding, and as Spring writes it; the first counts."""
_KNOWN: Final = {f"ce_{name}": name for name in (*READ, "subject")} | {name: name for name in (*_TRACES, *_MEDIA_TYPES)}
_W3C: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Trace(NamedTuple):
    """A W3C traceparent, and whether one was given that could not be used."""

    parent: str | None
    dropped: bool


class Read(NamedTuple):
    """What headers say beside the attributes."""

    media_type: str
    trace: Trace


def read_headers(headers: Headers, attributes: dict[str, str]) -> Read:
    """Fill in the attributes, as far as there are any; what stands there already stays when this raises.

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
    # Some mappers of headers write every text as JSON.
    return Read(media_type.partition(";")[0].strip(' "').lower(), trace_of(traces) if traces else _NO_TRACE)


_NO_TRACE: Final = Trace(None, dropped=False)


def trace_of(given: Mapping[str, Sequence[object]]) -> Trace:
    """The event's own trace, else its carrier's; one that stands twice, or has another form, is none."""
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
