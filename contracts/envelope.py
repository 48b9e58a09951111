"""CloudEvents 1.0 over Kafka: binary mode out, binary and structured mode in (CloudEvents Kafka protocol binding).

The only codec of the project; the ``cloudevents`` SDK is its oracle in tests. Decoding trusts no byte: each fault
becomes a ``ContractError`` with a reason that a machine can read.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from contracts.frozen import frozen
from contracts.headers import JSON, READ, STRUCTURED, Headers, Trace, read_headers, trace_of
from contracts.messages import Message, message_types
from contracts.messages.base import Instant
from contracts.refused import ContractError, fits, marked
from contracts.unambiguous import check_unambiguous, with_whole_numbers

__all__ = [
    "MAX_BYTES",
    "ContractError",
    "Event",
    "body_bytes",
    "decode",
    "encode",
    "encode_structured",
    "header_texts",
    "microseconds",
    "moment_of",
    "parse_structured",
]

MAX_BYTES: Final = 32 * 1024
"""Largest body accepted, before anything is parsed."""

_REQUIRED: Final = ("id", "source", "type", "time")
_CATALOGUE: Final = message_types()
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_INSTANT: Final[TypeAdapter[datetime]] = TypeAdapter(Instant)


@frozen
class Event:
    """A message with its envelope. ``time`` is when the event happened or the request was made, in UTC.

    ``dataclasses.replace`` makes another event, whose key follows from its own data.
    """

    id: str
    source: str
    time: datetime
    data: Message
    correlation: str | None = None
    causation: str | None = None
    traceparent: str | None = None
    trace_dropped: bool = field(default=False, repr=False, compare=False)
    """Whether a traceparent came that could not be handed on."""
    key: str = field(init=False, repr=False, compare=False)
    """The partition key, from the body alone. Computed once: it is compared on the way in, written on the way out."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", self.data.key)

    @property
    def type(self) -> str:
        """The CloudEvents type, from the message's class."""
        return self.data.TYPE


@lru_cache(maxsize=256)  # all messages of one batch have the same time
def _time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def microseconds(moment: datetime) -> str:
    """A moment as a header has it: whole microseconds since 1970."""
    return str((moment - _EPOCH) // _MICROSECOND)


def moment_of(text: str) -> datetime:
    """The inverse of ``microseconds``. Raises ``ValueError`` or ``OverflowError``."""
    return _EPOCH + int(text) * _MICROSECOND


def header_texts(event: Event, decided_at: datetime | None = None, passed: str | None = None) -> list[tuple[str, str]]:
    """The headers of a record in binary mode, as text. ``decided_at`` and ``passed``: a service writes them for its own
    replay."""
    found = [
        ("ce_specversion", "1.0"),
        ("ce_id", event.id),
        ("ce_source", event.source),
        ("ce_type", event.data.TYPE),
        ("ce_subject", event.data.subject),
        ("ce_time", _time_text(event.time)),
        ("ce_partitionkey", event.key),
        ("content-type", JSON),
    ]
    if event.correlation:
        found.append(("ce_correlationid", event.correlation))
    if event.causation:
        found.append(("ce_causationid", event.causation))
    if event.traceparent:
        found += [("ce_traceparent", event.traceparent), ("traceparent", event.traceparent)]
    if decided_at is not None:
        found.append(("ce_decidedat", microseconds(decided_at)))
    if passed:
        found.append(("ce_passed", passed))
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
        media_type, trace = read_headers(headers, attributes)
        if media_type == STRUCTURED:
            return parse_structured(value or b"")
        if media_type != JSON:
            raise ContractError("envelope", f"content-type must be {JSON} or {STRUCTURED}", "/datacontenttype")
        return _checked(attributes, _json_of(value or b""), trace)
    except ContractError as error:
        raise marked(error, attributes) from None


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
    attributes = {name: body[name] for name in READ if isinstance(body.get(name), str)}
    try:
        for name in READ:
            if body.get(name) is not None and name not in attributes:
                raise ContractError("envelope", f"attribute {name!r} is not text", f"/{name}")
        trace = trace_of({"traceparent": [body.get("traceparent")]})
        data, pointer = _data_of(body)
        return _checked(attributes, data, trace, strict, pointer)
    except ContractError as error:
        raise marked(error, attributes) from None


def _data_of(body: Mapping[str, Any]) -> tuple[bytes, str]:
    """The message of a structured event, as JSON or as the same in Base64, and its place."""
    packed = body.get("data_base64")
    if packed is None:
        return to_json(body.get("data")), "/data"
    place = "/data_base64"
    if body.get("data") is not None:
        raise ContractError("envelope", "data and data_base64 stand beside each other", place)
    try:
        if not isinstance(packed, str):
            raise ValueError("no text")
        return _json_of(b64decode(packed, validate=True)), place
    except ContractError as error:
        raise ContractError(error.reason, error.detail, place) from None
    except ValueError as error:
        raise ContractError("bytes", f"not Base64: {error}", place) from None


def _json_of(value: bytes | str) -> bytes:
    """The same bytes, if they are JSON that every parser reads alike."""
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


def _check_attributes(attributes: Mapping[str, str]) -> None:
    if attributes.get("specversion") != "1.0":
        what = f"header ce_specversion must be 1.0, or content-type {STRUCTURED} with all in the value"
        raise ContractError("envelope", what, "/specversion")
    for name in _REQUIRED:
        if not attributes.get(name):
            raise ContractError("envelope", f"attribute {name!r} is missing", f"/{name}")
    if fits(*attributes.values()):
        return
    for name in READ:
        if not fits(attributes.get(name, "")):
            raise ContractError("envelope", f"attribute {name!r} is too long or has control characters", f"/{name}")


def _checked(attributes: Mapping[str, str], body: bytes, trace: Trace, strict: bool = False, prefix: str = "") -> Event:
    _check_attributes(attributes)
    model = _CATALOGUE.get(attributes["type"])
    if model is None:
        raise ContractError("unknown_type", f"no message {attributes['type']!r} in the contract", "/type")
    data = _message(model, body, strict, prefix)
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
        traceparent=trace.parent,
        trace_dropped=trace.dropped,
    )
    partition_key = attributes.get("partitionkey")
    if partition_key is not None and partition_key != event.key:
        raise ContractError("wrong_key", "partitionkey is not the key of the body", "/partitionkey")
    return event


def _message(model: type[Message], body: bytes, strict: bool, prefix: str) -> Message:
    extra: Any = "forbid" if strict else None
    read = model.__pydantic_validator__.validate_json
    try:
        try:
            # Strict: "5" and true are no numbers, as the published schemas say.
            return cast("Message", read(body, strict=True, extra=extra))
        except ValidationError:
            # 5.0 and 5e0 are numbers: to JSON Schema they are the integer 5. A writer of 5 pays nothing for this.
            if (whole := with_whole_numbers(body)) is None:
                raise
            return cast("Message", read(whole, strict=True, extra=extra))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise ContractError("bytes", f"not JSON: {first['msg']}") from None
        path = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in first["loc"])
        raise ContractError("schema", first["msg"], prefix + path) from None
