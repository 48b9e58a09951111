"""Planted faults of order, answers, rows, consent, secrets and poison."""

from __future__ import annotations

from typing import Any, Final

from contracts.messages import (
    attendance,
    bridge,
    deliveries,
    opportunities,
    receipts,
    refusals,
    service,
    volunteers,
)
from contracts.messages import identity as people
from tests.support.checker.planted import Faults, breaks, of_record
from tests.support.checker.scenario import CANARY
from tests.support.checker.tampering import Tamper

__all__ = ["FAULTS"]

FAULTS: Final[Faults] = {}


def credited(t: Tamper) -> Any:
    return t.row("gz", "credits", volunteer_ref="gz-fay")


def _all(t: Tamper, kind: Any) -> list[Any]:
    return [x for lines in t.world.lines.values() for x in lines if x.event and isinstance(x.data, kind)]


# Order and answers ---------------------------------------------------------------------------------------------------


@breaks(FAULTS, "I6")
def two_commands_about_one_volunteer_change_places(t: Tamper) -> None:
    first = t.find(attendance.RecordCheckIn)
    t.swap(first, t.find(attendance.RecordCheckOut, where=lambda d: d.person == first.data.person))


@breaks(FAULTS, "I6")
def a_home_hears_of_the_correction_first(t: Tamper) -> None:
    versions = [t.find(deliveries.CreditPosted, where=of_record("gz-ann-river-tue-r", v)) for v in (1, 2)]
    t.swap(*versions)


@breaks(FAULTS, "I6")
def a_transfer_is_sent_before_it_is_queued(t: Tamper) -> None:
    queued = t.find(bridge.TransferChanged, where=lambda d: d.state == "queued")
    same = queued.data.transfer_id
    t.swap(queued, t.find(bridge.TransferChanged, where=lambda d: (d.transfer_id, d.state) == (same, "sent")))


@breaks(FAULTS, "I6")
def a_key_stands_in_two_partitions(t: Tamper) -> None:
    first = t.find(bridge.TransferChanged)
    assert first.partition < 7
    t.add(first, id=first.id, partition=7)


@breaks(FAULTS, "I1", "I6", "I12")
def the_versions_of_a_record_are_confirmed_in_the_wrong_order(t: Tamper) -> None:
    """The last word is then another one: for the host's book, and for the tables."""
    t.swap(*(t.find(attendance.ServiceConfirmed, where=of_record("gz-ann-river-tue-r", v)) for v in (1, 2)))


@breaks(FAULTS, "I7")
def a_request_is_answered_twice(t: Tamper) -> None:
    answer = t.find(opportunities.SignupRefused)
    again = t.add(answer)
    for told in [x for x in _all(t, deliveries.SignupChanged) if x.event.causation == answer.id]:
        t.alter(t.add(told), cause=again.id)


@breaks(FAULTS, "I7")
def a_refusal_does_not_reach_its_sender(t: Tamper) -> None:
    t.drop(t.find(refusals.MessageRefused, where=lambda d: d.reason == "not_linked"))


@breaks(FAULTS, "I7")
def a_credit_has_no_receipt(t: Tamper) -> None:
    t.drop(t.find(receipts.CreditAccepted, where=lambda d: d.volunteer_ref == "gz-fay"))


@breaks(FAULTS, "I7")
def a_host_is_not_told_how_its_record_stands_at_home(t: Tamper) -> None:
    t.drop(t.find(deliveries.CreditReported, where=lambda d: d.state == "withheld"))


@breaks(FAULTS, "I7")
def a_host_is_not_told_that_its_record_is_held(t: Tamper) -> None:
    t.drop(t.find(deliveries.ServiceDecided, where=lambda d: d.state == "held"))


# Loss and invention --------------------------------------------------------------------------------------------------


@breaks(FAULTS, "I8")
def a_message_of_a_registry_is_not_seen(t: Tamper) -> None:
    t.drop_row("bridge", "inbox", id=t.find(service.CheckedOut).id)


@breaks(FAULTS, "I8")
def a_check_in_leaves_no_row(t: Tamper) -> None:
    t.rows("attendance", "presence").pop()


@breaks(FAULTS, "I8")
def a_sign_up_leaves_no_row(t: Tamper) -> None:
    t.drop_row("opportunities", "signup", state="confirmed")


@breaks(FAULTS, "I8")
def an_event_is_passed_over_by_one_of_its_readers(t: Tamper) -> None:
    t.drop_row("attendance", "inbox", id=t.find(opportunities.SignupPromoted).id)


@breaks(FAULTS, "I7", "I8")
def a_message_of_a_registry_is_passed_over(t: Tamper) -> None:
    """What nobody saw, nobody answered."""
    t.add(t.find(service.CheckedOut), seen=False)


@breaks(FAULTS, "I9")
def minutes_are_posted_that_nobody_sent(t: Tamper) -> None:
    t.copy_row("sz", "credits", of=t.rows("sz", "credits")[0], transfer_id=t.anyone())


@breaks(FAULTS, "I9")
def minutes_are_posted_to_someone_else(t: Tamper) -> None:
    credited(t)["volunteer_ref"] = "gz-dan"


@breaks(FAULTS, "I9")
def a_credit_is_worth_something_else(t: Tamper) -> None:
    t.alter(t.find(deliveries.CreditPosted, where=lambda d: d.volunteer_ref == "gz-fay"), total=100)


@breaks(FAULTS, "I9")
def a_host_had_attested_other_times(t: Tamper) -> None:
    t.alter(t.find(service.ServiceAttested, where=lambda d: d.volunteer_ref == "sz-fay"), break_minutes=10)


@breaks(FAULTS, "I9")
def a_command_is_about_another_shift(t: Tamper) -> None:
    t.alter(t.find(opportunities.RequestSignup), signup_id=t.anyone())


@breaks(FAULTS, "I12")
def a_transfer_stands_otherwise_than_was_told(t: Tamper) -> None:
    t.row("bridge", "transfer", state="withheld")["state"] = "credited"


@breaks(FAULTS, "I12")
def a_day_has_other_minutes_than_its_records(t: Tamper) -> None:
    t.rows("attendance", "person_day")[0]["minutes"] += 1


@breaks(FAULTS, "I12")
def a_sign_up_stands_that_nobody_was_told_of(t: Tamper) -> None:
    t.copy_row("opportunities", "signup", of=t.rows("opportunities", "signup")[0], signup_id=t.anyone())


@breaks(FAULTS, "I12")
def a_service_has_seen_what_is_on_no_log(t: Tamper) -> None:
    t.copy_row("identity", "inbox", of=t.rows("identity", "inbox")[0], id="elsewhere")


# Consent, secrets, poison --------------------------------------------------------------------------------------------


@breaks(FAULTS, "I13")
def a_credit_is_sent_after_consent_was_withdrawn(t: Tamper) -> None:
    """Its id says when: drawn after the withdrawal's command."""
    later = t.find(people.RecordConsent, where=lambda d: d.home_ref == "gz-fay" and d.state == "withdrawn")
    credit = t.find(deliveries.CreditPosted, where=lambda d: d.volunteer_ref == "gz-fay")
    t.alter(credit, id=later.id[:-4] + "ffff")


@breaks(FAULTS, "I14")
def a_code_stands_in_clear_in_a_table(t: Tamper) -> None:
    code = t.find(volunteers.LinkRequested).data.code
    t.rows("bridge", "step")[0]["detail"] = {"note": f"code={code}"}


@breaks(FAULTS, "I14")
def a_number_of_a_document_stands_on_a_topic(t: Tamper) -> None:
    told = t.find(deliveries.LinkChanged, where=lambda d: d.volunteer_ref == "gz-bo")
    assert told.value is not None
    t.replace_bytes(told, told.value[:-1] + f',"note":"{CANARY}"}}'.encode())


@breaks(FAULTS, "I15")
def a_bad_message_is_not_kept(t: Tamper) -> None:
    t.drop_row("bridge", "set_aside", reason="bytes")


@breaks(FAULTS, "I15")
def a_good_message_is_in_quarantine(t: Tamper) -> None:
    good = t.find(service.CheckedOut)
    place = {"topic": good.topic, "partition": good.partition, "offset": good.offset}
    t.copy_row("bridge", "set_aside", of=t.row("bridge", "set_aside", reason="bytes"), value=good.value, **place)


@breaks(FAULTS, "I15")
def a_bad_message_is_kept_with_other_bytes(t: Tamper) -> None:
    t.row("bridge", "set_aside", reason="bytes")["value"] = b"{}"


@breaks(FAULTS, "I16")
def a_message_stands_in_an_outbox(t: Tamper) -> None:
    t.rows("identity", "outbox").append({"id": 1, "topic": "identity.events.v1", "key": "k", "value": b""})


@breaks(FAULTS, "I16")
def a_reader_is_behind(t: Tamper) -> None:
    next(r for r in t.rows("attendance", "consumed") if r["next_offset"] > 0)["next_offset"] -= 1


@breaks(FAULTS)
def a_relay_that_repeats_a_message_harms_nobody(t: Tamper) -> None:
    """At least once is what a relay promises: the same id again is no fault."""
    for kind in (opportunities.SignupPromoted, attendance.ServiceConfirmed, deliveries.CreditPosted):
        repeated = t.find(kind)
        t.add(repeated, id=repeated.id)
