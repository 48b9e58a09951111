"""What counts as said by a service itself, whatever somebody has written into the log under its name."""

from __future__ import annotations

import pytest

from services.chassis.batch.passed import read_passed
from services.chassis.log.records import Record
from services.chassis.outgoing.said import of_record

OWN = "urn:shuangcheng:service:tally"


def record(id: bytes | None, **headers: bytes) -> Record:
    """A record under this source, whose moment of decision is there."""
    more = [(f"ce_{name}", value) for name, value in headers.items()]
    return Record("t", 0, 0, 0, b"k", [("ce_source", OWN.encode()), ("ce_id", id), *more], b"{}")


def test_a_message_of_its_own_is_known_by_its_id() -> None:
    found = of_record(record(b"018f", type=b"a.b.v1", decidedat=b"1780000000000000"), OWN)
    assert found is not None
    assert (found.id, found.told) == ("018f", None)
    assert found.decided_at is not None


@pytest.mark.parametrize("id", [None, b"", b"a\0b", b"a\nb", b"x" * 301, b"\xff\0"])
def test_what_has_an_id_that_no_service_gives_and_no_table_keeps_is_not_its_own(id: bytes | None) -> None:
    assert of_record(record(id, decidedat=b"1780000000000000"), OWN) is None


@pytest.mark.parametrize(
    "places",
    [
        "t/2147483648:1",
        "t/-1:1",
        "t/0:9223372036854775808",
        "t/0:-1",
        "t\0/0:1",
        "t/0:1 u\0/0:2",
        f"{'t' * 250}/0:1",
        "/0:1",
    ],
)
def test_places_that_no_table_keeps_tell_nothing(places: str) -> None:
    assert read_passed(f"1780000000000000 {places}") is None
    assert read_passed(f"1780000000000000 begins 1780000000000000 {places} then") is None
