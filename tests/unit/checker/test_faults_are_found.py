"""Each planted fault turns exactly the invariants red that it breaks, and a clean run is green."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from contracts.messages import (
    attendance,
    bridge,
    deliveries,
    opportunities,
    receipts,
    refusals,
    service,
    shifts,
    volunteers,
)
from contracts.messages import identity as people
from tests.support.checker import World, check
from tests.support.checker.scenario import CANARY
from tests.support.checker.tampering import Tamper

RECORDED: Final = World.load(Path(__file__).parent / "small_run.json.xz")
Fault = Callable[[Tamper], None]
FAULTS: dict[str, tuple[set[str], Fault]] = {}


def breaks(*invariants: str) -> Callable[[Fault], Fault]:
    """Enter a fault with what it must turn red."""

    def enter(fault: Fault) -> Fault:
        FAULTS[fault.__name__] = (set(invariants), fault)
        return fault

    return enter


def of_record(ref: str, version: int = 1) -> Callable[[Any], bool]:
    return lambda data: (data.record.record_ref, data.record.version) == (ref, version)


def credited(t: Tamper) -> Any:
    return t.row("gz", "credits", volunteer_ref="gz-fay")


# Minutes -------------------------------------------------------------------------------------------------------------


@breaks("I1")
def a_posting_is_lost(t: Tamper) -> None:
    t.drop_row("gz", "credits", volunteer_ref="gz-fay")


@breaks("I1")
def a_posting_is_too_small(t: Tamper) -> None:
    credited(t)["minutes"] -= 5


@breaks("I1")
def the_host_counts_other_minutes(t: Tamper) -> None:
    t.row("gz", "served", record_ref="gz-ann-park-thu-r")["minutes"] = 166


@breaks("I1")
def the_host_still_holds_what_was_confirmed(t: Tamper) -> None:
    t.row("sz", "served", record_ref="sz-fay-aid-wed-r")["status"] = "pending"


@breaks("I1", "I2")
def a_posting_stands_twice(t: Tamper) -> None:
    """Twice the minutes are also not those that were confirmed."""
    t.copy_row("gz", "credits", of=credited(t))


@breaks("I1", "I2")
def a_posting_is_too_large(t: Tamper) -> None:
    credited(t)["minutes"] += 5


@breaks("I2")
def a_transfer_is_posted_in_two_parts(t: Tamper) -> None:
    credited(t)["minutes"] = 100
    t.copy_row("gz", "credits", of=credited(t), minutes=65)


@breaks("I17")
def a_day_is_longer_than_the_cap(t: Tamper) -> None:
    """All who speak of the record agree on its nine hours."""
    fact = t.find(attendance.ServiceConfirmed, where=of_record("gz-dan-own-pm-r")).data
    t.reword("gz-dan-own-pm-r", 1, ended_at=fact.record.started_at + timedelta(hours=9, minutes=15))
    for kind in (attendance.ServiceConfirmed, deliveries.ServiceDecided):
        t.alter(t.find(kind, where=lambda d: "own-pm" in (d.subject)), minutes=540)
    t.row("gz", "served", record_ref="gz-dan-own-pm-r")["minutes"] = 540
    t.row("attendance", "service_record", record_ref="gz-dan-own-pm-r")["counted_minutes"] = 540
    t.row("bridge", "service_record", record_ref="gz-dan-own-pm-r")["total"] = 540
    t.row("attendance", "person_day", person=fact.person, day=fact.record.day)["minutes"] += 375


# Posts ---------------------------------------------------------------------------------------------------------------


@breaks("I4")
def two_spans_of_one_person_overlap(t: Tamper) -> None:
    record = t.find(attendance.ServiceConfirmed, where=of_record("gz-dan-own-pm-r")).data.record
    earlier = timedelta(hours=3)
    t.reword("gz-dan-own-pm-r", 1, started_at=record.started_at - earlier, ended_at=record.ended_at - earlier)


@breaks("I4")
def two_posts_of_one_person_overlap(t: Tamper) -> None:
    wed = t.find(opportunities.SignupConfirmed, where=lambda d: d.shift_ref == "river-wed")
    thu = t.find(
        opportunities.SignupConfirmed, where=lambda d: d.shift_ref == "park-thu" and d.person == wed.data.person
    )
    t.alter(thu, starts_at=wed.data.starts_at, ends_at=wed.data.ends_at)


@breaks("I5")
def a_shift_has_more_people_than_posts(t: Tamper) -> None:
    """The host had allotted one post, and said so to everyone."""
    t.alter(t.find(shifts.ShiftPublished, where=lambda d: (d.shift_ref, d.version) == ("river-tue", 1)), posts=1)
    command = t.find(
        opportunities.PublishShift, where=lambda d: (d.shift.shift_ref, d.shift.version) == ("river-tue", 1)
    )
    t.alter(command, shift=command.data.shift.model_copy(update={"posts": 1}))


@breaks("I5")
def the_line_is_not_served_in_its_order(t: Tamper) -> None:
    t.swap(t.find(opportunities.SignupPromoted, 0), t.find(opportunities.SignupPromoted, 1))


@breaks("I5")
def the_line_was_another_one(t: Tamper) -> None:
    t.swap(t.find(opportunities.SignupWaitlisted, 0), t.find(opportunities.SignupWaitlisted, 1))


@breaks("I19")
def a_minor_is_let_in_without_her_guardian(t: Tamper) -> None:
    t.alter(t.find(volunteers.LinkOffered, where=lambda d: d.volunteer_ref == "sz-bo"), guardian_approved=False)
    for kind in (people.OfferLink, people.LinkEstablished):
        t.alter(t.find(kind, where=lambda d: d.home_ref == "sz-bo"), guardian_approved=False)
    bo = t.find(people.LinkEstablished, where=lambda d: d.home_ref == "sz-bo").data.person
    for nth in range(2):
        request = t.find(opportunities.RequestSignup, nth, where=lambda d: d.person == bo)
        t.alter(request, guardian_approved=False)


@breaks("I19")
def the_stamp_on_a_request_is_not_what_her_home_said(t: Tamper) -> None:
    t.alter(t.find(opportunities.RequestSignup, where=lambda d: d.guardian_approved), guardian_approved=False)


# Order and answers ---------------------------------------------------------------------------------------------------


@breaks("I6")
def two_commands_about_one_volunteer_change_places(t: Tamper) -> None:
    first = t.find(attendance.RecordCheckIn)
    t.swap(first, t.find(attendance.RecordCheckOut, where=lambda d: d.person == first.data.person))


@breaks("I6")
def a_home_hears_of_the_correction_first(t: Tamper) -> None:
    versions = [t.find(deliveries.CreditPosted, where=of_record("gz-ann-river-tue-r", v)) for v in (1, 2)]
    t.swap(*versions)


@breaks("I6")
def a_transfer_is_sent_before_it_is_queued(t: Tamper) -> None:
    queued = t.find(bridge.TransferChanged, where=lambda d: d.state == "queued")
    same = queued.data.transfer_id
    t.swap(queued, t.find(bridge.TransferChanged, where=lambda d: (d.transfer_id, d.state) == (same, "sent")))


@breaks("I6")
def a_key_stands_in_two_partitions(t: Tamper) -> None:
    first = t.find(bridge.TransferChanged)
    assert first.partition < 7
    t.add(first, id=first.id, partition=7)


@breaks("I1", "I6", "I12")
def the_versions_of_a_record_are_confirmed_in_the_wrong_order(t: Tamper) -> None:
    """The last word is then another one: for the host's book, and for the tables."""
    t.swap(*(t.find(attendance.ServiceConfirmed, where=of_record("gz-ann-river-tue-r", v)) for v in (1, 2)))


@breaks("I7")
def a_request_is_answered_twice(t: Tamper) -> None:
    answer = t.find(opportunities.SignupRefused)
    again = t.add(answer)
    for told in [x for x in _all(t, deliveries.SignupChanged) if x.event.causation == answer.id]:
        t.alter(t.add(told), cause=again.id)


@breaks("I7")
def a_refusal_does_not_reach_its_sender(t: Tamper) -> None:
    t.drop(t.find(refusals.MessageRefused, where=lambda d: d.reason == "not_linked"))


@breaks("I7")
def a_credit_has_no_receipt(t: Tamper) -> None:
    t.drop(t.find(receipts.CreditAccepted, where=lambda d: d.volunteer_ref == "gz-fay"))


@breaks("I7")
def a_host_is_not_told_how_its_record_stands_at_home(t: Tamper) -> None:
    t.drop(t.find(deliveries.CreditReported, where=lambda d: d.state == "withheld"))


@breaks("I7")
def a_host_is_not_told_that_its_record_is_held(t: Tamper) -> None:
    t.drop(t.find(deliveries.ServiceDecided, where=lambda d: d.state == "held"))


# Loss and invention --------------------------------------------------------------------------------------------------


@breaks("I8")
def a_message_of_a_registry_is_not_seen(t: Tamper) -> None:
    t.drop_row("bridge", "inbox", id=t.find(service.CheckedOut).id)


@breaks("I8")
def a_check_in_leaves_no_row(t: Tamper) -> None:
    t.rows("attendance", "presence").pop()


@breaks("I8")
def a_sign_up_leaves_no_row(t: Tamper) -> None:
    t.drop_row("opportunities", "signup", state="confirmed")


@breaks("I8")
def an_event_is_passed_over_by_one_of_its_readers(t: Tamper) -> None:
    t.drop_row("attendance", "inbox", id=t.find(opportunities.SignupPromoted).id)


@breaks("I7", "I8")
def a_message_of_a_registry_is_passed_over(t: Tamper) -> None:
    """What nobody saw, nobody answered."""
    t.add(t.find(service.CheckedOut), seen=False)


@breaks("I9")
def minutes_are_posted_that_nobody_sent(t: Tamper) -> None:
    t.copy_row("sz", "credits", of=t.rows("sz", "credits")[0], transfer_id=t.anyone())


@breaks("I9")
def minutes_are_posted_to_someone_else(t: Tamper) -> None:
    credited(t)["volunteer_ref"] = "gz-dan"


@breaks("I9")
def a_credit_is_worth_something_else(t: Tamper) -> None:
    t.alter(t.find(deliveries.CreditPosted, where=lambda d: d.volunteer_ref == "gz-fay"), total=100)


@breaks("I9")
def a_host_had_attested_other_times(t: Tamper) -> None:
    t.alter(t.find(service.ServiceAttested, where=lambda d: d.volunteer_ref == "sz-fay"), break_minutes=10)


@breaks("I9")
def a_command_is_about_another_shift(t: Tamper) -> None:
    t.alter(t.find(opportunities.RequestSignup), signup_id=t.anyone())


@breaks("I12")
def a_transfer_stands_otherwise_than_was_told(t: Tamper) -> None:
    t.row("bridge", "transfer", state="withheld")["state"] = "credited"


@breaks("I12")
def a_day_has_other_minutes_than_its_records(t: Tamper) -> None:
    t.rows("attendance", "person_day")[0]["minutes"] += 1


@breaks("I12")
def a_sign_up_stands_that_nobody_was_told_of(t: Tamper) -> None:
    t.copy_row("opportunities", "signup", of=t.rows("opportunities", "signup")[0], signup_id=t.anyone())


@breaks("I12")
def a_service_has_seen_what_is_on_no_log(t: Tamper) -> None:
    t.copy_row("identity", "inbox", of=t.rows("identity", "inbox")[0], id="elsewhere")


# Consent, secrets, poison --------------------------------------------------------------------------------------------


@breaks("I13")
def a_credit_is_sent_after_consent_was_withdrawn(t: Tamper) -> None:
    """Its id says when: drawn after the withdrawal's command."""
    later = t.find(people.RecordConsent, where=lambda d: d.home_ref == "gz-fay" and d.state == "withdrawn")
    credit = t.find(deliveries.CreditPosted, where=lambda d: d.volunteer_ref == "gz-fay")
    t.alter(credit, id=later.id[:-4] + "ffff")


@breaks("I14")
def a_code_stands_in_clear_in_a_table(t: Tamper) -> None:
    code = t.find(volunteers.LinkRequested).data.code
    t.rows("bridge", "step")[0]["detail"] = {"note": f"code={code}"}


@breaks("I14")
def a_number_of_a_document_stands_on_a_topic(t: Tamper) -> None:
    told = t.find(deliveries.LinkChanged, where=lambda d: d.volunteer_ref == "gz-bo")
    assert told.value is not None
    t.replace_bytes(told, told.value[:-1] + f',"note":"{CANARY}"}}'.encode())


@breaks("I15")
def a_bad_message_is_not_kept(t: Tamper) -> None:
    t.drop_row("bridge", "set_aside", reason="bytes")


@breaks("I15")
def a_good_message_is_in_quarantine(t: Tamper) -> None:
    good = t.find(service.CheckedOut)
    place = {"topic": good.topic, "partition": good.partition, "offset": good.offset}
    t.copy_row("bridge", "set_aside", of=t.row("bridge", "set_aside", reason="bytes"), value=good.value, **place)


@breaks("I15")
def a_bad_message_is_kept_with_other_bytes(t: Tamper) -> None:
    t.row("bridge", "set_aside", reason="bytes")["value"] = b"{}"


@breaks("I16")
def a_message_stands_in_an_outbox(t: Tamper) -> None:
    t.rows("identity", "outbox").append({"id": 1, "topic": "identity.events.v1", "key": "k", "value": b""})


@breaks("I16")
def a_reader_is_behind(t: Tamper) -> None:
    next(r for r in t.rows("attendance", "consumed") if r["next_offset"] > 0)["next_offset"] -= 1


@breaks()
def a_relay_that_repeats_a_message_harms_nobody(t: Tamper) -> None:
    """At least once is what a relay promises: the same id again is no fault."""
    for kind in (opportunities.SignupPromoted, attendance.ServiceConfirmed, deliveries.CreditPosted):
        repeated = t.find(kind)
        t.add(repeated, id=repeated.id)


def _all(t: Tamper, kind: Any) -> list[Any]:
    return [x for lines in t.world.lines.values() for x in lines if x.event and isinstance(x.data, kind)]


def test_a_clean_run_is_green() -> None:
    report = check(RECORDED, canaries=[CANARY])
    assert report.green, report.text()
    assert report.directions["gz->sz"]["withheld"] == 330


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_turns_exactly_its_invariants_red(name: str) -> None:
    wanted, fault = FAULTS[name]
    spoiled = Tamper(RECORDED)
    fault(spoiled)
    report = check(spoiled.world, canaries=[CANARY])
    assert report.red == wanted, report.text()


def test_every_invariant_is_broken_by_some_fault_alone() -> None:
    alone = {next(iter(wanted)) for wanted, _ in FAULTS.values() if len(wanted) == 1}
    assert alone == set(check(RECORDED).violations)
