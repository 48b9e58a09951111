"""Volunteers' refs are for identity and the border: no other service is told of them, and none writes them down."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from contracts.messages import Message
from contracts.messages.deliveries import CreditPosted, LinkChanged
from contracts.messages.receipts import CreditAccepted, CreditRefused
from contracts.messages.refusals import MessageRefused
from contracts.topics import INBOUND, INNER, REFUSALS
from tests.integration.linkage.conftest import Way
from tests.support.on_postgres import OnPostgres
from tests.support.said import HOUR, Shift, attested, consent_withdrawn, offered, presence, requested

HOME_REF, HOST_REF, ASKED_AS = "Sz-volunteer-8841", "Gz-volunteer-7723", "Gz-volunteer-9907"
REFS = [ref.encode() for ref in (HOME_REF, HOST_REF, ASKED_AS)]
MINUTE = timedelta(minutes=1)


def say(way: Way, code: str, message: Message) -> None:
    """Its registry writes the volunteer's ref into the id of the message."""
    ref = HOME_REF if code == "sz" else HOST_REF
    way.say(code, message, id=f"{ref}/{len(way.linkage.log.records)}")


async def lives(way: Way) -> None:
    """A life with all that is refused: she asks twice, gives a post back that she has not, comes, leaves, is attested,
    corrected, and attested otherwise under the same version; her home books it at the second try; she gives her post
    back too late, and takes back her consent."""
    shift, moment = way.shift, way.linkage.now
    say(way, "sz", offered(HOME_REF, "gz", moment))
    say(way, "gz", requested(HOST_REF, "sz", HOME_REF))
    await way.published()
    say(way, "gz", requested(ASKED_AS, "sz", HOME_REF))
    say(way, "gz", requested("Gz-volunteer-0001", "sz", "Sz-volunteer-0001"))
    say(way, "gz", Shift("gz", "P1", "H1", shift.starts_at + HOUR).published(version=2))
    say(way, "gz", shift.withdrawn(HOST_REF, "N0"))
    say(way, "sz", shift.requested(HOME_REF, "N1"))
    say(way, "gz", shift.requested(HOST_REF, "N2"))
    await way.settle()
    await way.pass_time(2 * HOUR)
    await comes(way, shift.starts_at)
    await is_booked(way)
    say(way, "sz", shift.withdrawn(HOME_REF, "N1"))
    say(way, "sz", consent_withdrawn(HOME_REF, "gz", 2))
    await way.settle()


async def comes(way: Way, moment: datetime) -> None:
    say(way, "gz", presence(way.shift, HOST_REF, moment))
    await way.pass_time(HOUR)
    say(way, "gz", presence(way.shift, HOST_REF, moment + HOUR, out=True))
    for version, minutes in ((1, 60), (2, 45), (2, 50)):
        await way.pass_time(2 * MINUTE)
        say(way, "gz", attested(way.shift, HOST_REF, "R1", version=version, minutes=minutes))
    await way.settle()


async def is_booked(way: Way) -> None:
    for booked in (False, True):
        credit = way.told("sz", CreditPosted)[-1]
        about = {"transfer_id": credit.transfer_id, "volunteer_ref": HOME_REF}
        if booked:
            say(way, "sz", CreditAccepted(**about, delta=credit.delta, posted_at=way.linkage.now))
        else:
            say(way, "sz", CreditRefused(**about, reason="closed_today", retry=True))
        await way.settle()
        await way.pass_time(HOUR)


def inner_messages(way: Way) -> Iterator[tuple[str, list[bytes]]]:
    """The topic of each message on an inner topic, and all that the message has: key, body, headers."""
    inner = {entry.name for entry in INNER}
    for record in way.linkage.log.records:
        if record.topic in inner:
            headers = [part for name, value in record.headers for part in (name.encode(), value or b"")]
            yield record.topic, [record.key or b"", record.value or b"", *headers]


async def rows_of(way: Way, name: str) -> str:
    """All tables of a service; in memory its own without the chassis'."""
    member = way.linkage.members[name]
    if isinstance(member.base, OnPostgres):
        return str((await member.base.dump()).tables)
    return str([await member.base.all_of(table.row) for table in member.service.store.tables])


async def test_no_inner_message_but_identitys_has_a_ref_in_it_and_each_refusal_comes_back_under_its_ref(
    way: Way,
) -> None:
    """Seen: every command, and every fact that follows from it, had her ref beside the person."""
    await lives(way)
    for topic, whole in inner_messages(way):
        if not topic.startswith("identity."):
            assert not [ref for ref in REFS for part in whole if ref in part], (topic, whole)
    of_host = way.linkage.log.told(REFUSALS.of("gz").name, MessageRefused)
    of_home = way.linkage.log.told(REFUSALS.of("sz").name, MessageRefused)
    assert [(told.reason, told.refused_key) for told in of_host] == [
        ("window_fixed", "P1"),
        ("no_signup", HOST_REF),
        ("version_conflict", HOST_REF),
    ]
    assert [(told.reason, told.refused_key) for told in of_home] == [("shift_started", HOME_REF)]


async def test_ids_that_registries_give_stay_at_the_border_and_come_back_to_them_from_there(way: Way) -> None:
    """Seen: a registry wrote refs into its ids, and opportunities and attendance had them as origin and cause."""
    await lives(way)
    topics = [entry.of(code).name for entry in INBOUND for code in ("gz", "sz")]
    ids = {event.id for topic in topics for event in way.linkage.log.events(topic) if "/" in event.id}
    for topic, whole in inner_messages(way):
        assert not [id for id in ids for part in whole if id.encode() in part], (topic, whole)
    for name in ("identity", "opportunities", "attendance"):
        rows = await rows_of(way, name)
        assert not [id for id in ids if id in rows], name
    told = [one for code in ("gz", "sz") for one in way.linkage.log.told(REFUSALS.of(code).name, MessageRefused)]
    assert {one.message_id for one in told} < ids
    answers = [one.answers for one in way.told("gz", LinkChanged) if one.state in ("established", "refused")]
    assert len(answers) == 3
    assert set(answers) < ids


async def test_no_table_of_opportunities_or_attendance_has_a_ref_in_it(way: Way) -> None:
    await lives(way)
    for name in ("opportunities", "attendance"):
        rows = await rows_of(way, name)
        assert not [ref for ref in REFS if ref.decode() in rows], name
