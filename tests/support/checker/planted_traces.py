"""Planted faults of origin: messages that nobody said, decided or sent in these words."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from contracts.messages import attendance, bridge, deliveries, opportunities, receipts, service
from contracts.messages import identity as people
from deploy.audit.world import Line
from tests.support.checker.planted import Faults, Named, Offence, breaks, of_record
from tests.support.checker.tampering import Tamper

__all__ = ["FAULTS"]

FAULTS: Final[Faults] = {}
_FAY: Final = "sz-fay-aid-wed-r"


def _changed(t: Tamper, state: str) -> Line:
    return t.find(bridge.TransferChanged, where=lambda d: (d.record_ref, d.state) == (_FAY, state))


def _credit(t: Tamper) -> Line:
    return t.find(deliveries.CreditPosted, where=of_record(_FAY))


@breaks(FAULTS, "I9")
def minutes_are_posted_that_nobody_sent(t: Tamper) -> Offence:
    row = t.copy_row("sz", "credits", of=t.rows("sz", "credits")[0], transfer_id=t.anyone())
    return Named(t.person("sz", row["volunteer_ref"]))


@breaks(FAULTS, "I9")
def minutes_are_posted_to_someone_else(t: Tamper) -> Offence:
    t.row("gz", "credits", volunteer_ref="gz-fay")["volunteer_ref"] = "gz-dan"
    return Named(t.person("gz", "gz-dan"), _FAY, _credit(t))


@breaks(FAULTS, "I9")
def a_credit_is_worth_something_else(t: Tamper) -> Offence:
    return t.alter(_credit(t), total=100)


@breaks(FAULTS, "I9")
def a_credit_brings_other_minutes(t: Tamper) -> Offence:
    return t.alter(_credit(t), delta=100)


@breaks(FAULTS, "I9", "I12")
def a_transfer_is_called_sent_with_other_minutes(t: Tamper) -> Offence:
    """Her timeline has the right minutes. The credit is published by the same decision."""
    changed = t.alter(_changed(t, "sent"), delta=100)
    return {"I9": [changed, _credit(t)], "I12": changed}


@breaks(FAULTS, "I9")
def a_transfer_is_sent_with_more_than_is_left(t: Tamper) -> Offence:
    """All messages about it agree."""
    t.alter(_credit(t), delta=200)
    step = t.row("bridge", "step", subject=_FAY, what="transfer_sent")
    step["detail"] = step["detail"] | {"delta": 200}
    return t.alter(_changed(t, "sent"), delta=200)


@breaks(FAULTS, "I9")
def a_home_has_accepted_other_minutes_than_are_credited(t: Tamper) -> Offence:
    t.alter(t.find(receipts.CreditAccepted, where=lambda d: d.volunteer_ref == "gz-fay"), delta=160)
    return _changed(t, "credited")


@breaks(FAULTS, "I9")
def a_host_had_attested_other_times(t: Tamper) -> Offence:
    t.alter(t.find(service.ServiceAttested, where=lambda d: d.volunteer_ref == "sz-fay"), break_minutes=10)
    return t.find(attendance.AttestService, where=of_record(_FAY))


@breaks(FAULTS, "I9")
def a_command_is_about_another_shift(t: Tamper) -> Offence:
    return t.alter(t.find(attendance.AttestService, where=of_record(_FAY)), signup_id=t.anyone())


@breaks(FAULTS, "I9")
def a_command_asks_under_another_ref(t: Tamper) -> Offence:
    asked = t.find(opportunities.WithdrawSignup, where=lambda d: d.shift_ref == "river-wed")  # of nothing
    return t.alter(asked, signup_ref="another")


@breaks(FAULTS, "I9")
def a_request_is_stamped_with_another_consent(t: Tamper) -> Offence:
    return t.alter(t.find(opportunities.RequestSignup), consent_version=9)


@breaks(FAULTS, "I9")
def a_sign_up_is_decided_that_was_not_asked_for(t: Tamper) -> Offence:
    refused = t.find(opportunities.SignupRefused, where=lambda d: d.reason == "guardian_missing")
    return t.retell(refused, signup_ref="another")


@breaks(FAULTS, "I9")
def a_sign_up_ended_at_another_moment(t: Tamper) -> Offence:
    gone = t.find(opportunities.SignupWithdrawn, where=lambda d: d.shift_ref == "park-fri")
    later = gone.data.withdrawn_at + timedelta(minutes=5)
    t.row("attendance", "signup", id=gone.data.signup_id)["served_until"] = later
    return t.alter(gone, withdrawn_at=later)


@breaks(FAULTS, "I9")
def a_post_was_given_back_after_the_begin(t: Tamper) -> Offence:
    """All books agree that the shift began before."""
    gone = t.find(opportunities.SignupWithdrawn, where=lambda d: d.shift_ref == "river-tue" and d.reason is None)
    begun = gone.data.withdrawn_at - timedelta(hours=1)
    t.row("attendance", "signup", id=gone.data.signup_id).update(served_until=gone.data.withdrawn_at, starts_at=begun)
    return t.retell(gone, starts_at=begun)


@breaks(FAULTS, "I9")
def a_presence_is_recorded_with_another_method(t: Tamper) -> Offence:
    came = t.find(attendance.RecordCheckIn)
    t.row("attendance", "presence", signup_id=came.data.signup_id, came_at=came.data.at)["came_by"] = "organiser"
    return t.alter(came, method="organiser")


@breaks(FAULTS, "I9")
def identity_speaks_of_another_account(t: Tamper) -> Offence:
    changed = t.find(people.ConsentChanged, where=lambda d: d.home_ref == "gz-fay")
    return t.alter(changed, home_ref="gz-dan")


@breaks(FAULTS, "I9")
def identity_tells_a_consent_that_nobody_gave(t: Tamper) -> Offence:
    changed = t.find(people.ConsentChanged, where=lambda d: (d.home_ref, d.state) == ("sz-kim", "given"))
    assert changed.event is not None
    other = changed.data.consent.model_copy(update={"given_at": changed.event.time})
    return t.alter(changed, consent=other)


def _beside(t: Tamper, line: Line) -> UUID:
    """Another volunteer whose messages lie in the same partition. In a foreign partition the message would be a bad
    message."""
    linked = t.all(people.LinkEstablished, lambda d: d.person != line.data.person)
    found: UUID = next(one.data.person for one in linked if one.partition == line.partition)
    return found


@breaks(FAULTS, "I9")
def a_refusal_is_of_another_person_than_her_of_whom_her_home_has_spoken(t: Tamper) -> Offence:
    refused = t.find(people.LinkRefused, where=lambda d: d.home_ref == "sz-ivy")
    return t.alter(refused, person=_beside(t, refused))


@breaks(FAULTS, "I9")
def a_refusal_about_a_number_that_is_nobodys_is_of_somebody(t: Tamper) -> Offence:
    refused = t.find(people.LinkRefused, where=lambda d: d.home_ref == "sz-lou")
    return t.alter(refused, person=_beside(t, refused))
