"""What identity keeps, a row type per table. Refs are opaque; codes are here as hashes only."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from contracts.consent import Standing
from contracts.frozen import frozen
from contracts.messages.base import AgeBand, Consent, Origin

__all__ = [
    "Account",
    "CommandRefusal",
    "ConsentState",
    "Established",
    "Link",
    "LinkRefusal",
    "Offer",
    "Request",
    "Role",
]

LinkRefusal = Literal[
    "wrong_code", "expired", "other_registry", "no_offer", "already_linked", "code_used", "too_many_attempts"
]
"""Why a host's request is refused."""
CommandRefusal = Literal[
    "same_registry",
    "guest_account",
    "consent_incomplete",
    "stale_consent",
    "not_linked",
    "already_broken",
    "not_broken",
    "not_yours_to_restore",
]
"""Why a command of a home account is not followed."""
Established = Literal["established"]
"""The outcome of a request that is not refused."""


@frozen
class Account:
    """A home account and the person behind it, for ever."""

    home: str
    home_ref: str
    person: UUID


@frozen
class Role:
    """An account of a registry is for ever a volunteer's home since its first offer, or a guest's since its link.

    An account has one row. Where two batches would make it both, the second one to insert the row decides again.
    """

    registry: str
    ref: str
    role: Literal["home", "host"]


@frozen
class Offer:
    """The newest offer of a person for one host."""

    person: UUID
    host: str
    code_hash: str
    age_band: AgeBand
    guardian_approved: bool
    offered_at: datetime
    expires_at: datetime


@frozen
class Request:
    """A host's request that no offer has decided yet. Its answer deletes the row. The accounts that it names need not
    exist."""

    request_id: str
    home: str
    home_ref: str
    host: str
    host_ref: str
    code_hash: str
    asked_at: datetime
    origin: Origin

    @property
    def pending_at(self) -> tuple[str, str, str]:
        """Home account and host."""
        return (self.home, self.home_ref, self.host)


@frozen
class Link:
    """The one link of a person with a host. It rests while either side's break is not taken back."""

    person: UUID
    host: str
    host_ref: str
    version: int
    code_hash: str
    """The hash of the last code that was accepted: this code is spent."""
    age_band: AgeBand
    guardian_approved: bool
    home_break: str | None = None
    """Why the home broke it; None while it has not."""
    host_break: str | None = None

    @property
    def active(self) -> bool:
        """Whether neither side has a break."""
        return self.home_break is None and self.host_break is None


@frozen
class ConsentState:
    """The standing of a home's consent for sharing with a host. The row may be there before the link."""

    person: UUID
    host: str
    state: Literal["given", "withdrawn"]
    version: int
    consent: Consent | None

    @property
    def standing(self) -> Standing:
        """The same in the form that ``contracts.consent`` judges."""
        return Standing(self.version, self.state, None if self.consent is None else self.consent.valid_until)

    def given_at(self, now: datetime) -> Consent | None:
        """The consent, if it is given and has not run out at this moment.

        Its beginning is not compared: the home gave it already, and the home's clock may be ahead of ours.
        """
        consent = self.consent
        if consent is None or (consent.valid_until is not None and now >= consent.valid_until):
            return None
        return consent
