"""Planted faults of minutes, posts and windows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from contracts.messages import attendance, deliveries, opportunities, service, shifts, volunteers
from contracts.messages import identity as people
from deploy.audit.world import Line, Row
from tests.support.checker.planted import Faults, Named, Offence, breaks, of_record
from tests.support.checker.tampering import Tamper, first_of

__all__ = ["FAULTS"]

FAULTS: Final[Faults] = {}
_FAY: Final = "sz-fay-aid-wed-r"


def credited(t: Tamper) -> Row:
    return t.row("gz", "credits", volunteer_ref="gz-fay")


def confirmed(t: Tamper, ref: str, version: int = 1) -> Line:
    return t.find(attendance.ServiceConfirmed, where=of_record(ref, version))


def credit(t: Tamper) -> Line:
    return t.find(deliveries.CreditPosted, where=of_record(_FAY))


# Minutes -------------------------------------------------------------------------------------------------------------


@breaks(FAULTS, "I1")
def a_posting_is_lost(t: Tamper) -> Offence:
    t.drop_row("gz", "credits", volunteer_ref="gz-fay")
    return confirmed(t, _FAY)


@breaks(FAULTS, "I1")
def a_posting_is_too_small(t: Tamper) -> Offence:
    credited(t)["minutes"] -= 5
    return confirmed(t, _FAY)


@breaks(FAULTS, "I1")
def the_host_counts_other_minutes(t: Tamper) -> Offence:
    t.row("gz", "served", record_ref="gz-ann-park-thu-r")["minutes"] = 166
    return confirmed(t, "gz-ann-park-thu-r")


@breaks(FAULTS, "I1")
def the_host_still_holds_what_was_confirmed(t: Tamper) -> Offence:
    t.row("sz", "served", record_ref=_FAY)["status"] = "pending"
    return confirmed(t, _FAY)


@breaks(FAULTS, "I1")
def the_host_counts_what_was_never_confirmed(t: Tamper) -> Offence:
    t.copy_row("sz", "served", of=t.row("sz", "served", record_ref=_FAY), record_ref="made-up")
    return Named(t.person("sz", "sz-fay"), "made-up")


@breaks(FAULTS, "I1", "I2")
def a_posting_stands_twice(t: Tamper) -> Offence:
    """Twice the minutes are not the confirmed minutes either."""
    t.copy_row("gz", "credits", of=credited(t))
    attested = t.find(service.ServiceAttested, where=lambda d: d.record_ref == _FAY)
    return {"I1": confirmed(t, _FAY), "I2": attested}


@breaks(FAULTS, "I1", "I2")
def a_posting_is_too_large(t: Tamper) -> Offence:
    credited(t)["minutes"] += 5
    attested = t.find(service.ServiceAttested, where=lambda d: d.record_ref == _FAY)
    return {"I1": confirmed(t, _FAY), "I2": attested}


@breaks(FAULTS, "I1", "I2", "I17")
def a_posting_is_longer_than_a_day(t: Tamper) -> Offence:
    credited(t)["minutes"] = 1500
    attested = t.find(service.ServiceAttested, where=lambda d: d.record_ref == _FAY)
    return {"I1": confirmed(t, _FAY), "I2": attested, "I17": credit(t)}


@breaks(FAULTS, "I2")
def a_transfer_is_posted_in_two_parts(t: Tamper) -> Offence:
    credited(t)["minutes"] = 100
    t.copy_row("gz", "credits", of=credited(t), minutes=65)
    return credit(t)


@breaks(FAULTS, "I17")
def a_record_is_held_for_want_of_a_sign_up_that_was_there(t: Tamper) -> Offence:
    """All books agree on that reason. In truth she had a post, and no check-in."""
    held = t.find(attendance.ServiceHeld, where=lambda d: d.reason == "no_check_in")
    ref = held.data.record.record_ref
    for told in t.effects(held, deliveries.ServiceDecided):
        t.alter(told, reason="no_signup")
    t.row("attendance", "service_record", record_ref=ref)["held_for"] = "no_signup"
    t.row("bridge", "service_record", record_ref=ref)["reason"] = "no_signup"
    step = t.row("bridge", "step", subject=ref, what="service_held")
    step["detail"] = step["detail"] | {"reason": "no_signup"}
    return t.alter(held, reason="no_signup")


@breaks(FAULTS, "I17")
def a_day_is_longer_than_the_cap(t: Tamper) -> Offence:
    """All messages about the record agree on its nine hours."""
    ref = "gz-dan-own-pm-r"
    fact = confirmed(t, ref).data
    t.reword(ref, 1, ended_at=fact.record.started_at + timedelta(hours=9, minutes=15))
    t.alter(t.find(deliveries.ServiceDecided, where=lambda d: d.record_ref == ref), minutes=540)
    t.row("gz", "served", record_ref=ref)["minutes"] = 540
    t.row("attendance", "service_record", record_ref=ref)["counted_minutes"] = 540
    t.row("bridge", "service_record", record_ref=ref).update(total=540, minutes=540)
    t.row("attendance", "person_day", person=fact.person, day=fact.record.day)["minutes"] += 375
    for row in t.rows("bridge", "step"):
        if row["subject"] == ref:
            row["detail"] = row["detail"] | {"minutes": 540}
    return t.alter(confirmed(t, ref), minutes=540)


# Posts ---------------------------------------------------------------------------------------------------------------


@breaks(FAULTS, "I4")
def two_spans_of_one_person_overlap(t: Tamper) -> Offence:
    record, earlier = confirmed(t, "gz-dan-own-pm-r").data.record, timedelta(hours=3)
    t.reword("gz-dan-own-pm-r", 1, started_at=record.started_at - earlier, ended_at=record.ended_at - earlier)
    return max((confirmed(t, f"gz-dan-own-{half}-r") for half in ("am", "pm")), key=lambda line: line.offset)


@breaks(FAULTS, "I4")
def two_posts_of_one_person_overlap(t: Tamper) -> Offence:
    thu = t.find(opportunities.SignupConfirmed, where=lambda d: d.shift_ref == "park-thu")
    hers = ("river-wed", thu.data.person)
    wed = t.find(opportunities.SignupConfirmed, where=lambda d: (d.shift_ref, d.person) == hers).data
    window = {"starts_at": wed.starts_at + timedelta(hours=1), "ends_at": wed.ends_at + timedelta(hours=1)}
    t.row("opportunities", "signup", signup_id=thu.data.signup_id).update(window)
    t.row("attendance", "signup", id=thu.data.signup_id).update(window)
    return t.retell(thu, **window)


def _of_river_tue(data: Any) -> bool:
    return bool(data.shift_ref == "river-tue")


def _republish(t: Tamper, ref: str, version: int, **changes: Any) -> None:
    """The host had told all of them so."""
    t.alter(t.find(shifts.ShiftPublished, where=lambda d: (d.shift_ref, d.version) == (ref, version)), **changes)
    command = t.find(opportunities.PublishShift, where=lambda d: (d.shift.shift_ref, d.shift.version) == (ref, version))
    t.alter(command, shift=command.data.shift.model_copy(update=changes))


@breaks(FAULTS, "I5")
def a_shift_has_more_people_than_posts(t: Tamper) -> Offence:
    """The host had allotted one post."""
    _republish(t, "river-tue", 1, posts=1)
    given = t.all(opportunities.SignupConfirmed, _of_river_tue)
    for line in given:
        t.row("opportunities", "signup_outcome", signup_id=line.data.signup_id, outcome="confirmed")["posts"] = 1
    promoted = t.find(opportunities.SignupPromoted, where=_of_river_tue)
    t.row("opportunities", "signup_outcome", signup_id=promoted.data.signup_id, outcome="promoted")["posts"] = 1
    return given[1]


@breaks(FAULTS, "I5")
def a_line_is_longer_than_the_host_allows(t: Tamper) -> Offence:
    for version in (1, 2):
        _republish(t, "river-tue", version, waitlist_posts=1)
    t.row("opportunities", "shift", shift_ref="river-tue")["waitlist_posts"] = 1
    return t.find(opportunities.SignupWaitlisted, 1, where=_of_river_tue)


@breaks(FAULTS, "I5")
def the_line_is_not_served_in_its_order(t: Tamper) -> Offence:
    """The counts of posts fit the posts that were given."""
    one, other = t.all(opportunities.SignupPromoted, _of_river_tue)
    rows = [
        t.row("opportunities", "signup_outcome", signup_id=x.data.signup_id, outcome="promoted") for x in (one, other)
    ]
    rows[0]["confirmed"], rows[1]["confirmed"] = rows[1]["confirmed"], rows[0]["confirmed"]
    return t.swap(one, other)[0]


@breaks(FAULTS, "I5")
def the_line_was_another_one(t: Tamper) -> Offence:
    t.swap(*t.all(opportunities.SignupWaitlisted, _of_river_tue)[:2])
    return t.find(opportunities.SignupPromoted, where=_of_river_tue)


@breaks(FAULTS, "I9")
def a_line_is_closed_that_nobody_joined(t: Tamper) -> Offence:
    return t.alter(t.find(opportunities.CloseWaitlist), shift_ref="river-wed")


@breaks(FAULTS, "I9")
def a_line_is_closed_in_the_name_of_another_message(t: Tamper) -> Offence:
    close = t.find(opportunities.CloseWaitlist)
    other = t.find(opportunities.WithdrawSignup).data.origin
    return t.alter(close, origin=other)


@breaks(FAULTS, "I19")
def a_minor_is_let_in_without_her_guardian(t: Tamper) -> Offence:
    """Nobody ever said that her guardian agreed."""
    no: dict[str, Any] = {"guardian_approved": False}
    t.alter(t.find(volunteers.LinkOffered, where=lambda d: d.volunteer_ref == "sz-bo"), **no)
    for kind in (people.OfferLink, people.LinkEstablished):
        t.alter(t.find(kind, where=lambda d: d.home_ref == "sz-bo"), **no)
    for told in t.all(deliveries.LinkChanged, lambda d: d.volunteer_ref == "gz-bo"):
        t.alter(told, **no)
    bo = t.person("sz", "sz-bo")
    for place in (("identity", "offer"), ("identity", "link"), ("bridge", "link")):
        t.row(*place, person=bo).update(no)
    for request in t.all(opportunities.RequestSignup, lambda d: d.person == bo):
        t.alter(request, **no)
    return first_of(t.all(opportunities.SignupConfirmed, lambda d: d.person == bo))


@breaks(FAULTS, "I19")
def the_stamp_on_a_request_is_not_what_her_home_said(t: Tamper) -> Offence:
    return t.alter(t.find(opportunities.RequestSignup, where=lambda d: d.guardian_approved), guardian_approved=False)


@breaks(FAULTS, "I19")
def a_minor_has_a_post_among_adults(t: Tamper) -> Offence:
    _republish(t, "river-wed", 1, minimum_age=18)
    t.row("opportunities", "shift", shift_ref="river-wed")["minimum_age"] = 18
    bo = t.person("sz", "sz-bo")
    return t.find(opportunities.SignupConfirmed, where=lambda d: (d.shift_ref, d.person) == ("river-wed", bo))
