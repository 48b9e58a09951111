"""Planted faults of order, and of messages to registries."""

from __future__ import annotations

from typing import Any, Final

from contracts.messages import attendance, bridge, deliveries, opportunities, receipts, refusals, service, signups
from contracts.messages import identity as people
from deploy.audit.world import Line, code_of
from tests.support.checker.planted import Faults, Offence, breaks, of_record
from tests.support.checker.tampering import Tamper, first_of

__all__ = ["FAULTS"]

FAULTS: Final[Faults] = {}
_FAY: Final = "sz-fay-aid-wed-r"


# Order ---------------------------------------------------------------------------------------------------------------


@breaks(FAULTS, "I6")
def two_commands_about_one_volunteer_change_places(t: Tamper) -> Offence:
    one = t.find(attendance.AttestService, where=of_record("gz-ann-river-tue-r"))
    other = t.find(attendance.RecordCheckIn, where=lambda d: (d.person, d.shift_ref) == (one.data.person, "river-wed"))
    return t.swap(one, other)[1]


@breaks(FAULTS, "I6")
def a_home_hears_of_the_correction_first(t: Tamper) -> Offence:
    one, two = (t.find(deliveries.CreditPosted, where=of_record("gz-ann-river-tue-r", v)) for v in (1, 2))
    return t.swap(one, two)[1]


@breaks(FAULTS, "I6")
def a_sending_has_another_number(t: Tamper) -> Offence:
    return t.alter(t.find(deliveries.CreditPosted, where=of_record(_FAY)), attempt=7)


@breaks(FAULTS, "I6")
def a_transfer_comes_back_before_it_is_sent(t: Tamper) -> Offence:
    back = t.find(bridge.TransferChanged, where=lambda d: d.state == "queued")
    same = (back.data.transfer_id, "sent")
    sent, again = t.all(bridge.TransferChanged, lambda d: (d.transfer_id, d.state) == same)
    t.swap(sent, back)
    return again


@breaks(FAULTS, "I6")
def a_transfer_that_goes_at_once_is_reported_as_queued_too(t: Tamper) -> Offence:
    """Her timeline has it too."""
    sent, credited = t.all(bridge.TransferChanged, lambda d: d.record_ref == _FAY)
    step = t.row("bridge", "step", subject=_FAY, what="transfer_sent")
    t.copy_row("bridge", "step", of=step, id=t.anyone(), what="transfer_queued")
    _, last = t.swap(sent, t.add(sent, state="queued"))
    return t.swap(credited, last)[0]


@breaks(FAULTS, "I1", "I6", "I7", "I12")
def the_versions_of_a_record_are_confirmed_in_the_wrong_order(t: Tamper) -> Offence:
    """Then another version is the last, in the host's book and in the tables, and the first event is told for
    nothing."""
    one, two = (t.find(attendance.ServiceConfirmed, where=of_record("gz-ann-river-tue-r", v)) for v in (1, 2))
    told = t.find(deliveries.ServiceDecided, where=lambda d: (d.record_ref, d.version) == ("gz-ann-river-tue-r", 1))
    _, late = t.swap(one, two)
    return {"I1": late, "I6": late, "I7": told, "I12": late}


# Answers -------------------------------------------------------------------------------------------------------------


@breaks(FAULTS, "I7")
def a_request_is_answered_twice(t: Tamper) -> Offence:
    """All who had a part in the request are told."""
    answer = t.find(opportunities.SignupRefused, where=lambda d: d.reason == "guardian_missing")
    again = t.add(answer)
    for told in t.effects(answer, deliveries.SignupChanged):
        t.alter(t.add(told), cause=again.id)
    outcome = t.row("opportunities", "signup_outcome", signup_id=answer.data.signup_id)
    t.copy_row("opportunities", "signup_outcome", of=outcome, number=10_000)
    step = t.row("bridge", "step", subject=str(answer.data.signup_id), what="signup_refused")
    t.copy_row("bridge", "step", of=step, number=10_000)
    assert answer.event is not None
    return t.find(opportunities.RequestSignup, where=lambda d: d.origin == answer.data.origin)


@breaks(FAULTS, "I7")
def an_answer_belongs_to_no_command(t: Tamper) -> Offence:
    answer = t.find(opportunities.SignupRefused, where=lambda d: d.reason == "guardian_missing")
    t.alter(answer, cause=str(t.anyone()))
    return t.find(opportunities.RequestSignup, where=lambda d: d.origin == answer.data.origin)


@breaks(FAULTS, "I7")
def a_refusal_of_the_border_does_not_reach_its_sender(t: Tamper) -> Offence:
    t.drop(t.find(refusals.MessageRefused, where=lambda d: d.reason == "not_linked"))
    t.drop_row("bridge", "refusal", reason="not_linked")
    return t.find(signups.SignupRequested, where=lambda d: d.volunteer_ref == "gz-nobody")


@breaks(FAULTS, "I7")
def a_refusal_from_within_does_not_reach_its_sender(t: Tamper) -> Offence:
    t.drop(t.find(refusals.MessageRefused, where=lambda d: d.reason == "no_check_in"))
    t.drop_row("bridge", "refusal", reason="no_check_in")
    return t.find(attendance.CommandRefused, where=lambda d: d.reason == "no_check_in")


@breaks(FAULTS, "I7")
def a_refusal_speaks_of_another_message(t: Tamper) -> Offence:
    other = signups.SignupReported.TYPE
    t.row("bridge", "refusal", reason="link_broken").update(message_type=other)
    return t.alter(t.find(refusals.MessageRefused, where=lambda d: d.reason == "link_broken"), message_type=other)


@breaks(FAULTS, "I7")
def a_bad_message_is_refused_for_something_else(t: Tamper) -> Offence:
    t.alter(t.find(refusals.MessageRefused, where=lambda d: d.reason == "wrong_key"), reason="schema")
    return next(x for x in t.world.lines["registry.gz.attendance.v1"] if x.fault == "wrong_key")


@breaks(FAULTS, "I7")
def a_message_is_refused_that_nobody_sent(t: Tamper) -> Offence:
    bad = t.find(refusals.MessageRefused, where=lambda d: d.reason == "bytes")
    return t.add(bad, message_id="no-such-message")


@breaks(FAULTS, "I7", "I9", "I12")
def a_credit_has_no_receipt(t: Tamper) -> Offence:
    """So nobody said either that it was booked, and the border knows a receipt that is nowhere."""
    t.drop(t.find(receipts.CreditAccepted, where=lambda d: d.volunteer_ref == "gz-fay"))
    sent = t.find(deliveries.CreditPosted, where=of_record(_FAY))
    ended = t.find(bridge.TransferChanged, where=lambda d: (d.record_ref, d.state) == (_FAY, "credited"))
    return {"I7": sent, "I9": ended, "I12": ended}


@breaks(FAULTS, "I7", "I9", "I12")
def a_home_never_hears_of_a_credit(t: Tamper) -> Offence:
    """The home booked it all the same. The border counts one sending more than there was."""
    t.drop(t.find(deliveries.CreditPosted, where=of_record(_FAY)))
    changes = t.all(bridge.TransferChanged, lambda d: d.record_ref == _FAY)
    attested = t.find(service.ServiceAttested, where=lambda d: d.record_ref == _FAY)
    return {"I7": next(x for x in changes if x.data.state == "sent"), "I9": attested, "I12": changes[-1]}


# Links and consent ---------------------------------------------------------------------------------------------------

_LINK_EVENTS: Final = (people.LinkEstablished, people.LinkRefused, people.LinkBroken, people.LinkRestored)


@breaks(FAULTS, "I7")
def nobody_is_told_of_any_link(t: Tamper) -> Offence:
    t.drop(*t.all(deliveries.LinkChanged))
    return first_of([line for kind in _LINK_EVENTS for line in t.all(kind)])


@breaks(FAULTS, "I7")
def nobody_is_told_of_any_consent(t: Tamper) -> Offence:
    t.drop(*t.all(deliveries.ConsentChanged))
    return first_of(t.all(people.ConsentChanged))


def _to(code: str, kind: Any) -> Any:
    return lambda t, where=lambda d: True: [x for x in t.all(kind, where) if code_of(x.topic) == code]


@breaks(FAULTS, "I7")
def a_home_is_told_that_a_new_link_is_broken(t: Tamper) -> Offence:
    told = _to("sz", deliveries.LinkChanged)(t, lambda d: (d.volunteer_ref, d.state) == ("sz-ann", "established"))
    return t.alter(told[0], state="broken")


@breaks(FAULTS, "I7")
def a_host_is_told_another_age(t: Tamper) -> Offence:
    told = _to("gz", deliveries.LinkChanged)(t, lambda d: (d.volunteer_ref, d.state) == ("gz-bo", "established"))
    return t.alter(told[0], guardian_approved=False)


@breaks(FAULTS, "I7")
def a_host_does_not_hear_that_consent_is_there_again(t: Tamper) -> Offence:
    renewed = t.find(people.RecordConsent, where=lambda d: (d.home_ref, d.state) == ("sz-kim", "given"))
    cause = t.row("bridge", "registry_message", id=renewed.data.origin.message)["message_id"]
    t.drop(*[x for x in t.all(deliveries.LinkChanged) if x.event is not None and x.event.causation == cause])
    return renewed


@breaks(FAULTS, "I7")
def a_withdrawal_is_told_as_consent(t: Tamper) -> Offence:
    return t.alter(t.find(deliveries.ConsentChanged, where=lambda d: d.state == "withdrawn"), state="given")


# Sign-ups, service, credits ------------------------------------------------------------------------------------------


def _asked_at_host(data: Any) -> bool:
    return bool(data.asker == data.host)


@breaks(FAULTS, "I7")
def a_home_is_told_of_no_sign_up_that_the_host_asked_for(t: Tamper) -> Offence:
    """The home neither hosts nor asked, but shares: so it must be told."""
    told = _to("sz", deliveries.SignupChanged)(t, lambda d: (d.host, d.asker) == ("gz", "gz"))
    t.drop(*told)
    causes = {x.event.causation for x in told}
    return first_of([x for kind in _SIGNUPS for x in t.all(kind) if x.id in causes])


_SIGNUPS: Final = (
    opportunities.SignupConfirmed,
    opportunities.SignupWaitlisted,
    opportunities.SignupPromoted,
    opportunities.SignupRefused,
    opportunities.SignupWithdrawn,
)


def _kim_at_host(t: Tamper) -> Line:
    told: Line = _to("gz", deliveries.SignupChanged)(t, lambda d: d.volunteer_ref == "gz-kim")[0]
    return told


@breaks(FAULTS, "I7", "I13")
def a_home_is_told_of_a_sign_up_that_it_did_not_ask_for(t: Tamper) -> Offence:
    """Her consent is withdrawn, so her home may not learn where she serves."""
    told = _kim_at_host(t)
    where = t.find(deliveries.LinkChanged, where=lambda d: d.volunteer_ref == "sz-kim")
    return t.add(told, id=told.id[:-4] + "ffff", topic=where.topic, volunteer_ref="sz-kim")


@breaks(FAULTS, "I7")
def a_confirmed_sign_up_is_told_as_refused(t: Tamper) -> Offence:
    told = _to("sz", deliveries.SignupChanged)(t, lambda d: d.state == "confirmed")
    return t.alter(told[3], state="refused", reason="full")


@breaks(FAULTS, "I7")
def a_sign_up_is_told_of_another_volunteer(t: Tamper) -> Offence:
    told = _to("sz", deliveries.SignupChanged)(t, lambda d: (d.volunteer_ref, d.state) == ("sz-eve", "waitlisted"))
    t.drop(told[0])
    t.add(told[0], volunteer_ref="sz-ann")
    return t.find(deliveries.SignupChanged, where=lambda d: (d.volunteer_ref, d.state) == ("sz-ann", "waitlisted"))


@breaks(FAULTS, "I7")
def a_sign_up_is_told_twice(t: Tamper) -> Offence:
    return t.add(t.find(deliveries.SignupChanged, where=lambda d: d.state == "promoted"))


@breaks(FAULTS, "I7")
def a_host_is_not_told_that_its_record_is_held(t: Tamper) -> Offence:
    t.drop(t.find(deliveries.ServiceDecided, where=lambda d: d.state == "held"))
    return t.find(attendance.ServiceHeld)


@breaks(FAULTS, "I7")
def a_host_is_told_other_minutes(t: Tamper) -> Offence:
    return t.alter(t.find(deliveries.ServiceDecided, where=lambda d: d.record_ref == _FAY), minutes=160)


@breaks(FAULTS, "I7")
def a_host_is_not_told_how_its_record_stands_at_home(t: Tamper) -> Offence:
    told = t.find(deliveries.CreditReported, where=lambda d: d.state == "withheld")
    t.drop(told)
    same = (told.data.transfer_id, "withheld")
    return t.find(bridge.TransferChanged, where=lambda d: (d.transfer_id, d.state) == same)


@breaks(FAULTS, "I7")
def a_host_is_told_that_a_withheld_record_is_credited(t: Tamper) -> Offence:
    return t.alter(t.find(deliveries.CreditReported, where=lambda d: d.state == "withheld"), state="credited")
