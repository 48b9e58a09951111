"""A home's ledger in memory, as truthful as a home can be: what it booked, it booked."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from contracts.messages import Message, receipts
from contracts.messages.deliveries import CreditPosted, CreditQueried
from contracts.registry import Capability
from tests.support.bridge_messages import HOME_REF, T0

__all__ = ["Ledger"]


class Ledger:
    """A home that reads in order and keeps its word: the first lasting answer is repeated for ever.

    One that is idempotent books a transfer once; any other books it as often as it is posted.
    """

    def __init__(self, capability: Capability, *, names_attempts: bool) -> None:
        self.idempotent = capability == "idempotent"
        self.names_attempts = names_attempts
        self.bookings: list[tuple[UUID, int]] = []
        self.refused: set[UUID] = set()

    def take(self, credit: CreditPosted, mood: str) -> Message:
        if self.knows(credit.transfer_id):
            return self.answer(credit)
        if mood == "later":
            return receipts.CreditRefused(**self._own(credit), reason="later", retry=True)
        if mood == "never":
            self.refused.add(credit.transfer_id)
        else:
            self.bookings.append((credit.transfer_id, credit.delta))
        return self.answer(credit)

    def knows(self, transfer: UUID) -> bool:
        """Whether posting it again changes nothing."""
        return transfer in self.refused or (self.idempotent and transfer in self.booked)

    def answer(self, asked: CreditPosted | CreditQueried) -> Message:
        if asked.transfer_id in self.refused:
            return receipts.CreditRefused(**self._own(asked), reason="never")
        if asked.transfer_id in self.booked:
            return receipts.CreditAccepted(**self._own(asked), delta=self.booked[asked.transfer_id], posted_at=T0)
        return receipts.CreditUnknown(**self._own(asked))

    def _own(self, asked: CreditPosted | CreditQueried) -> dict[str, Any]:
        named = {"attempt": asked.attempt} if self.names_attempts else {}
        return {"transfer_id": asked.transfer_id, "volunteer_ref": HOME_REF, **named}

    @property
    def booked(self) -> dict[UUID, int]:
        return dict(reversed(self.bookings))

    @property
    def minutes(self) -> int:
        return sum(minutes for _, minutes in self.bookings)
