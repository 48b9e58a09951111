"""Whatever stands in a record, the codec gives an event or a ContractError with a reason, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.envelope import MAX_BYTES, ContractError, decode, encode, parse_structured
from contracts.headers import Headers
from contracts.messages.refusals import MessageRefused
from tests.support.bad_records import (
    AS_STRUCTURED,
    BODIES,
    GOOD_HEADERS,
    HEADERS,
    SHIFT,
    STRUCTURED,
    VALUE,
    body,
    in_base64,
    with_headers,
    with_members,
)
from tests.support.messages import Example, valid_examples

REASONS = {"too_large", "bytes", "envelope", "unknown_type", "schema", "wrong_key"}


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
    assert decode(VALUE, GOOD_HEADERS) == parse_structured(SHIFT.text)
    assert decode(SHIFT.text.encode(), AS_STRUCTURED) == parse_structured(SHIFT.text)


@pytest.mark.parametrize("case", BODIES)
def test_a_bad_body_is_refused_with_its_reason_and_its_sender_is_known(case: str) -> None:
    value, reason = BODIES[case]
    refused = _refusal(value, GOOD_HEADERS)
    assert refused.reason == reason, refused
    assert refused.id == SHIFT.event["id"]
    assert refused.source == SHIFT.event["source"]
    _fits_into_a_refusal(refused)


@pytest.mark.parametrize("case", HEADERS)
def test_bad_headers_are_refused_with_their_reason_and_pointer(case: str) -> None:
    headers, reason, pointer = HEADERS[case]
    refused = _refusal(VALUE, headers)
    assert (refused.reason, refused.pointer) == (reason, pointer), refused
    _fits_into_a_refusal(refused)


@pytest.mark.parametrize("case", STRUCTURED)
def test_a_bad_structured_event_is_refused_with_its_reason(case: str) -> None:
    value, reason = STRUCTURED[case]
    refused = _refusal(value, AS_STRUCTURED)
    assert refused.reason == reason, refused
    _fits_into_a_refusal(refused)


def test_data_in_base64_are_read_as_data_are_and_a_refusal_names_their_place() -> None:
    assert decode(in_base64(VALUE), AS_STRUCTURED) == decode(VALUE, GOOD_HEADERS)
    assert _refusal(in_base64(body(posts=-1)), AS_STRUCTURED).pointer == "/data_base64/posts"
    assert _refusal(STRUCTURED["data in no Base64"][0], AS_STRUCTURED).pointer == "/data_base64"


@pytest.mark.parametrize("length", range(1, len(VALUE), 7))
def test_a_truncated_body_is_refused_as_bytes(length: int) -> None:
    assert _refusal(VALUE[:length], GOOD_HEADERS).reason == "bytes"


@pytest.mark.parametrize("size", [MAX_BYTES - 1, MAX_BYTES])
def test_a_body_up_to_the_limit_is_read(size: int) -> None:
    body = with_members(b'"x":"' + b"x" * (size - len(VALUE) - 7) + b'"')
    assert len(body) == size
    assert decode(body, GOOD_HEADERS) == decode(VALUE, GOOD_HEADERS)


def test_what_is_ignored_may_be_strange_but_never_reaches_the_message() -> None:
    strange = with_members(b'"x":"\\u0000","y":1e400,"z":' + b"9" * 300 + b',"deep":' + b"[" * 100 + b"]" * 100)
    assert encode(decode(strange, GOOD_HEADERS)) == (VALUE, GOOD_HEADERS)


@pytest.mark.parametrize("name", ["x" * 4000, "line\r\nbreak", "nul\0", "\x1b[31m"])
def test_a_strangers_own_words_never_make_a_refusal_that_cannot_be_sent(name: str) -> None:
    wider = json.dumps({**SHIFT.event, "data": {**SHIFT.event["data"], name: 1}})
    with pytest.raises(ContractError) as refused:
        parse_structured(wider, strict=True)
    assert (_fits_into_a_refusal(refused.value).pointer or "").startswith("/data/")
    for header in (f"ce_{name}", f"CE_{name}"):
        assert decode(VALUE, [*GOOD_HEADERS, (header, b"\xff"), (header, b"")]) == decode(VALUE, GOOD_HEADERS)
    strange = _refusal(VALUE, with_headers(ce_id=name.encode(), ce_type=name.encode()))
    assert (strange.id, strange.type) == (None, None)
    assert strange.source == SHIFT.event["source"]


def test_foreign_headers_are_nobodys_business() -> None:
    foreign = [*GOOD_HEADERS, ("x-binary", b"\xff\xfe"), ("x-null", None), ("x-binary", b"\x00")]
    assert decode(VALUE, foreign) == decode(VALUE, GOOD_HEADERS)


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


_NAMES = st.sampled_from([name for name, _ in GOOD_HEADERS] + ["ce_correlationid", "traceparent", "CE_Type"])


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
        value, headers = example.text.encode(), list(AS_STRUCTURED)  # type: ignore[arg-type]
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
    _event_or_refusal(json.dumps(event).encode(), AS_STRUCTURED)


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
