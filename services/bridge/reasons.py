"""The bridge's own reasons: why the border refuses a message, and why a credit does not go. Parts of
``contracts.reasons``. Reasons of inner services and of homes are handed on unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

__all__ = ["NOT_ACTIVE", "BorderRefusal", "Obstacle", "ReceiptRefusal"]

BorderRefusal: TypeAlias = Literal[
    "registry_closed",
    "registry_left",
    "time_in_future",
    "time_in_past",
    "unknown_registry",
    "same_registry",
    "not_yours",
    "not_linked",
    "link_broken",
    "consent_missing",
    "stale_consent",
    "at_home",
]
"""Why a registry's message is refused at the border, so that no inner service hears of it."""
ReceiptRefusal: TypeAlias = Literal["unknown_transfer", "not_yours", "not_sent", "receipt_conflict"]
"""Why a home's receipt is refused. Decisions return None instead where the receipt is taken or says nothing new."""
Obstacle: TypeAlias = Literal["link_broken", "consent_missing", "consent_withdrawn", "consent_expired"]
"""Why nothing may be sent home."""
NOT_ACTIVE: Final[Mapping[str, Literal["registry_paused", "registry_closed", "registry_left"]]] = {
    "paused": "registry_paused",
    "closed": "registry_closed",
    "left": "registry_left",
}
"""Why no credit goes to a home in this state."""
