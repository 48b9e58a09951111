"""Records that are not in the contract, each with the reason of its refusal, and the good record behind them."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from typing import Any

from contracts.envelope import MAX_BYTES, encode, parse_structured
from contracts.headers import Headers
from tests.support.messages import valid_examples

SHIFT = next(e for e in valid_examples() if e.name.endswith("valid-afternoon-on-ersha-island"))
VALUE, GOOD_HEADERS = encode(parse_structured(SHIFT.text))
AS_STRUCTURED: Headers = [("content-type", b"application/cloudevents+json")]


def body(**changes: Any) -> bytes:
    return json.dumps({**SHIFT.event["data"], **changes}).encode()


def with_members(text: bytes) -> bytes:
    """The body with further members, inserted as text."""
    return VALUE[:-1] + b"," + text + b"}"


BARE = {name: part for name, part in SHIFT.event.items() if name != "data"}


def in_base64(packed: bytes, change: tuple[str, str] = ("", "")) -> bytes:
    """A structured event as SDKs write it whose data are bytes."""
    text = b64encode(packed + b" " * (-len(packed) % 3 + 1)).decode().replace(*change)
    return json.dumps({**BARE, "data_base64": text}).encode()


def with_headers(**changes: bytes | None) -> list[tuple[str, bytes | None]]:
    kept = [(name, raw) for name, raw in GOOD_HEADERS if name not in changes]
    return [*kept, *changes.items()]


def without(name: str) -> list[tuple[str, bytes]]:
    return [(one, raw) for one, raw in GOOD_HEADERS if one != name]


BODIES: dict[str, tuple[bytes | None, str]] = {
    "null value, a tombstone": (None, "bytes"),
    "empty": (b"", "bytes"),
    "one byte": (b"{", "bytes"),
    "blanks": (b"   ", "bytes"),
    "byte order mark": (b"\xef\xbb\xbf" + VALUE, "bytes"),
    "utf-16": (VALUE.decode().encode("utf-16"), "bytes"),
    "invalid utf-8": (with_members(b'"x":"\xff"'), "bytes"),
    "surrogate in utf-8": (with_members(b'"x":"\xed\xa0\x80"'), "bytes"),
    "gzip": (gzip.compress(VALUE), "bytes"),
    "schema registry's prefix": (b"\x00\x00\x00\x00\x07" + VALUE, "bytes"),
    "trailing data": (VALUE + b"{}", "bytes"),
    "two documents": (VALUE + b"\n" + VALUE, "bytes"),
    "NaN in an unknown field": (with_members(b'"x":NaN'), "bytes"),
    "NaN in a number": (VALUE.replace(b'"posts":12', b'"posts":NaN'), "bytes"),
    "minus infinity": (with_members(b'"x":-Infinity'), "bytes"),
    "key twice": (with_members(b'"posts":99'), "bytes"),
    "key twice, nested and unknown": (with_members(b'"x":[{"y":1,"y":2}]'), "bytes"),
    "key twice, once escaped": (with_members(b'"\\u0070osts":99'), "bytes"),
    "lone surrogate": (VALUE.replace("二沙岛".encode(), b"\\ud800"), "bytes"),
    "lone surrogate in an unknown field": (with_members(b'"x":"\\udc00"'), "bytes"),
    "raw control character": (with_members(b'"x":"\x00"'), "bytes"),
    "depth 250": (with_members(b'"x":' + b"[" * 250 + b"]" * 250), "bytes"),
    "depth 10,000": (with_members(b'"x":' + b"[" * 10_000 + b"]" * 10_000), "bytes"),
    "depth 10,000 of objects": (with_members(b'"x":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000), "bytes"),
    "depth without an end": (b"[" * 30_000, "bytes"),
    "integer of 5,000 digits": (with_members(b'"x":' + b"9" * 5_000), "bytes"),
    "comment": (VALUE + b"// done", "bytes"),
    "single quotes": (VALUE.replace(b'"', b"'"), "bytes"),
    "a byte over the limit": (with_members(b'"x":"' + b"x" * (MAX_BYTES - len(VALUE) - 6) + b'"'), "too_large"),
    "a mebibyte": (b"x" * 2**20, "too_large"),
    "array": (b"[" + VALUE + b"]", "schema"),
    "null": (b"null", "schema"),
    "text": (b'"' + b"x" * 9 + b'"', "schema"),
    "number": (b"7", "schema"),
    "empty object": (b"{}", "schema"),
    "integer of 300 digits": (VALUE.replace(b'"posts":12', b'"posts":' + b"9" * 300), "schema"),
    "1e400": (VALUE.replace(b'"posts":12', b'"posts":1e400'), "schema"),
    "fraction": (VALUE.replace(b'"posts":12', b'"posts":12.5'), "schema"),
    "fraction beyond all bounds": (VALUE.replace(b'"posts":12', b'"posts":1e30'), "schema"),
    "whole number as text": (VALUE.replace(b'"posts":12', b'"posts":"12.0"'), "schema"),
    "NUL in text": (body(place={"division_code": "440104", "text": "二沙\0岛"}), "schema"),
    "line break in text": (body(place={"division_code": "440104", "text": "二沙岛\r\nforged"}), "schema"),
    "escape sequence in text": (body(place={"division_code": "440104", "text": "\x1b[31m"}), "schema"),
    "NUL in a ref": (body(shift_ref="hulv\0"), "schema"),
    "ref ends in a line break": (body(shift_ref="hulv-0815-pm\n"), "schema"),
    "full-width digits": (body(shift_ref="１２３"), "schema"),
    "year 1": (body(starts_at="0001-01-01T00:00:00+14:00"), "schema"),
    "year 9999": (body(ends_at="9999-12-31T23:59:59-14:00"), "schema"),
    "year 10000": (body(ends_at="10000-01-01T00:00:00Z"), "schema"),
    "first instant of 2000 in the east is 1999": (body(starts_at="2000-01-01T00:00:00+08:00"), "schema"),
    "last instant of 2099 in the west is 2100": (body(ends_at="2099-12-31T23:00:00-02:00"), "schema"),
    "time without seconds": (body(starts_at="2026-08-15T15:00+08:00"), "schema"),
    "time in full-width digits": (body(starts_at="２０２６-08-15T15:00:00+08:00"), "schema"),
    "time with a zone's name": (body(starts_at="2026-08-15T15:00:00+08:00[Asia/Shanghai]"), "schema"),
    "null in a required field": (body(posts=None), "schema"),
}
HEADERS: dict[str, tuple[list[tuple[str, bytes | None]] | list[tuple[str, bytes]], str, str | None]] = {
    "none at all": ([], "envelope", "/specversion"),
    "no id": (without("ce_id"), "envelope", "/id"),
    "no source": (without("ce_source"), "envelope", "/source"),
    "no type": (without("ce_type"), "envelope", "/type"),
    "no time": (without("ce_time"), "envelope", "/time"),
    "empty id": (with_headers(ce_id=b""), "envelope", "/id"),
    "null id": (with_headers(ce_id=None), "envelope", "/id"),
    "id not UTF-8": (with_headers(ce_id=b"\xff\xfe"), "envelope", None),
    "id with NUL": (with_headers(ce_id=b"a\x00b"), "envelope", "/id"),
    "id with a line break": (with_headers(ce_id=b"a\nb"), "envelope", "/id"),
    "id of 301 characters": (with_headers(ce_id=b"7" * 301), "envelope", "/id"),
    "source with an escape sequence": (with_headers(ce_source=b"\x1b[2J"), "envelope", "/source"),
    "correlation with NUL": (with_headers(ce_correlationid=b"\x00"), "envelope", "/correlationid"),
    "specversion in quotation marks": (with_headers(ce_specversion=b'"1.0"'), "envelope", "/specversion"),
    "time in quotation marks": (with_headers(ce_time=b'"2026-08-15T15:00:00Z"'), "envelope", "/time"),
    "type in quotation marks": (with_headers(ce_type=b'"shuangcheng.x.y.v1"'), "unknown_type", "/type"),
    "specversion 0.3": (with_headers(ce_specversion=b"0.3"), "envelope", "/specversion"),
    "specversion 2": (with_headers(ce_specversion=b"2.0"), "envelope", "/specversion"),
    "header twice": ([*GOOD_HEADERS, ("ce_id", b"another")], "envelope", None),
    "header twice, in another case": ([*GOOD_HEADERS, ("CE_ID", b"another")], "envelope", None),
    "time without offset": (with_headers(ce_time=b"2026-08-15T15:00:00"), "envelope", "/time"),
    "time in seconds": (with_headers(ce_time=b"1786777200"), "envelope", "/time"),
    "time in words": (with_headers(ce_time="八月十五".encode()), "envelope", "/time"),
    "time in the year 9999": (with_headers(ce_time=b"9999-12-31T23:59:59-23:59"), "envelope", "/time"),
    "time in the year 1": (with_headers(ce_time=b"0001-01-01T00:00:00+23:59"), "envelope", "/time"),
    "a higher version": (with_headers(ce_type=b"shuangcheng.shifts.shift_published.v2"), "unknown_type", "/type"),
    "a lower version": (with_headers(ce_type=b"shuangcheng.shifts.shift_published.v0"), "unknown_type", "/type"),
    "no version": (with_headers(ce_type=b"shuangcheng.shifts.shift_published"), "unknown_type", "/type"),
    "class name as type": (with_headers(ce_type=b"ShiftPublished"), "unknown_type", "/type"),
    "another message's type": (with_headers(ce_type=b"shuangcheng.service.checked_in.v1"), "schema", "/volunteer_ref"),
    "wrong partitionkey": (with_headers(ce_partitionkey=b"another"), "wrong_key", "/partitionkey"),
    "empty partitionkey": (with_headers(ce_partitionkey=b""), "wrong_key", "/partitionkey"),
    "xml": (with_headers(**{"content-type": b"application/xml"}), "envelope", "/datacontenttype"),
    "a batch": (
        with_headers(**{"content-type": b"application/cloudevents-batch+json"}),
        "envelope",
        "/datacontenttype",
    ),
    "avro": (with_headers(**{"content-type": b"application/cloudevents+avro"}), "envelope", "/datacontenttype"),
}
STRUCTURED: dict[str, tuple[bytes, str]] = {
    "array": (b"[]", "envelope"),
    "null": (b"null", "envelope"),
    "empty object": (b"{}", "envelope"),
    "attribute is an object": (json.dumps({**SHIFT.event, "id": {}}).encode(), "envelope"),
    "attribute is a number": (json.dumps({**SHIFT.event, "time": 1786777200}).encode(), "envelope"),
    "partitionkey is a number": (json.dumps({**SHIFT.event, "partitionkey": 7}).encode(), "envelope"),
    "data in two forms": (json.dumps({**SHIFT.event, "data_base64": "e30="}).encode(), "envelope"),
    "data in no Base64": (in_base64(VALUE, change=("=", "%")), "bytes"),
    "data in Base64 is no text": (json.dumps({**BARE, "data_base64": 7}).encode(), "bytes"),
    "data in Base64 is no JSON": (in_base64(b"\xff"), "bytes"),
    "data in Base64 has a key twice": (in_base64(with_members(b'"posts":99')), "bytes"),
    "data in Base64 is not in the schema": (in_base64(body(posts=-1)), "schema"),
    "no data": (json.dumps({k: v for k, v in SHIFT.event.items() if k != "data"}).encode(), "schema"),
    "data is text": (json.dumps({**SHIFT.event, "data": "{}"}).encode(), "schema"),
    "id twice": (SHIFT.text.encode()[:-1] + b',"id":"another"}', "bytes"),
    "lone surrogate in an extension": (SHIFT.text.encode()[:-1] + b',"x":"\\ud800"}', "bytes"),
    "lone surrogate in the id": (json.dumps({**SHIFT.event, "id": "\ud800"}).encode(), "bytes"),
    "depth 900 in an extension": (SHIFT.text.encode()[:-1] + b',"x":' + b"[" * 900 + b"]" * 900 + b"}", "bytes"),
    "empty": (b"", "bytes"),
}
