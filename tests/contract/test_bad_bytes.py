"""Whatever stands in a record, the codec gives an event or a ContractError with a reason, and nothing else."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.envelope import MAX_BYTES, ContractError, Headers, decode, encode, parse_structured
from contracts.messages.refusals import MessageRefused
from tests.support.messages import Example, valid_examples

REASONS = {"too_large", "bytes", "envelope", "unknown_type", "schema", "wrong_key"}
_SHIFT = next(e for e in valid_examples() if e.name.endswith("valid-afternoon-on-ersha-island"))
_VALUE, _HEADERS = encode(parse_structured(_SHIFT.text))
_STRUCTURED: Headers = [("content-type", b"application/cloudevents+json")]


def _body(**changes: Any) -> bytes:
    return json.dumps({**_SHIFT.event["data"], **changes}).encode()


def _with(text: bytes) -> bytes:
    """The body with more members, as they stand."""
    return _VALUE[:-1] + b"," + text + b"}"


def _headers(**changes: bytes | None) -> list[tuple[str, bytes | None]]:
    kept = [(name, raw) for name, raw in _HEADERS if name not in changes]
    return [*kept, *changes.items()]


def _without(name: str) -> list[tuple[str, bytes]]:
    return [(one, raw) for one, raw in _HEADERS if one != name]


BODIES: dict[str, tuple[bytes | None, str]] = {
    "null value, a tombstone": (None, "bytes"),
    "empty": (b"", "bytes"),
    "one byte": (b"{", "bytes"),
    "blanks": (b"   ", "bytes"),
    "byte order mark": (b"\xef\xbb\xbf" + _VALUE, "bytes"),
    "utf-16": (_VALUE.decode().encode("utf-16"), "bytes"),
    "invalid utf-8": (_with(b'"x":"\xff"'), "bytes"),
    "surrogate in utf-8": (_with(b'"x":"\xed\xa0\x80"'), "bytes"),
    "gzip": (gzip.compress(_VALUE), "bytes"),
    "schema registry's prefix": (b"\x00\x00\x00\x00\x07" + _VALUE, "bytes"),
    "trailing data": (_VALUE + b"{}", "bytes"),
    "two documents": (_VALUE + b"\n" + _VALUE, "bytes"),
    "NaN in an unknown field": (_with(b'"x":NaN'), "bytes"),
    "NaN in a number": (_VALUE.replace(b'"posts":12', b'"posts":NaN'), "bytes"),
    "minus infinity": (_with(b'"x":-Infinity'), "bytes"),
    "key twice": (_with(b'"posts":99'), "bytes"),
    "key twice, nested and unknown": (_with(b'"x":[{"y":1,"y":2}]'), "bytes"),
    "key twice, once escaped": (_with(b'"\\u0070osts":99'), "bytes"),
    "lone surrogate": (_VALUE.replace("二沙岛".encode(), b"\\ud800"), "bytes"),
    "lone surrogate in an unknown field": (_with(b'"x":"\\udc00"'), "bytes"),
    "raw control character": (_with(b'"x":"\x00"'), "bytes"),
    "depth 250": (_with(b'"x":' + b"[" * 250 + b"]" * 250), "bytes"),
    "depth 10,000": (_with(b'"x":' + b"[" * 10_000 + b"]" * 10_000), "bytes"),
    "depth 10,000 of objects": (_with(b'"x":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000), "bytes"),
    "depth without an end": (b"[" * 30_000, "bytes"),
    "integer of 5,000 digits": (_with(b'"x":' + b"9" * 5_000), "bytes"),
    "comment": (_VALUE + b"// done", "bytes"),
    "single quotes": (_VALUE.replace(b'"', b"'"), "bytes"),
    "a byte over the limit": (_with(b'"x":"' + b"x" * (MAX_BYTES - len(_VALUE) - 6) + b'"'), "too_large"),
    "a mebibyte": (b"x" * 2**20, "too_large"),
    "array": (b"[" + _VALUE + b"]", "schema"),
    "null": (b"null", "schema"),
    "text": (b'"' + b"x" * 9 + b'"', "schema"),
    "number": (b"7", "schema"),
    "empty object": (b"{}", "schema"),
    "integer of 300 digits": (_VALUE.replace(b'"posts":12', b'"posts":' + b"9" * 300), "schema"),
    "1e400": (_VALUE.replace(b'"posts":12', b'"posts":1e400'), "schema"),
    "fraction that is whole": (_VALUE.replace(b'"posts":12', b'"posts":12.0'), "schema"),
    "NUL in text": (_body(place={"division_code": "440104", "text": "二沙\0岛"}), "schema"),
    "line break in text": (_body(place={"division_code": "440104", "text": "二沙岛\r\nforged"}), "schema"),
    "escape sequence in text": (_body(place={"division_code": "440104", "text": "\x1b[31m"}), "schema"),
    "NUL in a ref": (_body(shift_ref="hulv\0"), "schema"),
    "ref ends in a line break": (_body(shift_ref="hulv-0815-pm\n"), "schema"),
    "full-width digits": (_body(shift_ref="１２３"), "schema"),
    "year 1": (_body(starts_at="0001-01-01T00:00:00+14:00"), "schema"),
    "year 9999": (_body(ends_at="9999-12-31T23:59:59-14:00"), "schema"),
    "year 10000": (_body(ends_at="10000-01-01T00:00:00Z"), "schema"),
    "first instant of 2000 in the east is 1999": (_body(starts_at="2000-01-01T00:00:00+08:00"), "schema"),
    "last instant of 2099 in the west is 2100": (_body(ends_at="2099-12-31T23:00:00-02:00"), "schema"),
    "time without seconds": (_body(starts_at="2026-08-15T15:00+08:00"), "schema"),
    "time in full-width digits": (_body(starts_at="２０２６-08-15T15:00:00+08:00"), "schema"),
    "time with a zone's name": (_body(starts_at="2026-08-15T15:00:00+08:00[Asia/Shanghai]"), "schema"),
    "null in a required field": (_body(posts=None), "schema"),
}
HEADERS: dict[str, tuple[list[tuple[str, bytes | None]] | list[tuple[str, bytes]], str, str | None]] = {
    "none at all": ([], "envelope", "/specversion"),
    "no id": (_without("ce_id"), "envelope", "/id"),
    "no source": (_without("ce_source"), "envelope", "/source"),
    "no type": (_without("ce_type"), "envelope", "/type"),
    "no time": (_without("ce_time"), "envelope", "/time"),
    "empty id": (_headers(ce_id=b""), "envelope", "/id"),
    "null id": (_headers(ce_id=None), "envelope", "/id"),
    "id not UTF-8": (_headers(ce_id=b"\xff\xfe"), "envelope", None),
    "id with NUL": (_headers(ce_id=b"a\x00b"), "envelope", "/id"),
    "id with a line break": (_headers(ce_id=b"a\nb"), "envelope", "/id"),
    "id of 301 characters": (_headers(ce_id=b"7" * 301), "envelope", "/id"),
    "source with an escape sequence": (_headers(ce_source=b"\x1b[2J"), "envelope", "/source"),
    "correlation with NUL": (_headers(ce_correlationid=b"\x00"), "envelope", "/correlationid"),
    "tracing of 10,000 characters": (_headers(traceparent=b"0" * 10_000), "envelope", "/traceparent"),
    "specversion 0.3": (_headers(ce_specversion=b"0.3"), "envelope", "/specversion"),
    "specversion 2": (_headers(ce_specversion=b"2.0"), "envelope", "/specversion"),
    "header twice": ([*_HEADERS, ("ce_id", b"another")], "envelope", None),
    "header twice, in another case": ([*_HEADERS, ("CE_ID", b"another")], "envelope", None),
    "time without offset": (_headers(ce_time=b"2026-08-15T15:00:00"), "envelope", "/time"),
    "time in seconds": (_headers(ce_time=b"1786777200"), "envelope", "/time"),
    "time in words": (_headers(ce_time="八月十五".encode()), "envelope", "/time"),
    "time in the year 9999": (_headers(ce_time=b"9999-12-31T23:59:59-23:59"), "envelope", "/time"),
    "time in the year 1": (_headers(ce_time=b"0001-01-01T00:00:00+23:59"), "envelope", "/time"),
    "a higher version": (_headers(ce_type=b"shuangcheng.shifts.shift_published.v2"), "unknown_type", "/type"),
    "a lower version": (_headers(ce_type=b"shuangcheng.shifts.shift_published.v0"), "unknown_type", "/type"),
    "no version": (_headers(ce_type=b"shuangcheng.shifts.shift_published"), "unknown_type", "/type"),
    "class name as type": (_headers(ce_type=b"ShiftPublished"), "unknown_type", "/type"),
    "another message's type": (_headers(ce_type=b"shuangcheng.service.checked_in.v1"), "schema", "/volunteer_ref"),
    "wrong partitionkey": (_headers(ce_partitionkey=b"another"), "wrong_key", "/partitionkey"),
    "empty partitionkey": (_headers(ce_partitionkey=b""), "wrong_key", "/partitionkey"),
    "xml": (_headers(**{"content-type": b"application/xml"}), "envelope", "/datacontenttype"),
    "a batch": (_headers(**{"content-type": b"application/cloudevents-batch+json"}), "envelope", "/datacontenttype"),
    "avro": (_headers(**{"content-type": b"application/cloudevents+avro"}), "envelope", "/datacontenttype"),
}
STRUCTURED: dict[str, tuple[bytes, str]] = {
    "array": (b"[]", "envelope"),
    "null": (b"null", "envelope"),
    "empty object": (b"{}", "envelope"),
    "attribute is an object": (json.dumps({**_SHIFT.event, "id": {}}).encode(), "envelope"),
    "attribute is a number": (json.dumps({**_SHIFT.event, "time": 1786777200}).encode(), "envelope"),
    "partitionkey is a number": (json.dumps({**_SHIFT.event, "partitionkey": 7}).encode(), "envelope"),
    "no data": (json.dumps({k: v for k, v in _SHIFT.event.items() if k != "data"}).encode(), "schema"),
    "data is text": (json.dumps({**_SHIFT.event, "data": "{}"}).encode(), "schema"),
    "id twice": (_SHIFT.text.encode()[:-1] + b',"id":"another"}', "bytes"),
    "lone surrogate in an extension": (_SHIFT.text.encode()[:-1] + b',"x":"\\ud800"}', "bytes"),
    "lone surrogate in the id": (json.dumps({**_SHIFT.event, "id": "\ud800"}).encode(), "bytes"),
    "depth 900 in an extension": (_SHIFT.text.encode()[:-1] + b',"x":' + b"[" * 900 + b"]" * 900 + b"}", "bytes"),
    "empty": (b"", "bytes"),
}


def _refusal(value: bytes | None, headers: Headers) -> ContractError:
    with pytest.raises(ContractError) as refused:
        decode(value, headers)
    assert refused.value.reason in REASONS
    assert "\n" not in str(refused.value)
    return refused.value


def _fits_into_a_refusal(error: ContractError) -> MessageRefused:
    return MessageRefused(
        message_id=error.id or "unknown",
        message_type=error.type,
        reason=error.reason,
        pointer=error.pointer,
        detail=error.detail,
        refused_key="",
    )


def test_the_record_that_all_cases_change_is_good() -> None:
    assert decode(_VALUE, _HEADERS) == parse_structured(_SHIFT.text)
    assert decode(_SHIFT.text.encode(), _STRUCTURED) == parse_structured(_SHIFT.text)


@pytest.mark.parametrize("case", BODIES)
def test_a_bad_body_is_refused_with_its_reason_and_its_sender_is_known(case: str) -> None:
    value, reason = BODIES[case]
    refused = _refusal(value, _HEADERS)
    assert refused.reason == reason, refused
    assert refused.id == _SHIFT.event["id"]
    assert refused.source == _SHIFT.event["source"]
    _fits_into_a_refusal(refused)


@pytest.mark.parametrize("case", HEADERS)
def test_bad_headers_are_refused_with_their_reason_and_pointer(case: str) -> None:
    headers, reason, pointer = HEADERS[case]
    refused = _refusal(_VALUE, headers)
    assert (refused.reason, refused.pointer) == (reason, pointer), refused
    _fits_into_a_refusal(refused)


@pytest.mark.parametrize("case", STRUCTURED)
def test_a_bad_structured_event_is_refused_with_its_reason(case: str) -> None:
    value, reason = STRUCTURED[case]
    refused = _refusal(value, _STRUCTURED)
    assert refused.reason == reason, refused
    _fits_into_a_refusal(refused)


@pytest.mark.parametrize("length", range(1, len(_VALUE), 7))
def test_a_truncated_body_is_refused_as_bytes(length: int) -> None:
    assert _refusal(_VALUE[:length], _HEADERS).reason == "bytes"


@pytest.mark.parametrize("size", [MAX_BYTES - 1, MAX_BYTES])
def test_a_body_up_to_the_limit_is_read(size: int) -> None:
    body = _with(b'"x":"' + b"x" * (size - len(_VALUE) - 7) + b'"')
    assert len(body) == size
    assert decode(body, _HEADERS) == decode(_VALUE, _HEADERS)


def test_what_is_ignored_may_be_strange_but_never_reaches_the_message() -> None:
    strange = _with(b'"x":"\\u0000","y":1e400,"z":' + b"9" * 300 + b',"deep":' + b"[" * 100 + b"]" * 100)
    assert encode(decode(strange, _HEADERS)) == (_VALUE, _HEADERS)


@pytest.mark.parametrize("name", ["x" * 4000, "line\r\nbreak", "nul\0", "\x1b[31m"])
def test_a_strangers_own_words_never_make_a_refusal_that_cannot_be_sent(name: str) -> None:
    wider = json.dumps({**_SHIFT.event, "data": {**_SHIFT.event["data"], name: 1}})
    with pytest.raises(ContractError) as refused:
        parse_structured(wider, strict=True)
    assert (_fits_into_a_refusal(refused.value).pointer or "").startswith("/data/")
    for header in (f"ce_{name}", f"CE_{name}"):
        _fits_into_a_refusal(_refusal(_VALUE, [*_HEADERS, (header, b"\xff")]))
    strange = _refusal(_VALUE, _headers(ce_id=name.encode(), ce_type=name.encode()))
    assert (strange.id, strange.type) == (None, None)
    assert strange.source == _SHIFT.event["source"]


def test_foreign_headers_are_nobodys_business() -> None:
    foreign = [*_HEADERS, ("x-binary", b"\xff\xfe"), ("x-null", None), ("x-binary", b"\x00")]
    assert decode(_VALUE, foreign) == decode(_VALUE, _HEADERS)


@pytest.mark.parametrize("example", valid_examples(), ids=lambda example: example.name)
def test_no_field_takes_a_value_of_another_type(example: Example) -> None:
    for name in example.event["data"]:
        strange: tuple[object, ...] = ({}, [], 10**30, "\0")
        for wrong in strange:
            event = {**example.event, "data": {**example.event["data"], name: wrong}}
            with pytest.raises(ContractError) as refused:
                parse_structured(json.dumps(event))
            assert refused.value.reason == "schema"
            assert refused.value.pointer is not None
            assert refused.value.pointer.startswith(f"/data/{name}")


@given(st.binary(max_size=300), st.lists(st.tuples(st.text(max_size=12), st.none() | st.binary(max_size=40))))
@settings(max_examples=400, deadline=None)
def test_arbitrary_records_give_an_event_or_a_contract_error(value: bytes, headers: Headers) -> None:
    _event_or_refusal(value, headers)


_NAMES = st.sampled_from([name for name, _ in _HEADERS] + ["ce_correlationid", "traceparent", "CE_Type"])


@given(
    st.sampled_from(valid_examples()),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 3), st.binary(max_size=6)), min_size=1, max_size=4),
    st.dictionaries(_NAMES, st.none() | st.binary(max_size=40) | st.text(max_size=40).map(str.encode), max_size=1),
    st.booleans(),
)
@settings(max_examples=600, deadline=None)
def test_damaged_records_give_an_event_or_a_contract_error(
    example: Example, damage: list[tuple[int, int, bytes]], changes: dict[str, bytes | None], structured: bool
) -> None:
    value, headers = encode(parse_structured(example.text))
    if structured:
        value, headers = example.text.encode(), list(_STRUCTURED)  # type: ignore[arg-type]
    for place, gone, put in damage:
        value = value[: place % len(value)] + put + value[place % len(value) + gone :] or b"{"
    _event_or_refusal(value, [*((name, raw) for name, raw in headers if name not in changes), *changes.items()])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(valid_examples()), st.data())
@settings(max_examples=400, deadline=None)
def test_any_json_in_any_place_gives_an_event_or_a_contract_error(example: Example, data: st.DataObject) -> None:
    event = json.loads(example.text)
    node = data.draw(st.sampled_from([event, event["data"]]))
    node[data.draw(st.sampled_from(sorted(node)))] = data.draw(_JSON)
    _event_or_refusal(json.dumps(event).encode(), _STRUCTURED)


def _event_or_refusal(value: bytes, headers: Headers) -> None:
    try:
        event = decode(value, headers)
    except ContractError as error:
        refused = _fits_into_a_refusal(error)
        if refused.reason not in REASONS:
            raise
        return
    assert decode(*encode(event)) == event
    assert b"\\u0000" not in encode(event)[0]
