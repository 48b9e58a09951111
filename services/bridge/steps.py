"""The words of a person's timeline: a closed list. No code cuts a word apart: the tables here say what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, get_args

__all__ = ["CONSENT", "LINK", "OF_SERVICE", "SERVICE", "SIGNUP", "SIGNUP_STATE", "TRANSFER", "WORDS", "What"]

What: TypeAlias = Literal[
    "link_established",
    "link_broken",
    "link_restored",
    "consent_given",
    "consent_withdrawn",
    "signup_requested",
    "signup_given_back",
    "signup_confirmed",
    "signup_waitlisted",
    "signup_promoted",
    "signup_refused",
    "signup_withdrawn",
    "signup_reported",
    "checked_in",
    "checked_out",
    "service_attested",
    "service_reviewed",
    "service_confirmed",
    "service_held",
    "service_revoked",
    "transfer_queued",
    "transfer_withheld",
    "transfer_sent",
    "transfer_uncertain",
    "transfer_credited",
    "transfer_refused",
    "transfer_superseded",
]
WORDS: Final[tuple[What, ...]] = get_args(What)

LINK: Final[Mapping[str, What]] = {
    "established": "link_established",
    "broken": "link_broken",
    "restored": "link_restored",
}
CONSENT: Final[Mapping[str, What]] = {"given": "consent_given", "withdrawn": "consent_withdrawn"}
SIGNUP: Final[Mapping[str, What]] = {
    "confirmed": "signup_confirmed",
    "waitlisted": "signup_waitlisted",
    "promoted": "signup_promoted",
    "refused": "signup_refused",
    "withdrawn": "signup_withdrawn",
    "reported": "signup_reported",
}
SIGNUP_STATE: Final[Mapping[What, str]] = {word: state for state, word in SIGNUP.items()}
"""The state of a sign-up after each word. ``signup_requested`` and ``signup_given_back`` only ask, and change none."""
SERVICE: Final[Mapping[str, What]] = {
    "confirmed": "service_confirmed",
    "held": "service_held",
    "revoked": "service_revoked",
}
OF_SERVICE: Final[frozenset[What]] = frozenset({"service_attested", "service_reviewed", *SERVICE.values()})
TRANSFER: Final[Mapping[str, What]] = {
    "queued": "transfer_queued",
    "withheld": "transfer_withheld",
    "sent": "transfer_sent",
    "uncertain": "transfer_uncertain",
    "credited": "transfer_credited",
    "refused": "transfer_refused",
    "superseded": "transfer_superseded",
}
