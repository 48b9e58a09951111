"""Volunteers' refs are for identity and the border: no other service is told of them, and none writes them down."""

from __future__ import annotations

from datetime import datetime, timedelta

from contracts.messages.refusals import MessageRefused
from contracts.topics import INNER, REFUSALS
from tests.integration.linkage.conftest import Way
from tests.support.on_postgres import OnPostgres
from tests.support.said import HOUR, Shift, attested, consent_withdrawn, offered, presence, requested

HOME_REF, HOST_REF, ASKED_AS = "Sz-volunteer-8841", "Gz-volunteer-7723", "Gz-volunteer-9907"
REFS = [ref.encode() for ref in (HOME_REF, HOST_REF, ASKED_AS)]
MINUTE = timedelta(minutes=1)


async def lives(way: Way) -> None:
    """A life with all that is refused: she asks twice, gives a post back that she has not, comes, leaves, is attested,
    corrected, and attested otherwise under the same version; she gives her post back too late, and takes back her
    consent."""
    shift, moment = way.shift, way.linkage.now
    way.say("sz", offered(HOME_REF, "gz", moment))
    way.say("gz", requested(HOST_REF, "sz", HOME_REF))
    await way.published()
    way.say("gz", requested(ASKED_AS, "sz", HOME_REF))
    way.say("gz", requested("Gz-volunteer-0001", "sz", "Sz-volunteer-0001"))
    way.say("gz", Shift("gz", "P1", "H1", shift.starts_at + HOUR).published(version=2))
    way.say("gz", shift.withdrawn(HOST_REF, "N0"))
    way.say("sz", shift.requested(HOME_REF, "N1"))
    way.say("gz", shift.requested(HOST_REF, "N2"))
    await way.settle()
    await way.pass_time(2 * HOUR)
    await comes(way, shift.starts_at)
    way.say("sz", shift.withdrawn(HOME_REF, "N1"))
    way.say("sz", consent_withdrawn(HOME_REF, "gz", 2))
    await way.settle()


async def comes(way: Way, moment: datetime) -> None:
    way.say("gz", presence(way.shift, HOST_REF, moment))
    await way.pass_time(HOUR)
    way.say("gz", presence(way.shift, HOST_REF, moment + HOUR, out=True))
    for version, minutes in ((1, 60), (2, 45), (2, 50)):
        await way.pass_time(2 * MINUTE)
        way.say("gz", attested(way.shift, HOST_REF, "R1", version=version, minutes=minutes))
    await way.settle()


async def test_no_inner_message_but_identitys_has_a_ref_in_it_and_each_refusal_comes_back_under_its_ref(
    way: Way,
) -> None:
    """Seen: every command, and every fact that follows from it, had her ref beside the person."""
    await lives(way)
    inner = {entry.name for entry in INNER if not entry.name.startswith("identity.")}
    for record in way.linkage.log.records:
        if record.topic in inner:
            whole = [record.key or b"", record.value or b"", *(value or b"" for _, value in record.headers)]
            assert not [ref for ref in REFS for part in whole if ref in part], record
    of_host = way.linkage.log.told(REFUSALS.of("gz").name, MessageRefused)
    of_home = way.linkage.log.told(REFUSALS.of("sz").name, MessageRefused)
    assert [(told.reason, told.refused_key) for told in of_host] == [
        ("window_fixed", "P1"),
        ("no_signup", HOST_REF),
        ("version_conflict", HOST_REF),
    ]
    assert [(told.reason, told.refused_key) for told in of_home] == [("shift_started", HOME_REF)]


async def test_no_table_of_opportunities_or_attendance_has_a_ref_in_it(way: Way) -> None:
    await lives(way)
    for name in ("opportunities", "attendance"):
        base = way.linkage.members[name].base
        rows = (
            str((await base.dump()).tables)
            if isinstance(base, OnPostgres)
            else str([await base.all_of(table.row) for table in way.linkage.members[name].service.store.tables])
        )
        assert not [ref for ref in REFS if ref.decode() in rows], name
