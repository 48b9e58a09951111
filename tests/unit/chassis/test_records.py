"""Headers in a column are the bytes that will stand in the log."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.chassis.records import pack_headers, pack_texts, unpack_headers

_NAMES = st.text(st.characters(codec="ascii"), min_size=1, max_size=12)
_ANY_NAMES = st.binary(max_size=12).map(lambda name: name.decode("utf-8", "surrogateescape"))


@given(st.lists(st.tuples(_ANY_NAMES, st.none() | st.binary(max_size=40)), max_size=6))
def test_any_bytes_come_back_as_they_were(headers: list[tuple[str, bytes | None]]) -> None:
    """Names that are empty, doubled or not UTF-8, and values that are null."""
    assert unpack_headers(pack_headers(headers)) == headers


@given(st.lists(st.tuples(_NAMES, st.text(st.characters(codec="utf-8"), max_size=40)), max_size=6))
def test_text_is_packed_as_its_bytes_would_be(headers: list[tuple[str, str]]) -> None:
    assert pack_texts(headers) == pack_headers([(name, text.encode()) for name, text in headers])
