"""Headers in a column are the bytes that will stand in the log; a record's arrival is the log's word."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from contracts.topics import VOLUNTEERS
from services.chassis.records import Record, appended_at, pack_headers, pack_texts, unpack_headers

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
