"""All messages by context: one file each. ``message_types()`` gives every class by its type name."""

from typing import Final

from contracts.messages import (
    attendance,
    bridge,
    deliveries,
    identity,
    operations,
    opportunities,
    receipts,
    refusals,
    service,
    shifts,
    signups,
    volunteers,
)
from contracts.messages.base import Message, message_types

__all__ = [
    "RETIRED",
    "Message",
    "attendance",
    "bridge",
    "deliveries",
    "identity",
    "message_types",
    "operations",
    "opportunities",
    "receipts",
    "refusals",
    "service",
    "shifts",
    "signups",
    "volunteers",
]

RETIRED: Final[frozenset[str]] = frozenset()
"""Type names that were published once and are gone. None is ever used again."""
