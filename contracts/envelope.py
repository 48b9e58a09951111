"""CloudEvents 1.0 over Kafka: binary mode out, binary and structured mode in (CloudEvents Kafka protocol binding).

The one codec of the project; the ``cloudevents`` SDK is its oracle in tests. Decoding never trusts: whatever is
wrong with the bytes becomes a ``ContractError`` with a reason a machine can read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from contracts.frozen import frozen
from contracts.messages import Message, message_types
from contracts.messages.base import Instant
from contracts.unambiguous import check_unambiguous

__all__ = [
    "MAX_BYTES",
    "ContractError",
    "Event",
    "body_bytes",
    "decode",
    "encode",
    "encode_structured",
    "header_texts",
    "parse_structured",
]

MAX_BYTES: Final = 32 * 1024
"""Largest body accepted, before anything is parsed."""

Headers = Iterable[tuple[str, bytes | None]]
_JSON: Final = "application/json"
_STRUCTURED: Final = "application/cloudevents+json"
_REQUIRED: Final = ("id", "source", "type", "time")
_READ: Final = ("specversion", *_REQUIRED, "partitionkey", "correlationid", "causationid", "traceparent")
_ATTRIBUTES: Final = {f"ce_{name}": name for name in (*_READ, "subject")}
_LONGEST: Final = 300
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CATALOGUE: Final = message_types()
_INSTANT: Final[TypeAdapter[datetime]] = TypeAdapter(Instant)


class ContractError(ValueError):
    """A message that is not in the contract.

    ``reason`` is one of too_large, bytes, envelope, unknown_type, schema, wrong_key; ``pointer`` is a JSON pointer
    (RFC 6901) into the body, or into the whole event in structured mode and for attributes. ``id``, ``source`` and
    ``type`` are there as far as they could be read, so that a refusal finds its sender. All of it fits into a
    ``MessageRefused``.
    """

    def __init__(self, reason: str, detail: str, pointer: str | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = _one_line(detail)
        self.pointer = None if pointer is None else _one_line(pointer)
        self.id: str | None = None
        self.source: str | None = None
        self.type: str | None = None

    def __str__(self) -> str:
        """One line a person can act on."""
        return f"{self.reason}: {self.detail}" + (f" at {self.pointer}" if self.pointer else "")


@frozen
class Event:
    """A message with its envelope. ``time`` is when the fact happened or the request was made, in UTC.

    ``dataclasses.replace`` makes another one, whose key is that of its data.
    """

    id: str
    source: str
    time: datetime
    data: Message
    correlation: str | None = None
    causation: str | None = None
    traceparent: str | None = None
    key: str = field(init=False, repr=False, compare=False)
    """The partition key, from the body alone. Reckoned once: it is compared on the way in, written on the way out."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", self.data.key)

    @property
    def type(self) -> str:
        """The CloudEvents type, from the message's class."""
        return self.data.TYPE


@lru_cache(maxsize=256)  # all that one batch says has one time
def _time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def header_texts(event: Event) -> list[tuple[str, str]]:
    """What stands in the headers of a record in binary mode, as text."""
    found = [
        ("ce_specversion", "1.0"),
        ("ce_id", event.id),
        ("ce_source", event.source),
        ("ce_type", event.data.TYPE),
        ("ce_subject", event.data.subject),
        ("ce_time", _time_text(event.time)),
        ("ce_partitionkey", event.key),
        ("content-type", _JSON),
    ]
    if event.correlation:
        found.append(("ce_correlationid", event.correlation))
    if event.causation:
        found.append(("ce_causationid", event.causation))
    if event.traceparent:
        found += [("ce_traceparent", event.traceparent), ("traceparent", event.traceparent)]
    return found


def body_bytes(event: Event) -> bytes:
    """The value of a record in binary mode."""
    return event.data.__pydantic_serializer__.to_json(event.data, exclude_none=True)


def encode(event: Event) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Give the record value and headers in binary mode. The record key is ``event.key`` in UTF-8."""
    return body_bytes(event), [(name, text.encode()) for name, text in header_texts(event)]


def encode_structured(event: Event) -> dict[str, Any]:
    """The event as one JSON object in structured mode, as ``shuangcheng send`` reads it."""
    extras = {
        "correlationid": event.correlation,
        "causationid": event.causation,
        "traceparent": event.traceparent,
    }
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.data.subject,
        "time": _time_text(event.time),
        "partitionkey": event.key,
        "datacontenttype": "application/json",
        **{name: value for name, value in extras.items() if value},
        "data": event.data.model_dump(mode="json", exclude_none=True),
    }


def decode(value: bytes | None, headers: Headers) -> Event:
    """Read a Kafka record in either mode.

    Raises ``ContractError``.
    """
    attributes: dict[str, str] = {}
    try:
        media_type = _read_headers(headers, attributes)
        if media_type == _STRUCTURED:
            return parse_structured(value or b"")
        if media_type != _JSON:
            raise ContractError("envelope", f"content-type must be {_JSON} or {_STRUCTURED}", "/datacontenttype")
        return _checked(attributes, _json_of(value or b""))
    except ContractError as error:
        raise _marked(error, attributes) from None


def parse_structured(value: bytes | str, *, strict: bool = False) -> Event:
    """Read one event in structured JSON mode. ``strict`` refuses unknown fields, for producers.

    Raises ``ContractError``.
    """
    raw = _json_of(value)
    try:
        body = from_json(raw)
    except ValueError as error:
        raise ContractError("bytes", f"not JSON: {error}") from None
    if not isinstance(body, dict):
        raise ContractError("envelope", "a structured event is a JSON object", "")
    attributes = {name: part for name, part in body.items() if isinstance(part, str) and name != "data"}
    try:
        for name in _READ:
            if body.get(name) is not None and name not in attributes:
                raise ContractError("envelope", f"attribute {name!r} is not text", f"/{name}")
        return _checked(attributes, to_json(body.get("data")), strict, "/data")
    except ContractError as error:
        raise _marked(error, attributes) from None


def _read_headers(headers: Headers, attributes: dict[str, str]) -> str:
    """Fill in the attributes; the answer is the media type. FastStream writes tracing without prefix."""
    plain: dict[str, str] = {}
    for name, raw in headers:
        short, place = _ATTRIBUTES.get(name), attributes
        if short is None:
            lowered = name.lower()
            if lowered.startswith("ce_"):
                short = lowered[3:]
            elif lowered in ("content-type", "traceparent"):
                short, place = lowered, plain
            else:
                continue
        if short in place:
            raise ContractError("envelope", f"header {name!r} stands twice")
        try:
            place[short] = raw.decode() if raw else ""
        except UnicodeDecodeError:
            raise ContractError("envelope", f"header {name!r} is not UTF-8") from None
    if "traceparent" in plain:
        attributes.setdefault("traceparent", plain["traceparent"])
    return plain.get("content-type", _JSON).partition(";")[0].strip().lower()


def _json_of(value: bytes | str) -> bytes:
    """The bytes, if they are JSON that every parser reads alike."""
    try:
        raw = value.encode() if isinstance(value, str) else value
        if not raw:
            raise ContractError("bytes", "the record has no value")
        if len(raw) > MAX_BYTES:
            raise ContractError("too_large", f"{len(raw)} bytes, at most {MAX_BYTES} are read")
        check_unambiguous(raw)
    except ContractError:
        raise
    except (ValueError, RecursionError) as error:
        raise ContractError("bytes", f"not JSON: {error}") from None
    return raw


def _one_line(text: str) -> str:
    return _CONTROL.sub("\ufffd", text[:_LONGEST])


def _marked(error: ContractError, attributes: Mapping[str, str]) -> ContractError:
    known = {name: text for name, text in attributes.items() if text and _fits(text)}
    error.id = error.id or known.get("id")
    error.source = error.source or known.get("source")
    error.type = error.type or known.get("type")
    return error


def _fits(text: str) -> bool:
    return len(text) <= _LONGEST and _CONTROL.search(text) is None


def _all_fit(attributes: Mapping[str, str]) -> bool:
    """One look at all of them together; what cannot be printed is rare, and not always a control character."""
    return max(map(len, attributes.values())) <= _LONGEST and "".join(attributes.values()).isprintable()


def _check_attributes(attributes: Mapping[str, str]) -> None:
    if attributes.get("specversion") != "1.0":
        raise ContractError("envelope", "specversion must be 1.0", "/specversion")
    for name in _REQUIRED:
        if not attributes.get(name):
            raise ContractError("envelope", f"attribute {name!r} is missing", f"/{name}")
    if _all_fit(attributes):
        return
    for name in _READ:
        if not _fits(attributes.get(name, "")):
            raise ContractError("envelope", f"attribute {name!r} is too long or has control characters", f"/{name}")


def _checked(attributes: Mapping[str, str], body: bytes, strict: bool = False, prefix: str = "") -> Event:
    _check_attributes(attributes)
    model = _CATALOGUE.get(attributes["type"])
    if model is None:
        raise ContractError("unknown_type", f"no message {attributes['type']!r} in the contract", "/type")
    try:
        # Strict: "5" and true are no numbers, as the published schemas say.
        data = model.__pydantic_validator__.validate_json(body, strict=True, extra="forbid" if strict else None)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise ContractError("bytes", f"not JSON: {first['msg']}") from None
        path = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in first["loc"])
        raise ContractError("schema", first["msg"], prefix + path) from None
    try:
        moment = _INSTANT.validator.validate_python(attributes["time"])
    except ValidationError as error:
        raise ContractError("envelope", error.errors(include_url=False)[0]["msg"], "/time") from None
    event = Event(
        id=attributes["id"],
        source=attributes["source"],
        time=moment.astimezone(UTC),
        data=data,
        correlation=attributes.get("correlationid") or None,
        causation=attributes.get("causationid") or None,
        traceparent=attributes.get("traceparent") or None,
    )
    partition_key = attributes.get("partitionkey")
    if partition_key is not None and partition_key != event.key:
        raise ContractError("wrong_key", "partitionkey is not the key of the body", "/partitionkey")
    return event
