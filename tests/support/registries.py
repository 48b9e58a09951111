"""What a small registry and its linkage say to each other, for tests of sandboxes and adapters."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import yaml

from contracts.envelope import Event
from contracts.messages import Message, deliveries, receipts, refusals, service, shifts, signups, volunteers
from contracts.messages.base import AgeBand, Consent, EvidenceClass
from contracts.messages.service import ServiceRecord
from contracts.messages.shifts import Campaign, Category, Place
from contracts.registry import Capability, Registry
from contracts.topics import registry_source, service_source
from deploy.tryout.local.registries import TRYOUT

MORNING = datetime(2026, 7, 4, 1, 0, tzinfo=UTC)
"""Nine o'clock on a Saturday in Shanghai."""


def new_code() -> str:
    """A registry that no other test uses."""
    return f"r{uuid.uuid4().hex[:7]}"


def seat(capability: Capability, *, settles: float = 30) -> Registry:
    """A registry with this capability, whose ledger works on a credit for at most so many seconds."""
    return Registry.model_validate(
        {
            "code": "sz",
            "names": {"zh": "试", "en": "test"},
            "division_code": "440300",
            "capability": capability,
            "system": {"kind": "rest_api", "address": "http://127.0.0.1:1"},
            "settles_within_seconds": settles,
        }
    )


def write_seat(folder: Path, code: str, **system: str) -> Path:
    """The file of a registry without Kafka, with these fields of its ``system``."""
    content = seat("idempotent").model_dump(mode="json") | {"code": code}
    content["system"] |= system
    file = folder / f"{code}.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


def unjudged(folder: Path) -> Path:
    """A folder of the seats for a first look, whose policy asks for a check-in of the day alone. On pages somebody
    comes and leaves within seconds."""
    for file in TRYOUT.glob("*.yaml"):
        seat = yaml.load(file.read_text("utf-8"), Loader=yaml.BaseLoader)
        for version in seat["policy"]:
            version.pop("as_host"), version.pop("as_home")
        (folder / file.name).write_text(yaml.safe_dump(seat, allow_unicode=True), "utf-8")
    return folder


def own(code: str, message: Message, *, id: str | None = None) -> Event:
    """An event that the registry sends."""
    return Event(id or str(uuid.uuid4()), registry_source(code), MORNING, message)


def told(message: Message) -> Event:
    """An event that the linkage sends to the registry."""
    return Event(str(uuid.uuid4()), service_source("bridge"), MORNING, message)


def offered(ref: str, registry: str = "gz") -> volunteers.LinkOffered:
    """A volunteer of ours who may serve there; it makes her known here."""
    return volunteers.LinkOffered(
        volunteer_ref=ref,
        for_registry=registry,
        code_hash="a" * 64,
        age_band=AgeBand.ADULT,
        guardian_approved=False,
        consent=Consent(version=1, given_at=MORNING),
        expires_at=MORNING + timedelta(days=1),
    )


def requested(ref: str, home: str = "sz") -> volunteers.LinkRequested:
    """A visitor."""
    return volunteers.LinkRequested(volunteer_ref=ref, home=home, home_ref="H-1", code="c" * 43)


def link(ref: str, registry: str, state: Literal["established", "refused", "broken", "restored"]) -> Message:
    """The state of the link."""
    return deliveries.LinkChanged(volunteer_ref=ref, registry=registry, state=state)


def record(record_ref: str, version: int = 1, *, minutes: int = 90, revoked: bool = False) -> dict[str, Any]:
    """The fields of a service record of so many minutes."""
    return {
        "record_ref": record_ref,
        "version": version,
        "project_ref": "P-1",
        "shift_ref": "S-1",
        "started_at": MORNING,
        "ended_at": MORNING + timedelta(minutes=minutes),
        "evidence_class": EvidenceClass.SCAN,
        "revoked": revoked,
    }


def attested(ref: str, record_ref: str, version: int = 1, **more: Any) -> service.ServiceAttested:
    """A service record as the host attests it."""
    return service.ServiceAttested(volunteer_ref=ref, **record(record_ref, version, **more))


def decided(
    ref: str, record_ref: str, version: int, state: Literal["confirmed", "held", "revoked"], minutes: int = 90
) -> deliveries.ServiceDecided:
    """The linkage's decision about a record."""
    return deliveries.ServiceDecided(
        volunteer_ref=ref, record_ref=record_ref, version=version, state=state, minutes=minutes
    )


def credit(
    ref: str, delta: int = 90, *, transfer_id: uuid.UUID | None = None, host: str = "gz"
) -> deliveries.CreditPosted:
    """Minutes served elsewhere."""
    return deliveries.CreditPosted(
        volunteer_ref=ref,
        transfer_id=transfer_id or uuid.uuid4(),
        host=host,
        total=max(delta, 0),
        delta=delta,
        record=ServiceRecord(**record(f"V-{uuid.uuid4().hex[:8]}", minutes=max(delta, 1))),
    )


def one_of_each(ref: str = "V-1") -> list[tuple[Message, bool]]:
    """Every message that a registry's books take in, and whether it is sent in its name."""
    return [(message, True) for message in _of_its_own(ref)] + [(message, False) for message in _told_it(ref)]


_AT_SHIFT: dict[str, Any] = {"project_ref": "P-1", "shift_ref": "S-1"}
_WINDOW: dict[str, Any] = {"starts_at": MORNING, "ends_at": MORNING + timedelta(hours=2)}


def _sign_up(ref: str) -> dict[str, Any]:
    return {"signup_ref": "U-1", "volunteer_ref": ref, "host": "gz", **_AT_SHIFT}


def _published() -> list[Message]:
    project = shifts.ProjectPublished(
        project_ref="P-1",
        version=3,
        title="志愿护绿驿站",
        category=Category.ECOLOGY,
        campaign=Campaign(ref="C-1", title="志愿一夏"),
        organiser_ref="O-1",
    )
    shift = shifts.ShiftPublished(
        **_AT_SHIFT,
        **_WINDOW,
        version=1,
        signup_opens_at=MORNING - timedelta(days=9),
        signup_closes_at=MORNING - timedelta(days=1),
        posts=20,
        waitlist_posts=5,
        minimum_age=14,
        place=Place(division_code="440104", text="二沙岛艺术公园"),
    )
    return [project, shift]


def _of_its_own(ref: str) -> list[Message]:
    sign_up = _sign_up(ref)
    presence: dict[str, Any] = {"volunteer_ref": ref, "at": MORNING, **_AT_SHIFT}
    consent = Consent(version=2, given_at=MORNING)
    return [
        offered(ref),
        requested(ref),
        volunteers.ConsentGiven(volunteer_ref=ref, registry="gz", consent=consent),
        volunteers.ConsentWithdrawn(volunteer_ref=ref, registry="gz", version=2),
        volunteers.LinkBroken(volunteer_ref=ref, registry="gz", reason="volunteer_asked"),
        volunteers.LinkRestored(volunteer_ref=ref, registry="gz"),
        *_published(),
        signups.SignupRequested(**sign_up),
        signups.SignupWithdrawn(**sign_up),
        signups.SignupReported(**sign_up, **_WINDOW),
        signups.SignupReported(**sign_up, **_WINDOW, state="withdrawn"),
        service.CheckedIn(**presence, method="scan"),
        service.CheckedOut(**presence, method="organiser"),
        attested(ref, "R-1", 2),
        attested(ref, "R-1", 3, revoked=True),
    ]


def _told_it(ref: str) -> list[Message]:
    sign_up = _sign_up(ref)
    return [
        link(ref, "gz", "established"),
        deliveries.LinkChanged(volunteer_ref=ref, registry="gz", state="refused", reason="wrong_code"),
        deliveries.ConsentChanged(volunteer_ref=ref, registry="gz", state="withdrawn", version=2),
        deliveries.SignupChanged(**sign_up, **_WINDOW, signup_id=uuid.uuid4(), asker="sz", state="confirmed"),
        deliveries.SignupChanged(**sign_up, signup_id=uuid.uuid4(), asker="sz", state="refused", reason="clash"),
        decided(ref, "R-1", 2, "held"),
        deliveries.CreditReported(
            volunteer_ref=ref,
            record_ref="R-1",
            version=2,
            home="sz",
            transfer_id=uuid.uuid4(),
            state="credited",
            total=90,
        ),
        refusals.MessageRefused(
            message_id="m-1", reason="not_linked", pointer="/volunteer_ref", refused_key=ref, detail="no link"
        ),
    ]


def said(receipt: Message) -> tuple[str, str, object]:
    """A receipt in short: its kind, the volunteer, and the minutes or the reason."""
    kind = type(receipt).__name__
    if isinstance(receipt, receipts.CreditAccepted):
        return kind, receipt.volunteer_ref, receipt.delta
    if isinstance(receipt, receipts.CreditRefused):
        return kind, receipt.volunteer_ref, receipt.reason
    assert isinstance(receipt, receipts.CreditUnknown)
    return kind, receipt.volunteer_ref, None
