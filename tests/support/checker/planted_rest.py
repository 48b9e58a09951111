"""Planted faults of consent, secrets, poison, and messages still on their way."""

from __future__ import annotations

from typing import Any, Final

from contracts.messages import attendance, deliveries, opportunities, refusals, service, volunteers
from contracts.messages import identity as people
from deploy.audit.world import Line
from tests.support.checker.planted import Faults, Named, Offence, breaks, of_record
from tests.support.checker.scenario import CANARY
from tests.support.checker.tampering import Tamper

__all__ = ["FAULTS"]

FAULTS: Final[Faults] = {}
_ATTENDANCE: Final = "registry.gz.attendance.v1"


@breaks(FAULTS, "I13")
def a_credit_is_sent_after_consent_was_withdrawn(t: Tamper) -> Offence:
    """The credit itself says that it was decided after the withdrawal's command."""
    later = t.find(people.RecordConsent, where=lambda d: (d.home_ref, d.state) == ("gz-fay", "withdrawn"))
    credit = t.find(deliveries.CreditPosted, where=of_record("sz-fay-aid-wed-r"))
    return t.alter(credit, behind=later)


@breaks(FAULTS, "I14")
def a_code_stands_in_clear_in_a_table(t: Tamper) -> Offence:
    code = t.find(volunteers.LinkRequested).data.code
    row = t.rows("bridge", "step")[0]
    row["detail"] = row["detail"] | {"note": f"code={code}"}
    return Named(row["person"])


@breaks(FAULTS, "I14")
def a_number_of_a_document_stands_on_a_topic(t: Tamper) -> Offence:
    told = t.find(deliveries.LinkChanged, where=lambda d: d.volunteer_ref == "gz-bo")
    assert told.value is not None
    return t.replace_bytes(told, told.value[:-1] + f',"note":"{CANARY}"}}'.encode())


def _bad(t: Tamper, fault: str) -> Line:
    return next(x for x in t.world.lines[_ATTENDANCE] if x.fault == fault)


def _aside(t: Tamper, line: Line, database: str, **more: Any) -> None:
    place = {"topic": line.topic, "partition": line.partition, "offset": line.offset}
    like = t.row("bridge", "set_aside", reason="bytes")
    t.copy_row(database, "set_aside", of=like, key=line.key, value=line.value, **place | more)


@breaks(FAULTS, "I15")
def a_bad_message_is_not_kept(t: Tamper) -> Offence:
    t.drop_row("bridge", "set_aside", reason="bytes")
    return _bad(t, "bytes")


@breaks(FAULTS, "I15")
def a_message_in_the_partition_of_another_key_is_not_kept(t: Tamper) -> Offence:
    confirmed = t.find(attendance.ServiceConfirmed)
    return Named(confirmed.data.person, at=t.add(confirmed, astray=True))


@breaks(FAULTS, "I7")
def a_used_id_is_not_told_to_its_sender(t: Tamper) -> Offence:
    used = t.row("bridge", "set_aside", reason="reused_id")
    t.drop(t.find(refusals.MessageRefused, where=lambda d: d.reason == "reused_id"))
    place = (used["topic"], used["partition"], used["offset"])
    return next(x for x in t.world.lines[used["topic"]] if x.place == place)


@breaks(FAULTS, "I15")
def a_bad_message_is_kept_with_other_bytes(t: Tamper) -> Offence:
    t.row("bridge", "set_aside", reason="bytes")["value"] = b"{}"
    return _bad(t, "bytes")


@breaks(FAULTS, "I15")
def a_bad_message_is_kept_for_another_reason(t: Tamper) -> Offence:
    t.row("bridge", "set_aside", reason="wrong_key")["reason"] = "schema"
    return _bad(t, "wrong_key")


@breaks(FAULTS, "I15")
def a_good_message_is_in_quarantine(t: Tamper) -> Offence:
    good = t.find(service.CheckedOut)
    _aside(t, good, "bridge")
    return good


@breaks(FAULTS, "I15")
def a_decision_raised(t: Tamper) -> Offence:
    refused = t.find(opportunities.CommandRefused)  # attendance reads these, and has no use for them
    _aside(t, refused, "attendance", reason="raised", subject="project:gz:river")
    return refused


@breaks(FAULTS, "I15")
def a_message_is_kept_that_stands_nowhere(t: Tamper) -> Offence:
    good = t.find(service.CheckedOut)
    last = max(x.offset for x in t.world.lines[good.topic] if x.partition == good.partition)
    gone = Line(good.topic, good.partition, last + 7, 0, good.key, (), b"gone")
    _aside(t, gone, "bridge")
    return gone


@breaks(FAULTS, "I16")
def a_message_stands_in_an_outbox(t: Tamper) -> Offence:
    person, topic = t.person("sz", "sz-ann"), "identity.events.v1"
    t.rows("identity", "outbox").append({"id": 1, "topic": topic, "key": str(person), "headers": b"", "value": b""})
    return Named(person, topic=topic)


@breaks(FAULTS, "I16")
def a_reader_is_behind(t: Tamper) -> Offence:
    row = next(r for r in t.rows("attendance", "consumed") if r["next_offset"] > 0)
    row["next_offset"] -= 1
    place = (row["topic"], row["partition"], row["next_offset"])
    return next(x for x in t.world.lines[row["topic"]] if x.place == place)


@breaks(FAULTS, "I16")
def a_message_waits_for_a_fact(t: Tamper) -> Offence:
    came = t.find(attendance.RecordCheckIn)
    _aside(t, came, "identity", reason="waiting", subject="presence:x", fact="person:x")
    return came


@breaks(FAULTS)
def a_relay_that_repeats_a_message_harms_nobody(t: Tamper) -> Offence:
    """A relay promises *at least once*: the same id again is no fault."""
    for kind in (opportunities.SignupPromoted, attendance.ServiceConfirmed, deliveries.CreditPosted):
        repeated = t.find(kind)
        t.add(repeated, id=repeated.id)
    return {}


@breaks(FAULTS)
def a_column_and_a_table_that_the_checker_does_not_know_harm_nobody(t: Tamper) -> Offence:
    for tables in t.world.tables.values():
        for name in list(tables):
            tables[name] = [row | {"added_later": 7} for row in tables[name]]
        tables["added_later"] = [{"id": 1}]
    return {}


@breaks(FAULTS)
def a_bad_message_that_an_operator_discarded_harms_nobody(t: Tamper) -> Offence:
    gone = t.drop_row("bridge", "set_aside", reason="bytes")
    t.world.tables["bridge"].setdefault("discarded", []).append(gone | {"why": "rubbish"})
    return {}
