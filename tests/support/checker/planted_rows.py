"""Planted faults of tables and positions: rows that are lost, and rows that do not follow from the logs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from contracts.messages import attendance, bridge, deliveries, opportunities, refusals, service
from contracts.messages import identity as people
from deploy.audit.world import Line
from tests.support.checker.planted import Fault, Faults, Named, Offence, breaks, of_record
from tests.support.checker.tampering import Tamper, first_of

__all__ = ["FAULTS"]

FAULTS: Final[Faults] = {}
_FAY: Final = "sz-fay-aid-wed-r"
_ANN: Final = "gz-ann-river-tue-r"


def _signups(t: Tamper, shift: str, volunteer: Any) -> list[Line]:
    kinds = (opportunities.SignupConfirmed, opportunities.SignupWaitlisted, opportunities.SignupPromoted)
    return [x for kind in kinds for x in t.all(kind, lambda d: (d.shift_ref, d.person) == (shift, volunteer))]


# Loss ----------------------------------------------------------------------------------------------------------------


@breaks(FAULTS, "I8")
def a_message_of_a_registry_is_not_seen(t: Tamper) -> Offence:
    unseen = t.find(service.CheckedOut)
    t.drop_row("bridge", "inbox", id=unseen.id)
    return unseen


@breaks(FAULTS, "I8")
def an_event_is_passed_over_by_one_of_its_readers(t: Tamper) -> Offence:
    unseen = t.find(opportunities.SignupPromoted)
    t.drop_row("attendance", "inbox", id=unseen.id)
    return unseen


@breaks(FAULTS, "I7", "I8")
def a_message_of_a_registry_is_passed_over(t: Tamper) -> Offence:
    """A message that no service saw has no answer either."""
    return t.add(t.find(service.CheckedOut), seen=False)


@breaks(FAULTS, "I8", "I16")
def attendance_never_read_what_became_of_sign_ups(t: Tamper) -> Offence:
    return first_of(t.unread("attendance", "opportunities.events.v1"))


@breaks(FAULTS, "I8", "I16")
def an_adapter_never_read_what_its_registry_was_told(t: Tamper) -> Offence:
    return first_of(t.unread("adapter_sz", "registry.sz.deliveries.v1"))


@breaks(FAULTS, "I16")
def a_reader_has_no_position_where_messages_stand(t: Tamper) -> Offence:
    begins = t.find(attendance.RecordCheckIn)
    t.drop_row("attendance", "consumed", topic=begins.topic, partition=begins.partition)
    return next(x for x in t.world.lines[begins.topic] if (x.partition, x.offset) == (begins.partition, 0))


@breaks(FAULTS, "I8")
def a_check_in_leaves_no_row(t: Tamper) -> Offence:
    came = t.find(attendance.RecordCheckIn, where=lambda d: d.shift_ref == "own-am")  # no check-out is known
    t.drop_row("attendance", "presence", signup_id=came.data.signup_id)
    return came


@breaks(FAULTS, "I8")
def a_sign_up_leaves_no_row(t: Tamper) -> Offence:
    told = t.find(opportunities.SignupConfirmed, where=lambda d: d.shift_ref == "park-thu")
    t.drop_row("opportunities", "signup", signup_id=told.data.signup_id)
    return told


@breaks(FAULTS, "I8")
def no_consent_is_kept(t: Tamper) -> Offence:
    t.rows("identity", "consent").clear()
    # The rows of kim, and of those who withdrew, were told later.
    renewed = {x.data.home_ref for x in t.all(people.RecordConsent)}
    return first_of(t.all(people.OfferLink, lambda d: d.home_ref not in renewed))


@breaks(FAULTS, "I8")
def no_offer_is_kept(t: Tamper) -> Offence:
    t.rows("identity", "offer").clear()
    return first_of(t.all(people.OfferLink, lambda d: d.home_ref != "sz-ivy"))  # a guess changed ivy's row last


@breaks(FAULTS, "I8")
def nothing_is_kept_of_what_sign_ups_were_told(t: Tamper) -> Offence:
    t.rows("opportunities", "signup_outcome").clear()
    kinds = (opportunities.SignupConfirmed, opportunities.SignupWaitlisted, opportunities.SignupRefused)
    return first_of([x for kind in kinds for x in t.all(kind)])


@breaks(FAULTS, "I8")
def a_step_is_missing_in_her_timeline(t: Tamper) -> Offence:
    t.drop_row("bridge", "step", subject=_FAY, what="service_confirmed")
    return t.find(attendance.ServiceConfirmed, where=of_record(_FAY))


@breaks(FAULTS, "I8")
def a_refusal_is_not_counted(t: Tamper) -> Offence:
    t.drop_row("bridge", "refusal", reason="link_broken")
    return t.find(refusals.MessageRefused, where=lambda d: d.reason == "link_broken")


@breaks(FAULTS, "I8")
def an_adapter_has_lost_a_credit(t: Tamper) -> Offence:
    sent = t.find(deliveries.CreditPosted, where=of_record(_ANN))
    t.drop_row("adapter_sz", "credit", transfer_id=sent.data.transfer_id)
    return _receipt(t, sent)


def _receipt(t: Tamper, sent: Line) -> Line:
    from contracts.messages.receipts import CreditAccepted

    return t.find(CreditAccepted, where=lambda d: d.transfer_id == sent.data.transfer_id)


# Invention and change ------------------------------------------------------------------------------------------------


@breaks(FAULTS, "I12")
def a_transfer_stands_otherwise_than_was_told(t: Tamper) -> Offence:
    row = t.row("bridge", "transfer", state="withheld")
    row["state"] = "credited"
    return t.find(bridge.TransferChanged, -1, where=lambda d: d.transfer_id == row["id"])


@breaks(FAULTS, "I12")
def a_day_has_other_minutes_than_its_records(t: Tamper) -> Offence:
    fact = t.find(attendance.ServiceConfirmed, where=of_record(_FAY))
    t.row("attendance", "person_day", person=fact.data.person)["minutes"] += 1
    return fact


@breaks(FAULTS, "I12")
def a_sign_up_stands_that_nobody_was_told_of(t: Tamper) -> Offence:
    row = t.rows("opportunities", "signup")[0]
    t.copy_row("opportunities", "signup", of=row, signup_id=t.anyone())
    return Named(row["person"])


@breaks(FAULTS, "I12")
def a_service_has_seen_what_is_on_no_log(t: Tamper) -> Offence:
    t.copy_row("identity", "inbox", of=t.rows("identity", "inbox")[0], id="elsewhere")
    return Named()


def _altered(name: str, database: str, table: str, column: str, value: Any, tell: Any, **which: Any) -> None:
    """One column of one row has another value. ``tell`` finds the message that set it last."""

    def fault(t: Tamper) -> Offence:
        row = t.row(database, table, **{key: find(t) if callable(find) else find for key, find in which.items()})
        line: Line = tell(t)
        row[column] = value(row[column]) if callable(value) else value
        return line

    fault.__name__ = name
    planted: Fault = fault
    breaks(FAULTS, "I12")(planted)


def _shift(t: Tamper) -> Line:
    return t.find(opportunities.PublishShift, -1, where=lambda d: d.shift.shift_ref == "river-tue")


def _confirmed(t: Tamper) -> Line:
    return t.find(opportunities.SignupConfirmed, where=lambda d: d.shift_ref == "aid-fri" and d.asker == "sz")


def _fact(t: Tamper) -> Line:
    return t.find(attendance.ServiceConfirmed, where=of_record(_FAY))


def _ended(t: Tamper) -> Line:
    return t.find(bridge.TransferChanged, -1, where=lambda d: d.record_ref == _FAY)


def _accepted(t: Tamper) -> Line:
    return _receipt(t, t.find(deliveries.CreditPosted, where=of_record(_ANN)))


def _id_of(tell: Any, name: str) -> Any:
    return lambda t: getattr(tell(t).data, name)


def _later(moment: Any) -> Any:
    return moment + timedelta(minutes=1)


_altered("a_shift_has_another_capacity", "opportunities", "shift", "capacity", 7, _shift, shift_ref="river-tue")
_altered(
    "a_shift_has_another_place_in_line", "opportunities", "shift", "last_position", 7, _shift, shift_ref="river-tue"
)
for _column in ("starts_at", "ends_at"):
    _id = _id_of(_confirmed, "signup_id")
    _name = f"a_sign_up_{_column[:-3]}_at_another_time"
    _altered(_name, "opportunities", "signup", _column, _later, _confirmed, signup_id=_id)
for _column in ("counted_from", "counted_to"):
    _altered(
        f"a_record_is_{_column}_another_time", "attendance", "service_record", _column, _later, _fact, record_ref=_FAY
    )
for _column, _value in (
    ("home", "sz"),
    ("home_ref", "gz-dan"),
    ("record_ref", "other"),
    ("delta", 160),
    ("attempts", 3),
):
    _altered(f"a_transfer_has_another_{_column}", "bridge", "transfer", _column, _value, _ended, record_ref=_FAY)
for _column, _value in (("state", "uncertain"), ("posted_delta", 160)):
    _id = _id_of(_accepted, "transfer_id")
    _altered(f"a_credit_has_another_{_column}", "adapter_sz", "credit", _column, _value, _accepted, transfer_id=_id)
_altered(
    "an_overbooking_is_forgotten",
    "opportunities",
    "signup_outcome",
    "posts",
    9,
    _confirmed,
    signup_id=_id_of(_confirmed, "signup_id"),
)
