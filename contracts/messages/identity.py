"""``identity.commands.v1`` (key home:ref) and ``identity.events.v1`` (key person): who is one human being."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from contracts.messages.base import (
    AgeBand,
    Consent,
    EventId,
    Instant,
    Message,
    Origin,
    ReasonCode,
    Ref,
    RegistryCode,
    Sha256,
    Version,
)


class _OfHomeAccount(Message, abstract=True):
    home: RegistryCode
    home_ref: Ref
    host: RegistryCode
    origin: Origin

    @property
    def key(self) -> str:
        return f"{self.home}:{self.home_ref}"


class OfferLink(_OfHomeAccount):
    """Hold an offer of this volunteer for ``host`` until ``expires_at``; a newer offer replaces an older one.

    ``consent`` is there when it counts: an offer for a pair that is linked already leaves consent as it stands.
    """

    code_hash: Sha256
    age_band: AgeBand
    guardian_approved: bool
    consent: Consent | None = None
    expires_at: Instant


class RequestLink(_OfHomeAccount):
    """Link ``host_ref`` to the person behind ``home_ref`` if the code fits an offer, now or soon."""

    host_ref: Ref
    code_hash: Sha256


class ExpireLinkRequest(_OfHomeAccount):
    """A timer: refuse the request ``request_id`` if it still stands without an offer."""

    request_id: EventId


class RecordConsent(_OfHomeAccount):
    """Keep what the home said about consent for ``host``; ``consent`` is there when given."""

    state: Literal["given", "withdrawn"]
    version: Version
    consent: Consent | None = None


class BreakLink(_OfHomeAccount):
    """Break the link, as ``by`` asked: it rests."""

    by: RegistryCode
    reason: ReasonCode


class RestoreLink(_OfHomeAccount):
    """Restore the link, if ``by`` is the side that broke it."""

    by: RegistryCode


class _OfPerson(Message, abstract=True):
    person: UUID
    home: RegistryCode
    home_ref: Ref
    host: RegistryCode

    @property
    def key(self) -> str:
        return str(self.person)


class LinkEstablished(_OfPerson):
    """``host_ref`` and ``home_ref`` are one person. Carries all that the border stamps on commands.

    ``origin`` is the request that is answered, if any, and ``asked_as`` is the ref under which it asked. It may be
    another ref than ``host_ref``: if the host knows the person already, ``host_ref`` is the account that she has there.
    """

    host_ref: Ref
    link_version: Version
    age_band: AgeBand
    guardian_approved: bool
    consent: Consent
    origin: Origin | None = None
    asked_as: Ref | None = None


class LinkRefused(_OfPerson):
    """The request ``origin.message`` of ``host`` is refused for good.

    If the home never spoke of the ref, ``person`` is an id that only this message has, and it is kept nowhere.
    """

    host_ref: Ref
    reason: ReasonCode
    origin: Origin


class LinkBroken(_OfPerson):
    """The link rests: nothing new is accepted under it, and nothing is taken back."""

    host_ref: Ref
    link_version: Version
    by: RegistryCode
    reason: ReasonCode


class LinkRestored(_OfPerson):
    """The link is active again."""

    host_ref: Ref
    link_version: Version
    by: RegistryCode


class ConsentChanged(_OfPerson):
    """Consent of this person for ``host`` as it stands now."""

    state: Literal["given", "withdrawn"]
    version: Version
    consent: Consent | None = None


class CommandRefused(_OfPerson):
    """A command of this person's home account could not be followed (nothing to break, not yours to restore, …).

    ``standing_version``: with the reason stale_consent, the highest version of consent that was seen.
    """

    reason: ReasonCode
    origin: Origin
    standing_version: Version | None = None
