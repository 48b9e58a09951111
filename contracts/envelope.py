"""CloudEvents 1.0 over Kafka: binary mode out, binary and structured mode in (CloudEvents Kafka protocol binding).

The one codec of the project; the ``cloudevents`` SDK is its oracle in tests. Decoding never trusts: whatever is
wrong with the bytes becomes a ``ContractError`` with a reason a machine can read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from contracts.messages import Message, message_types

__all__ = ["MAX_BYTES", "ContractError", "Event", "decode", "encode", "encode_structured", "parse_structured"]

MAX_BYTES: Final = 32 * 1024
"""Largest body accepted, before anything is parsed."""

Headers = Iterable[tuple[str, bytes]]
_STRUCTURED: Final = "application/cloudevents+json"
_CATALOGUE: Final = message_types()


class ContractError(ValueError):
    """A message that is not in the contract.

    ``reason`` is one of too_large, bytes, envelope, unknown_type, schema; ``pointer`` is a JSON pointer into the
    body (RFC 6901). ``id``, ``source`` and ``type`` are there as far as they could be read, so that a refusal
    finds its sender.
    """

    def __init__(self, reason: str, detail: str, pointer: str | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.pointer = pointer
        self.id: str | None = None
        self.source: str | None = None
        self.type: str | None = None

    def __str__(self) -> str:
        """One line a person can act on."""
        return f"{self.reason}: {self.detail}" + (f" at {self.pointer}" if self.pointer else "")


@dataclass(frozen=True, slots=True)
class Event:
    """A message with its envelope. ``time`` is when the fact happened or the request was made, in UTC."""

    id: str
    source: str
    time: datetime
    data: Message
    correlation: str | None = None
    causation: str | None = None
    traceparent: str | None = None

    @property
    def type(self) -> str:
        """The CloudEvents type, from the message's class."""
        return self.data.TYPE

    @property
    def key(self) -> str:
        """The partition key, from the body alone."""
        return self.data.key


def _time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def encode(event: Event) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Give the record value and headers in binary mode. The record key is ``event.key`` in UTF-8."""
    data = event.data
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event.id.encode()),
        ("ce_source", event.source.encode()),
        ("ce_type", data.TYPE.encode()),
        ("ce_subject", data.subject.encode()),
        ("ce_time", _time_text(event.time).encode()),
        ("ce_partitionkey", data.key.encode()),
        ("content-type", b"application/json"),
    ]
    if event.correlation:
        headers.append(("ce_correlationid", event.correlation.encode()))
    if event.causation:
        headers.append(("ce_causationid", event.causation.encode()))
    if event.traceparent:
        trace = event.traceparent.encode()
        headers += [("ce_traceparent", trace), ("traceparent", trace)]
    return data.__pydantic_serializer__.to_json(data, exclude_none=True), headers


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
    if not value:
        raise ContractError("bytes", "the record has no value")
    if len(value) > MAX_BYTES:
        raise ContractError("too_large", f"{len(value)} bytes, at most {MAX_BYTES} are read")
    attributes: dict[str, str] = {}
    content_type = "application/json"
    for name, raw in headers:
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise ContractError("envelope", f"header {name!r} is not UTF-8") from None
        lowered = name.lower()
        if lowered.startswith("ce_"):
            attributes[lowered[3:]] = text
        elif lowered == "content-type":
            content_type = text.lower()
        elif lowered == "traceparent":
            attributes.setdefault("traceparent", text)
    if content_type.startswith(_STRUCTURED):
        return parse_structured(value)
    return _build(attributes, value)


def parse_structured(value: bytes | str, *, strict: bool = False) -> Event:
    """Read one event in structured JSON mode. ``strict`` refuses unknown fields, for producers.

    Raises ``ContractError``.
    """
    try:
        body = from_json(value)
    except ValueError as error:
        raise ContractError("bytes", f"not JSON: {error}") from None
    if not isinstance(body, dict):
        raise ContractError("envelope", "a structured event is a JSON object", "")
    data = body.pop("data", None)
    attributes = {name: part for name, part in body.items() if isinstance(part, str)}
    for name in body.keys() - attributes.keys():
        raise _marked(ContractError("envelope", f"attribute {name!r} is not text", f"/{name}"), attributes)
    return _build(attributes, to_json(data), strict=strict, prefix="/data")


def _marked(error: ContractError, attributes: Mapping[str, str]) -> ContractError:
    error.id, error.source = attributes.get("id"), attributes.get("source")
    error.type = attributes.get("type")
    return error


def _build(attributes: Mapping[str, str], body: bytes, *, strict: bool = False, prefix: str = "") -> Event:
    try:
        return _checked(attributes, body, strict, prefix)
    except ContractError as error:
        raise _marked(error, attributes) from None


def _checked(attributes: Mapping[str, str], body: bytes, strict: bool, prefix: str) -> Event:
    if attributes.get("specversion") != "1.0":
        raise ContractError("envelope", "specversion must be 1.0", "/specversion")
    for name in ("id", "source", "type", "time"):
        if not attributes.get(name):
            raise ContractError("envelope", f"attribute {name!r} is missing", f"/{name}")
        if len(attributes[name]) > 300 or not attributes[name].isprintable():
            raise ContractError("envelope", f"attribute {name!r} is too long or not printable", f"/{name}")
    model = _CATALOGUE.get(attributes["type"])
    if model is None:
        raise ContractError("unknown_type", f"no message {attributes['type']!r} in the contract", "/type")
    try:
        data = model.model_validate_json(body, extra="forbid" if strict else None)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = "".join(f"/{part}" for part in first["loc"])
        raise ContractError("schema", first["msg"], f"{prefix}{path}") from None
    partition_key = attributes.get("partitionkey")
    if partition_key is not None and partition_key != data.key:
        raise ContractError("wrong_key", "partitionkey is not the key of the body", "/partitionkey")
    return Event(
        id=attributes["id"],
        source=attributes["source"],
        time=_parse_time(attributes["time"]),
        data=data,
        correlation=attributes.get("correlationid"),
        causation=attributes.get("causationid"),
        traceparent=attributes.get("traceparent"),
    )


def _parse_time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ContractError("envelope", "time is not RFC 3339", "/time") from None
    if moment.tzinfo is None:
        raise ContractError("envelope", "time has no offset", "/time")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ContractError("envelope", "time is out of range", "/time") from None
