"""``registry.<code>.volunteers.v1``: a registry on the linking of its own volunteers. Key: volunteer_ref."""

from typing import Annotated

from pydantic import Field

from contracts.messages.base import AgeBand, Consent, Instant, Message, ReasonCode, Ref, RegistryCode, Sha256, Version


class _OfVolunteer(Message, abstract=True):
    volunteer_ref: Ref

    @property
    def key(self) -> str:
        return self.volunteer_ref


# Rules 38-40, 80.
class LinkOffered(_OfVolunteer):
    """Home: the volunteer tapped "serve there" in her own app. This is the consent.

    ``code_hash`` is the SHA-256 of the one-time code in lower-case hex; the code goes by deep link or QR. It is good
    for one LinkRequested, until ``expires_at``: offer no longer than half an hour. The code of a pair that is linked
    already opens the account that she has at the host; ``consent`` does not count then, and may be left out:
    ConsentGiven and ConsentWithdrawn alone speak of that.
    """

    for_registry: RegistryCode
    code_hash: Sha256
    age_band: AgeBand
    guardian_approved: bool
    consent: Consent | None = None
    expires_at: Instant


# Rule 80.
class LinkRequested(_OfVolunteer):
    """Host: she brought the code along. ``volunteer_ref`` is the host's own new number for her.

    The answer is a LinkChanged that names this message in ``answers``. Make no account before it: if the host knows
    her already, it names the account that she has. Open one session for it, in the browser in which she said that it
    is she.
    """

    home: RegistryCode
    home_ref: Ref
    code: Annotated[
        str,
        Field(
            min_length=22,
            max_length=128,
            pattern=r"^[A-Za-z0-9_-]+$",
            description="At least 128 random bits, base64url. The bridge hashes it and never hands it on.",
        ),
    ]


class ConsentGiven(_OfVolunteer):
    """Home: sharing with ``registry`` is allowed again or anew; versions only grow."""

    registry: RegistryCode
    consent: Consent


# Rule 40.
class ConsentWithdrawn(_OfVolunteer):
    """Home: sharing with ``registry`` ends now. ``version`` is the consent version withdrawn."""

    registry: RegistryCode
    version: Version


class LinkBroken(_OfVolunteer):
    """Either side: the link with ``registry`` is broken, and rests. Only the side that broke it can restore it.

    ``reason``: volunteer_asked, account_closed, wrong_person, abuse, or another word of the registry.
    """

    registry: RegistryCode
    reason: ReasonCode


class LinkRestored(_OfVolunteer):
    """The side that broke the link with ``registry`` restores it, with the same person and minutes."""

    registry: RegistryCode
