"""``bridge.commands.v1``, the bridge's own timers and what operators settle (key host:record), and
``bridge.events.v1`` (key person)."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from contracts.messages.base import Count, Delta, Message, Minutes, ReasonCode, Ref, RegistryCode, Version
from contracts.messages.deliveries import TransferState


class _OfRecord(Message, abstract=True):
    host: RegistryCode
    record_ref: Ref
    transfer_id: UUID

    @property
    def key(self) -> str:
        return f"{self.host}:{self.record_ref}"


class _OfAttempt(_OfRecord, abstract=True):
    attempt: Count


class CheckReceipt(_OfAttempt):
    """A timer: the receipt of this attempt is due; ask, send again or call it uncertain, as the home can."""


class RetryTransfer(_OfAttempt):
    """A timer: the home refused for now; queue the transfer again."""


class SettleTransfer(_OfRecord):
    """An operator asked the home what became of a transfer of which nobody is sure: count it so. Who and why stay in
    the bridge's own books."""

    outcome: Literal["credited", "refused"]


class TransferChanged(Message):
    """A transfer has changed its state. A new transfer is told once, in its state after the decision."""

    person: UUID
    transfer_id: UUID
    host: RegistryCode
    home: RegistryCode
    record_ref: Ref
    version: Version
    total: Minutes
    delta: Delta
    state: TransferState
    reason: ReasonCode | None = None

    @property
    def key(self) -> str:
        """The person."""
        return str(self.person)

    @property
    def subject(self) -> str:
        """The transfer."""
        return str(self.transfer_id)
