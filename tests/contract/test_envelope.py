"""The codec: what goes out comes back, in both modes, and the CloudEvents SDK agrees."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import (
    KafkaMessage,
    from_kafka_event,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.v1.event import CloudEvent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from contracts.envelope import ContractError, Event, decode, encode, encode_structured, parse_structured
from contracts.messages import message_types
from contracts.tools.schemas import schema_of
from tests.support.messages import Example, events, messages_of, valid_examples

SLOW = [HealthCheck.filter_too_much, HealthCheck.too_slow]
STRUCTURED = [("content-type", b"application/cloudevents+json; charset=utf-8")]


def _named(example: Example) -> str:
    return example.name


def _as_structured(event: Event) -> bytes:
    return json.dumps(encode_structured(event), ensure_ascii=False).encode()


@given(events())
@settings(max_examples=300, suppress_health_check=SLOW, deadline=None)
def test_an_event_comes_back_the_same_in_both_modes(event: Event) -> None:
    assert decode(*encode(event)) == event
    assert decode(_as_structured(event), STRUCTURED) == event
    assert parse_structured(_as_structured(event), strict=True) == event


@pytest.mark.parametrize("name", sorted(message_types()))
def test_any_message_of_every_type_comes_back_the_same(name: str) -> None:
    @given(messages_of(message_types()[name]))
    @settings(max_examples=8, suppress_health_check=SLOW, deadline=None)
    def check(data: Any) -> None:
        event = Event("1", "urn:shuangcheng:registry:gz", datetime(2026, 8, 15, tzinfo=UTC), data)
        assert decode(*encode(event)) == event

    check()


def _from_ours(event: Event) -> KafkaMessage:
    value, headers = encode(event)
    return KafkaMessage(headers=dict(headers), key=event.key, value=value)


def _same(theirs: Any, event: Event) -> None:
    assert (theirs.get_id(), theirs.get_source(), theirs.get_type()) == (event.id, event.source, event.type)
    assert theirs.get_time() == event.time
    assert theirs.get_subject() == event.data.subject
    assert theirs.get_extension("partitionkey") == event.key
    assert theirs.get_extension("correlationid") == event.correlation
    assert theirs.get_extension("causationid") == event.causation
    assert theirs.get_extension("traceparent") == event.traceparent
    assert theirs.get_data() == encode_structured(event)["data"]


@pytest.mark.parametrize("example", valid_examples(), ids=_named)
def test_the_sdk_reads_what_we_write_in_both_modes(example: Example) -> None:
    event = parse_structured(example.text)
    _same(from_kafka_event(_from_ours(event)), event)
    _same(from_kafka_event(KafkaMessage(dict(STRUCTURED), event.key, _as_structured(event))), event)


@pytest.mark.parametrize("example", valid_examples(), ids=_named)
def test_we_read_what_the_sdk_writes_in_both_modes(example: Example) -> None:
    event = parse_structured(example.text)
    attributes = {name: part for name, part in example.event.items() if name != "data"}
    attributes["time"] = event.time
    theirs = CloudEvent(attributes, example.event["data"])
    for message in (to_binary_event(theirs), to_structured_event(theirs)):
        assert decode(message.value, message.headers.items()) == event
        assert message.key == event.key


def test_times_of_every_offset_are_read_as_the_same_instant_and_written_in_utc() -> None:
    [example] = [e for e in valid_examples() if e.name.endswith("checked_in.v1/valid-scan-at-the-tent")]
    moment = datetime(2026, 8, 15, 6, 56, 20, tzinfo=UTC)
    for text in ("2026-08-15T06:56:20Z", "2026-08-15T14:56:20+08:00", "2026-08-15T01:26:20.000000-05:30"):
        event = parse_structured(json.dumps({**example.event, "time": text}))
        assert event.time == moment
        assert dict(encode(event)[1])["ce_time"] == b"2026-08-15T06:56:20Z"


def test_both_names_of_tracing_are_written_and_either_is_read() -> None:
    [example] = [e for e in valid_examples() if e.name.endswith("valid-new-number-for-a-visitor")]
    value, headers = encode(parse_structured(example.text))
    trace = example.event["traceparent"].encode()
    assert [raw for name, raw in headers if name in ("traceparent", "ce_traceparent")] == [trace, trace]
    for dropped in ("traceparent", "ce_traceparent"):
        event = decode(value, [(name, raw) for name, raw in headers if name != dropped])
        assert event.traceparent == trace.decode()


_TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_OTHER = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([("traceparent", _TRACE), ("traceparent", _OTHER)], None),
        ([("ce_traceparent", _TRACE), ("CE_TraceParent", _TRACE)], None),
        ([("traceparent", b"0" * 10_000)], None),
        ([("traceparent", b"\xff\xfe")], None),
        ([("traceparent", _TRACE + b"\n")], None),
        ([("traceparent", _TRACE.upper())], None),
        ([("traceparent", b"ff" + _TRACE[2:])], None),
        ([("traceparent", b"00-" + b"0" * 32 + _TRACE[35:])], None),
        ([("traceparent", "一".encode())], None),
        ([("ce_traceparent", b"nonsense"), ("traceparent", _TRACE)], _TRACE),
        ([("ce_traceparent", _TRACE), ("traceparent", _OTHER), ("traceparent", _OTHER)], _TRACE),
    ],
)
def test_a_trace_that_cannot_be_handed_on_is_dropped_and_said_and_is_no_reason_to_refuse(
    given: list[tuple[str, bytes]], kept: bytes | None
) -> None:
    value, headers = encode(parse_structured(valid_examples()[0].text))
    event = decode(value, [*((n, raw) for n, raw in headers if "traceparent" not in n), *given])
    assert (event.traceparent, event.trace_dropped) == (kept and kept.decode(), True)


@pytest.mark.parametrize("strange", ["two words", 7, [], "0" * 400, "\x00"])
def test_a_structured_event_with_a_strange_trace_is_read_without_it(strange: object) -> None:
    example = valid_examples()[0]
    event = parse_structured(json.dumps({**example.event, "traceparent": strange}))
    assert (event.traceparent, event.trace_dropped) == (None, True)


def test_where_nothing_is_wrong_with_a_trace_none_is_dropped() -> None:
    value, headers = encode(parse_structured(valid_examples()[0].text))
    bare = [(name, raw) for name, raw in headers if "traceparent" not in name]
    for more in (
        [],
        [("traceparent", _TRACE)],
        [("traceparent", b"")],
        [("ce_traceparent", _TRACE), ("traceparent", _OTHER)],
    ):
        assert not decode(value, bare + more).trace_dropped


@pytest.mark.parametrize(
    "said",
    [
        [("contentType", b"application/json")],
        [("contentType", b'"application/json"')],
        [("content-type", b'"application/json; charset=utf-8"')],
        [("content-type", b"application/json"), ("contentType", b"text/plain")],
        [("ce_datacontenttype", b"application/json")],
        [("ce_datacontenttype", b"application/json"), ("ce_datacontenttype", b"\xff")],
        [("tracestate", b"\xff"), ("tracestate", b"k=v"), ("ce_tracestate", b"\x00"), ("ce_tracestate", b"")],
        [("ce_unheardof", b"\xff"), ("ce_unheardof", b"x" * 10_000)],
    ],
)
def test_what_other_frameworks_write_beside_the_attributes_is_admitted(said: list[tuple[str, bytes]]) -> None:
    value, headers = encode(parse_structured(valid_examples()[0].text))
    bare = [(name, raw) for name, raw in headers if name != "content-type"]
    assert decode(value, [*bare, *said]) == decode(value, headers)


def test_a_structured_event_may_name_its_media_type_as_spring_does() -> None:
    event = parse_structured(valid_examples()[0].text)
    for name, text in (("contentType", STRUCTURED[0][1]), ("contentType", b'"application/cloudevents+json"')):
        assert decode(_as_structured(event), [(name, text)]) == event
    with pytest.raises(ContractError, match="content-type application/cloudevents"):
        decode(_as_structured(event), [])


@pytest.mark.parametrize("example", valid_examples(), ids=_named)
def test_whole_numbers_with_a_point_or_an_exponent_are_integers_to_the_schema_and_to_the_border(
    example: Example,
) -> None:
    wide = {**example.event, "data": _with_points(example.event["data"])}
    schema = schema_of(message_types()[example.event["type"]])
    Draft202012Validator(schema).validate(wide["data"])
    assert parse_structured(json.dumps(wide)) == parse_structured(example.text)


def _with_points(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _with_points(one) for name, one in part.items()}
    return float(part) if isinstance(part, int) and not isinstance(part, bool) else part


def test_readers_ignore_unknown_fields_and_producers_refuse_them() -> None:
    [example] = [e for e in valid_examples() if e.name.endswith("valid-three-hours-less-a-break")]
    wider = {**example.event, "data": {**example.event["data"], "weather/~": "晴"}, "weatherext": 7}
    assert parse_structured(json.dumps(wider)).data == parse_structured(example.text).data
    with pytest.raises(ContractError) as refused:
        parse_structured(json.dumps(wider), strict=True)
    assert (refused.value.reason, refused.value.pointer) == ("schema", "/data/weather~1~0")


def test_producers_refuse_unknown_fields_of_nested_parts_too() -> None:
    [example] = [e for e in valid_examples() if e.name.endswith("valid-afternoon-on-ersha-island")]
    place = {**example.event["data"]["place"], "latitude": 23.11}
    wider = json.dumps({**example.event, "data": {**example.event["data"], "place": place}})
    assert "latitude" not in encode_structured(parse_structured(wider))["data"]["place"]
    with pytest.raises(ContractError) as refused:
        parse_structured(wider, strict=True)
    assert refused.value.pointer == "/data/place/latitude"


@given(st.sampled_from(valid_examples()), st.sampled_from(["partitionkey", "subject", "datacontenttype"]))
def test_optional_attributes_may_be_missing_or_null(example: Example, name: str) -> None:
    without = {key: part for key, part in example.event.items() if key != name}
    assert parse_structured(json.dumps(without)) == parse_structured(example.text)
    assert parse_structured(json.dumps({**without, name: None})) == parse_structured(example.text)
