"""All messages by context: one file each. ``catalogue()`` gives every class by its type name."""

from contracts.messages import (
    attendance,
    bridge,
    deliveries,
    identity,
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
    "Message",
    "attendance",
    "bridge",
    "deliveries",
    "identity",
    "message_types",
    "opportunities",
    "receipts",
    "refusals",
    "service",
    "shifts",
    "signups",
    "volunteers",
]
