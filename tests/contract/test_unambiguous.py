"""What is read twice as fast is refused as surely."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.unambiguous import check_unambiguous

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(_VALUES, st.sampled_from([(",", ":"), (", ", ": ")]), st.booleans())
def test_whatever_a_writer_writes_once_is_read(value: Any, separators: tuple[str, str], ascii_only: bool) -> None:
    try:
        raw = json.dumps(value, separators=separators, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        return
    check_unambiguous(raw)


@given(st.dictionaries(st.text(max_size=3), _VALUES, min_size=1, max_size=4), st.data())
def test_a_key_that_stands_twice_is_refused_however_deep_it_stands(found: dict[str, Any], data: st.DataObject) -> None:
    pairs = [f"{json.dumps(name)}:{json.dumps(value, separators=(',', ':'))}" for name, value in found.items()]
    pairs.append(data.draw(st.sampled_from(pairs)))
    raw = "{" + ",".join(pairs) + "}"
    for _ in range(data.draw(st.integers(0, 3))):
        raw = data.draw(st.sampled_from(['{"a":%s}', "[%s]"])) % raw
    with pytest.raises(ValueError, match="a key stands twice"):
        check_unambiguous(raw.encode())


@pytest.mark.parametrize("raw", [b'{"a":NaN}', b"[Infinity]", b"-Infinity", b"{", b'"\\ud800', b"\xff", b""])
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each parser has words of its own
        check_unambiguous(raw)
