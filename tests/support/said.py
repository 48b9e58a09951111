"""What registries say on the whole way from an offered link to a service record, in few words each."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from contracts.messages import service, shifts, signups, volunteers
from contracts.messages.base import AgeBand, Consent, EvidenceClass
from contracts.messages.shifts import Category, Place

__all__ = ["Shift", "attested", "consent_given", "consent_withdrawn", "offered", "presence", "project", "requested"]

HOUR: Final = timedelta(hours=1)


def code_of(word: str) -> str:
    """A one-time code as long as the contract wants it."""
    return word.ljust(43, "-")


def offered(
    ref: str,
    host: str,
    now: datetime,
    *,
    code: str = "code",
    version: int | None = 1,
    valid_until: datetime | None = None,
) -> volunteers.LinkOffered:
    """A home offers her to a host, for ten minutes."""
    return volunteers.LinkOffered(
        volunteer_ref=ref,
        for_registry=host,
        code_hash=sha256(code_of(code).encode()).hexdigest(),
        age_band=AgeBand.ADULT,
        guardian_approved=False,
        consent=None if version is None else Consent(version=version, given_at=now, valid_until=valid_until),
        expires_at=now + timedelta(minutes=10),
    )


def requested(ref: str, home: str, home_ref: str, *, code: str = "code") -> volunteers.LinkRequested:
    """A host asks for the link."""
    return volunteers.LinkRequested(volunteer_ref=ref, home=home, home_ref=home_ref, code=code_of(code))


def consent_given(ref: str, host: str, version: int, now: datetime) -> volunteers.ConsentGiven:
    """The home says that she consents."""
    return volunteers.ConsentGiven(volunteer_ref=ref, registry=host, consent=Consent(version=version, given_at=now))


def consent_withdrawn(ref: str, host: str, version: int) -> volunteers.ConsentWithdrawn:
    """The home says that she takes it back."""
    return volunteers.ConsentWithdrawn(volunteer_ref=ref, registry=host, version=version)


def project(ref: str, version: int = 1) -> shifts.ProjectPublished:
    """A host's project."""
    return shifts.ProjectPublished(
        project_ref=ref, version=version, title=ref, category=Category.ECOLOGY, organiser_ref="o-1"
    )


class Shift:
    """A shift of a project, and what is said about it."""

    def __init__(self, host: str, project_ref: str, ref: str, starts_at: datetime, hours: int = 3) -> None:
        self.host = host
        self.names: dict[str, Any] = {"project_ref": project_ref, "shift_ref": ref}
        self.ref = ref
        self.version = 0
        self.starts_at = starts_at
        self.ends_at = starts_at + hours * HOUR

    def published(
        self, version: int = 1, *, posts: int = 1, waitlist: int = 0, cancelled: bool = False
    ) -> shifts.ShiftPublished:
        """The host publishes it; sign-up is open until it begins."""
        return shifts.ShiftPublished(
            **self.names,
            version=version,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            signup_opens_at=self.starts_at - 240 * HOUR,
            signup_closes_at=self.starts_at,
            posts=posts,
            waitlist_posts=waitlist,
            place=Place(division_code="440104", text="Riverside"),
            state="cancelled" if cancelled else "open",
        )

    def requested(self, ref: str, signup_ref: str) -> signups.SignupRequested:
        """She asks for it."""
        return signups.SignupRequested(**self.names, host=self.host, volunteer_ref=ref, signup_ref=signup_ref)

    def withdrawn(self, ref: str, signup_ref: str) -> signups.SignupWithdrawn:
        """She gives it back."""
        return signups.SignupWithdrawn(**self.names, host=self.host, volunteer_ref=ref, signup_ref=signup_ref)

    def reported(self, ref: str, signup_ref: str, state: Any = "active") -> signups.SignupReported:
        """She is busy with it at home."""
        return signups.SignupReported(
            **self.names,
            host=self.host,
            volunteer_ref=ref,
            signup_ref=signup_ref,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            state=state,
        )


def presence(shift: Shift, ref: str, at: datetime, *, out: bool = False) -> service.CheckedIn | service.CheckedOut:
    """She came, or left."""
    said = service.CheckedOut if out else service.CheckedIn
    return said(**shift.names, volunteer_ref=ref, at=at, method="scan")


def attested(
    shift: Shift, ref: str, record_ref: str, version: int = 1, minutes: int = 60, *, revoked: bool = False
) -> service.ServiceAttested:
    """The host attests her service from the shift's begin on."""
    return service.ServiceAttested(
        **shift.names,
        volunteer_ref=ref,
        record_ref=record_ref,
        version=version,
        started_at=shift.starts_at,
        ended_at=shift.starts_at + timedelta(minutes=minutes),
        evidence_class=EvidenceClass.SCAN,
        revoked=revoked,
    )
