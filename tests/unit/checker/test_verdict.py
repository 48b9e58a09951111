"""What a verdict is good for: it says what came first, and knows again what it has said before."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from contracts.messages import attendance, deliveries, receipts, service
from contracts.messages.base import Origin, named_before
from deploy.audit import World, check
from tests.support.checker.tampering import Tamper

RECORDED: Final = World.load(Path(__file__).parent / "small_run.json.xz")


def test_of_two_findings_the_earlier_one_is_told_first_whichever_rule_finds_it() -> None:
    """Deliveries to gz are judged before those to sz; here the earlier one is at sz."""
    spoiled = Tamper(RECORDED)
    decided = spoiled.find(deliveries.ServiceDecided, where=lambda d: d.record_ref == "gz-hua-park-sun-r")
    told = spoiled.find(deliveries.LinkChanged, where=lambda d: d.volunteer_ref == "sz-ann")
    spoiled.alter(decided, minutes=1)
    spoiled.alter(told, state="broken")
    first, second = check(spoiled.world).violations["I7"]
    assert (first.topic, second.topic) == (told.topic, decided.topic)


def test_a_longer_run_finds_what_was_found_before_and_it_can_be_taken_off() -> None:
    """Sums have grown and the reader is further behind: the same findings, in other words; what is new stays."""
    earlier, later = Tamper(RECORDED), Tamper(RECORDED)
    came = earlier.find(attendance.RecordCheckIn)
    for spoiled, more in ((earlier, 1), (later, 3)):
        day = spoiled.rows("attendance", "person_day")[0]
        day["minutes"] += more
        spoiled.row("gz", "credits", volunteer_ref="gz-fay")["minutes"] += more
        at = {"topic": came.topic, "partition": came.partition}
        spoiled.row("attendance", "consumed", **at)["next_offset"] -= more
    known = check(earlier.world).all
    assert {one.invariant for one in known} == {"I1", "I2", "I12", "I16"}
    report = check(later.world)
    assert {one.what for one in report.all}.isdisjoint({one.what for one in known if one.invariant != "I16"})
    assert report.beyond(known).held
    unseen = later.find(service.CheckedOut)
    later.drop_row("bridge", "inbox", id=unseen.id)
    (fresh,) = check(later.world).beyond(known).all
    assert (fresh.invariant, fresh.topic, fresh.offset) == ("I8", unseen.topic, unseen.offset)


def test_two_findings_at_one_place_are_two() -> None:
    spoiled = Tamper(RECORDED)
    fact = spoiled.find(attendance.ServiceConfirmed)
    spoiled.row("attendance", "service_record", record_ref=fact.data.record.record_ref)["version"] += 1
    spoiled.row("bridge", "service_record", record_ref=fact.data.record.record_ref)["total"] += 1
    assert len(check(spoiled.world).violations["I12"]) == 2


def without_books(*codes: str) -> Tamper:
    """The run as somebody sees it to whom these registries do not show their books."""
    seen = Tamper(RECORDED)
    for code in codes:
        del seen.world.served[code], seen.world.credits[code]
    return seen


def test_a_registry_whose_books_are_not_seen_is_believed_and_named_and_the_sums_are_the_same() -> None:
    whole, believed = check(RECORDED), check(without_books("gz", "sz").world)
    assert believed.held, believed.text()
    assert (whole.unseen, believed.unseen) == ([], ["gz", "sz"])
    assert believed.directions == whole.directions
    assert "the books of gz, sz were not seen" in believed.text()


def test_a_receipt_of_a_home_whose_ledger_is_not_seen_must_have_the_minutes_that_were_confirmed() -> None:
    seen = without_books("sz")
    booked = seen.find(receipts.CreditAccepted, where=lambda d: d.volunteer_ref == "sz-eve")
    assert booked.topic == "registry.sz.receipts.v1"
    seen.alter(booked, delta=booked.data.delta - 1)
    assert "I1" in check(seen.world).broken


def test_of_a_home_that_gave_no_receipt_an_operators_word_is_taken() -> None:
    seen = without_books("sz")
    booked = seen.find(receipts.CreditAccepted, where=lambda d: d.volunteer_ref == "sz-eve")
    seen.drop(booked)
    assert check(seen.world, only=["I1", "I2"]).held


def test_each_finding_says_what_to_do() -> None:
    spoiled = Tamper(RECORDED)
    spoiled.rows("gz", "credits")[0]["minutes"] += 1
    document = check(spoiled.world).document()
    told = {name: one["todo"] for name, one in document["invariants"].items()}
    assert document["verdict"] == "broken"
    assert {name for name, todo in told.items() if todo} >= {"I1"}
    assert all((one["verdict"] == "broken") == bool(one["todo"]) for one in document["invariants"].values())
    assert f"What to do: {told['I1']}" in check(spoiled.world).text()


def test_a_command_from_before_the_border_had_ids_of_its_own_is_traced_to_its_message() -> None:
    """Seen in a linkage that was upgraded: each command of before came from nowhere."""
    old = Tamper(RECORDED)
    names = {row["id"]: row["message_id"] for row in old.rows("bridge", "registry_message")}
    for command in old.all(attendance.AttestService) + old.all(attendance.RecordCheckIn):
        registry, own = command.data.origin.registry, command.data.origin.message
        if refused := old.effects(command, attendance.CommandRefused):
            assert own in {told.data.origin.message for told in refused}
            continue
        before = Origin(registry=registry, message=named_before(names[own]))
        last = old.alter(command, cause=names[own], origin=before)
        old.drop_row("bridge", "registry_message", id=own)
    judged = ("I1", "I2", "I4", "I5", "I9")
    assert check(old.world, only=judged).held
    old.alter(last, origin=before.model_copy(update={"message": named_before("nobody said this")}))
    assert "I9" in check(old.world, only=judged).broken
