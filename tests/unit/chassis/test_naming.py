"""Names follow from their causes: the same again, no two alike, in the order of time, and nobody can reckon them."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import RFC_4122, UUID

from hypothesis import assume, example, given
from hypothesis import strategies as st

from contracts.envelope import Event
from contracts.messages.receipts import CreditAccepted
from services.chassis.batch.naming import Cause, Naming
from services.chassis.log.records import Record

NAMING = Naming("from-this-all-ids-of-a-test-follow")
OTHER = Naming("from-this-all-ids-of-another-linkage")
TIMES = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.one_of(st.sampled_from(" \0\x1f:/|0123ab"), st.characters()), min_size=1, max_size=12)
CAUSES = st.builds(Cause, st.sampled_from(["message", "place", "released"]), TEXTS, TEXTS, TIMES)
PLACES = st.integers(0, 10_000)


def ids(naming: Naming, cause: Cause, place: int) -> list[UUID]:
    return [naming.own_id(cause), UUID(naming.send_id(cause, place)), UUID(naming.timer_id(cause, place))]


@given(CAUSES, PLACES)
def test_every_id_is_a_uuid_of_version_8(cause: Cause, place: int) -> None:
    assert {(one.version, one.variant) for one in ids(NAMING, cause, place)} == {(8, RFC_4122)}


@given(CAUSES, PLACES)
def test_the_same_cause_gives_the_same_ids_again_and_another_secret_gives_others(cause: Cause, place: int) -> None:
    assert ids(NAMING, cause, place) == ids(Naming("from-this-all-ids-of-a-test-follow"), cause, place)
    assert set(ids(NAMING, cause, place)).isdisjoint(ids(OTHER, cause, place))


@given(CAUSES, CAUSES, PLACES, PLACES)
@example(Cause("message", "urn:a", "b", 0), Cause("message", "urn:", "ab", 0), 0, 0)
@example(Cause("message", "a 1", "b", 0), Cause("message", "a", " 1b", 0), 0, 0)
@example(Cause("message", "a", "1", 0), Cause("message", "a", "", 0), 1, 11)
@example(Cause("message", "a\0b", "c", 0), Cause("message", "a", "b\0c", 0), 0, 0)
def test_no_two_causes_places_or_labels_share_an_id(one: Cause, other: Cause, place: int, second: int) -> None:
    assume(one[:3] != other[:3])
    made = [*ids(NAMING, one, place), *ids(NAMING, other, place)]
    if place != second:
        made += ids(NAMING, one, second)[1:]
    # Without their time, in which two of one moment are alike.
    rests = {made.int & ~(((1 << 48) - 1) << 80) for made in made}
    assert len(rests) == len(made)


@given(CAUSES, CAUSES, st.sets(st.integers(0, 2**48 - 1), min_size=2, max_size=2), PLACES)
def test_messages_are_in_the_order_of_the_times_of_their_causes(
    one: Cause, other: Cause, moments: set[int], place: int
) -> None:
    first, second = sorted(moments)
    early, late = one._replace(timestamp=first), other._replace(timestamp=second)
    for label in (NAMING.send_id, NAMING.timer_id):
        assert label(early, place) < label(late, place)
        assert UUID(label(early, place)).int >> 80 == early.timestamp


@given(CAUSES, TIMES)
def test_what_has_no_time_of_its_own_does_not_tell_that_of_its_cause(cause: Cause, moment: int) -> None:
    assert NAMING.own_id(cause) == NAMING.own_id(cause._replace(timestamp=moment))


def test_a_message_its_place_and_its_release_are_three_causes() -> None:
    now = datetime(2026, 7, 18, tzinfo=UTC)
    body = CreditAccepted(transfer_id=UUID(int=1), volunteer_ref="S1", delta=1, posted_at=now)
    event = Event("e1", "urn:shuangcheng:registry:sz", now, body)
    record, copy = (Record("t", 3, offset, 17, b"S1", [], b"{}") for offset in (4, 5))
    causes = [make(record) for make in (Cause.place, Cause.released)] + [Cause.message(event, record)]
    assert {cause.timestamp for cause in causes} == {17}
    assert len({NAMING.send_id(cause, 0) for cause in causes}) == 3
    assert Cause.message(event, copy) == causes[-1], "a repetition is the same message"
    assert Cause.place(copy) != Cause.place(record)


def test_a_database_knows_its_secret_by_a_digest_that_is_no_id() -> None:
    assert NAMING.digest != OTHER.digest
    assert NAMING.digest == Naming("from-this-all-ids-of-a-test-follow").digest
