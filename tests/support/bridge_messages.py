"""What registries and inner services say to the border, of volunteer S1 of sz who serves in gz as G1."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from contracts.envelope import Event
from contracts.ids import signup_id
from contracts.messages import (
    Message,
    attendance,
    identity,
    opportunities,
    service,
    signups,
    volunteers,
)
from contracts.messages.base import AgeBand, Consent, EvidenceClass, Origin
from contracts.messages.service import ServiceRecord
from contracts.registry import Capability, Names, Registry, System
from contracts.topics import ATTENDANCE_EVENTS, BRIDGE_COMMANDS, IDENTITY_EVENTS, OPPORTUNITIES_EVENTS, TopicEntry
from services.chassis.decisions import Inbound
from tests.support.naming import own_id

T0 = datetime(2026, 7, 18, 6, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PERSON = UUID("00000000-0000-4000-8000-000000000001")
HOST, HOME, THIRD = "gz", "sz", "fs"
HOST_REF, HOME_REF = "G1", "S1"
CODE = "c" * 43


def registry(code: str, capability: Capability = "idempotent", state: Any = "active") -> Registry:
    names = Names(zh=code, en=code)
    return Registry(
        code=code, names=names, division_code="440000", state=state, capability=capability, system=System(kind="none")
    )


def inbound(source: str, message: Message) -> Inbound:
    """A message as rules see it."""
    return Inbound(Event("e1", source, T0, message), "t", UUID(int=1), T0)


def inner(message: Message) -> tuple[str, TopicEntry]:
    """Which service of the linkage says this to the border, and where."""
    topics = IDENTITY_EVENTS, OPPORTUNITIES_EVENTS, ATTENDANCE_EVENTS, BRIDGE_COMMANDS
    return message.TYPE.split(".")[1], next(entry for entry in topics if type(message) in entry.messages)


def consent(version: int = 1, valid_until: datetime | None = None) -> Consent:
    return Consent(version=version, given_at=T0, valid_until=valid_until)


def established(
    version: int = 1,
    *,
    person: UUID = PERSON,
    host: str = HOST,
    host_ref: str = HOST_REF,
    home: str = HOME,
    home_ref: str = HOME_REF,
    consent_version: int = 1,
    until: datetime | None = None,
    guardian: bool = True,
    origin: Origin | None = None,
    asked_as: str | None = None,
) -> identity.LinkEstablished:
    return identity.LinkEstablished(
        person=person,
        home=home,
        home_ref=home_ref,
        host=host,
        host_ref=host_ref,
        link_version=version,
        age_band=AgeBand.FROM_16,
        guardian_approved=guardian,
        consent=consent(consent_version, until),
        origin=origin,
        asked_as=asked_as or (None if origin is None else host_ref),
    )


def link_refused(reason: str, origin: Origin, host_ref: str = HOST_REF) -> identity.LinkRefused:
    return identity.LinkRefused(
        person=PERSON, home=HOME, home_ref=HOME_REF, host=HOST, host_ref=host_ref, reason=reason, origin=origin
    )


def broken(version: int, by: str = HOME) -> identity.LinkBroken:
    return identity.LinkBroken(
        person=PERSON,
        home=HOME,
        home_ref=HOME_REF,
        host=HOST,
        host_ref=HOST_REF,
        link_version=version,
        by=by,
        reason="volunteer_asked",
    )


def restored(version: int, by: str = HOME) -> identity.LinkRestored:
    return identity.LinkRestored(
        person=PERSON, home=HOME, home_ref=HOME_REF, host=HOST, host_ref=HOST_REF, link_version=version, by=by
    )


def record(version: int = 1, minutes: int = 60, record_ref: str = "R1") -> ServiceRecord:
    return ServiceRecord(
        record_ref=record_ref,
        version=version,
        project_ref="P1",
        shift_ref="H1",
        started_at=T0 - timedelta(hours=4),
        ended_at=T0 - timedelta(hours=4) + minutes * MINUTE,
        evidence_class=EvidenceClass.SCAN,
    )


def _fact(body: ServiceRecord, host: str) -> dict[str, Any]:
    return {"person": PERSON, "host": host, "signup_id": signup_id(PERSON, host, "P1", "H1"), "record": body}


def confirmed(version: int, minutes: int, record_ref: str = "R1", host: str = HOST) -> attendance.ServiceConfirmed:
    return attendance.ServiceConfirmed(**_fact(record(version, minutes, record_ref), host), minutes=minutes)


def attested(version: int = 1, minutes: int = 60, ref: str = HOST_REF) -> service.ServiceAttested:
    return service.ServiceAttested(**record(version, minutes).model_dump(), volunteer_ref=ref)


def reviewed(version: int = 1, ref: str = HOST_REF) -> service.ServiceReviewed:
    return service.ServiceReviewed(
        volunteer_ref=ref,
        project_ref="P1",
        shift_ref="H1",
        record_ref="R1",
        version=version,
        reviewer="chief",
        tier="host",
        outcome="approved",
        reason="list_seen",
    )


def signup(kind: Any = signups.SignupRequested, *, ref: str = HOST_REF, host: str = HOST, **more: Any) -> Message:
    made: Message = kind(signup_ref="N1", volunteer_ref=ref, host=host, project_ref="P1", shift_ref="H1", **more)
    return made


def origin(code: str = HOST, id: str = "e1") -> Origin:
    """The registry's message of this id, in the border's own words for it, whether it was said or not."""
    return Origin(registry=code, message=own_id(code, id))


def person(number: int) -> UUID:
    return uuid5(PERSON, str(number))


def offered(for_registry: str = HOST, given: Consent | None = None) -> volunteers.LinkOffered:
    return volunteers.LinkOffered(
        volunteer_ref=HOME_REF,
        for_registry=for_registry,
        code_hash="a" * 64,
        age_band=AgeBand.ADULT,
        guardian_approved=False,
        consent=given or consent(),
        expires_at=T0 + 10 * MINUTE,
    )


def requested(code: str = CODE) -> volunteers.LinkRequested:
    return volunteers.LinkRequested(volunteer_ref=HOST_REF, home=HOME, home_ref=HOME_REF, code=code)


def checked_in(at: Any) -> service.CheckedIn:
    return service.CheckedIn(volunteer_ref=HOST_REF, project_ref="P1", shift_ref="H1", at=at, method="scan")


def reported(ref: str = HOME_REF, host: str = HOME) -> Message:
    return signup(signups.SignupReported, ref=ref, host=host, starts_at=T0, ends_at=T0 + 60 * MINUTE)


def told_of(kind: Any = opportunities.SignupConfirmed, host: str = HOST, asker: str = HOST, **more: Any) -> Message:
    made: Message = kind(
        host=host,
        project_ref="P1",
        signup_id=signup_id(PERSON, host, "P1", "H1"),
        person=PERSON,
        shift_ref="H1",
        asker=asker,
        signup_ref="N1",
        origin=origin(asker),
        **more,
    )
    return made
