"""Why a message is set aside: a closed list, a part of ``contracts.reasons``."""

from __future__ import annotations

from typing import Final, Literal

from contracts.refused import ContractRefusal

__all__ = ["SAID_OTHERWISE", "UNDER_WAY", "AsideReason"]

AsideReason = Literal[ContractRefusal, "waiting", "ready", "behind", "raised", "unwritable", "said_otherwise"]
UNDER_WAY: Final = frozenset({"waiting", "ready", "behind"})
"""Reasons of messages that are decided without anybody's help."""
SAID_OTHERWISE: Final[AsideReason] = "said_otherwise"
"""The reason of a message of this service: a restored database would send it under an id that has another message."""
