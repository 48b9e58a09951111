"""Headers in a column are the bytes that will stand in the log; a record's arrival is the log's word."""

from __future__ import annotations

import gc
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.envelope import encode
from contracts.topics import RECEIPTS, VOLUNTEERS
from services.chassis.log.records import Record, appended_at, decode_record, pack_headers, pack_texts, unpack_headers
from tests.support.tally import credit

_NAMES = st.text(st.characters(codec="ascii"), min_size=1, max_size=12)
_ANY_NAMES = st.binary(max_size=12).map(lambda name: name.decode("utf-8", "surrogateescape"))


@given(st.lists(st.tuples(_ANY_NAMES, st.none() | st.binary(max_size=40)), max_size=6))
def test_any_bytes_come_back_as_they_were(headers: list[tuple[str, bytes | None]]) -> None:
    """Names that are empty, doubled or not UTF-8, and values that are null."""
    assert unpack_headers(pack_headers(headers)) == headers


@given(st.lists(st.tuples(_NAMES, st.text(st.characters(codec="utf-8"), max_size=40)), max_size=6))
def test_text_is_packed_as_its_bytes_would_be(headers: list[tuple[str, str]]) -> None:
    assert pack_texts(headers) == pack_headers([(name, text.encode()) for name, text in headers])


def test_what_was_said_within_the_millisecond_of_its_arrival_was_not_said_after_it() -> None:
    """Seen: a log that tells whole milliseconds judged a message of that moment to have come before it was said."""
    said = datetime(2026, 7, 4, 9, 30, 0, 123_456, tzinfo=UTC)
    stamp = int(said.timestamp() * 1000)
    entry = VOLUNTEERS.of("tt")
    record = Record(entry.name, 0, 0, stamp, b"k", (), b"{}", None, True)
    arrived = appended_at(record, entry, said)
    assert arrived is not None
    assert said <= arrived < said + timedelta(milliseconds=1)


@pytest.mark.parametrize("key", [b"another", None])
@pytest.mark.parametrize("value", [b"{", b"{}", None])
def test_a_bad_record_leaves_nothing_that_only_a_search_for_cycles_would_free(
    key: bytes | None, value: bytes | None
) -> None:
    """Seen: each batch with a wrong key stayed in memory; the border held 2.4 GiB after half a million records."""
    event = credit("v", 1)
    body, headers = encode(event)
    entry = RECEIPTS.of("tt")
    record = Record(entry.name, 0, 0, 0, key, tuple(headers), body if value == b"{" else value)
    decode_record(record, entry, frozenset({event.source}))  # what is made once for all of them
    gc.collect()
    gc.disable()
    try:
        for _ in range(50):
            assert decode_record(record, entry, frozenset({event.source})).error is not None
        assert gc.collect() < 50
    finally:
        gc.enable()
