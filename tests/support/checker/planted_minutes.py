"""Planted faults of minutes, posts and windows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from contracts.messages import (
    attendance,
    deliveries,
    opportunities,
    shifts,
    volunteers,
)
from contracts.messages import identity as people
from tests.support.checker.planted import Faults, breaks, of_record
from tests.support.checker.tampering import Tamper

__all__ = ["FAULTS"]

FAULTS: Final[Faults] = {}


def credited(t: Tamper) -> Any:
    return t.row("gz", "credits", volunteer_ref="gz-fay")


# Minutes -------------------------------------------------------------------------------------------------------------


@breaks(FAULTS, "I1")
def a_posting_is_lost(t: Tamper) -> None:
    t.drop_row("gz", "credits", volunteer_ref="gz-fay")


@breaks(FAULTS, "I1")
def a_posting_is_too_small(t: Tamper) -> None:
    credited(t)["minutes"] -= 5


@breaks(FAULTS, "I1")
def the_host_counts_other_minutes(t: Tamper) -> None:
    t.row("gz", "served", record_ref="gz-ann-park-thu-r")["minutes"] = 166


@breaks(FAULTS, "I1")
def the_host_still_holds_what_was_confirmed(t: Tamper) -> None:
    t.row("sz", "served", record_ref="sz-fay-aid-wed-r")["status"] = "pending"


@breaks(FAULTS, "I1", "I2")
def a_posting_stands_twice(t: Tamper) -> None:
    """Twice the minutes are also not those that were confirmed."""
    t.copy_row("gz", "credits", of=credited(t))


@breaks(FAULTS, "I1", "I2")
def a_posting_is_too_large(t: Tamper) -> None:
    credited(t)["minutes"] += 5


@breaks(FAULTS, "I2")
def a_transfer_is_posted_in_two_parts(t: Tamper) -> None:
    credited(t)["minutes"] = 100
    t.copy_row("gz", "credits", of=credited(t), minutes=65)


@breaks(FAULTS, "I17")
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


@breaks(FAULTS, "I4")
def two_spans_of_one_person_overlap(t: Tamper) -> None:
    record = t.find(attendance.ServiceConfirmed, where=of_record("gz-dan-own-pm-r")).data.record
    earlier = timedelta(hours=3)
    t.reword("gz-dan-own-pm-r", 1, started_at=record.started_at - earlier, ended_at=record.ended_at - earlier)


@breaks(FAULTS, "I4")
def two_posts_of_one_person_overlap(t: Tamper) -> None:
    wed = t.find(opportunities.SignupConfirmed, where=lambda d: d.shift_ref == "river-wed")
    thu = t.find(
        opportunities.SignupConfirmed, where=lambda d: d.shift_ref == "park-thu" and d.person == wed.data.person
    )
    t.alter(thu, starts_at=wed.data.starts_at, ends_at=wed.data.ends_at)


@breaks(FAULTS, "I5")
def a_shift_has_more_people_than_posts(t: Tamper) -> None:
    """The host had allotted one post, and said so to everyone."""
    t.alter(t.find(shifts.ShiftPublished, where=lambda d: (d.shift_ref, d.version) == ("river-tue", 1)), posts=1)
    command = t.find(
        opportunities.PublishShift, where=lambda d: (d.shift.shift_ref, d.shift.version) == ("river-tue", 1)
    )
    t.alter(command, shift=command.data.shift.model_copy(update={"posts": 1}))


@breaks(FAULTS, "I5")
def the_line_is_not_served_in_its_order(t: Tamper) -> None:
    t.swap(t.find(opportunities.SignupPromoted, 0), t.find(opportunities.SignupPromoted, 1))


@breaks(FAULTS, "I5")
def the_line_was_another_one(t: Tamper) -> None:
    t.swap(t.find(opportunities.SignupWaitlisted, 0), t.find(opportunities.SignupWaitlisted, 1))


@breaks(FAULTS, "I19")
def a_minor_is_let_in_without_her_guardian(t: Tamper) -> None:
    t.alter(t.find(volunteers.LinkOffered, where=lambda d: d.volunteer_ref == "sz-bo"), guardian_approved=False)
    for kind in (people.OfferLink, people.LinkEstablished):
        t.alter(t.find(kind, where=lambda d: d.home_ref == "sz-bo"), guardian_approved=False)
    bo = t.find(people.LinkEstablished, where=lambda d: d.home_ref == "sz-bo").data.person
    for nth in range(2):
        request = t.find(opportunities.RequestSignup, nth, where=lambda d: d.person == bo)
        t.alter(request, guardian_approved=False)


@breaks(FAULTS, "I19")
def the_stamp_on_a_request_is_not_what_her_home_said(t: Tamper) -> None:
    t.alter(t.find(opportunities.RequestSignup, where=lambda d: d.guardian_approved), guardian_approved=False)
