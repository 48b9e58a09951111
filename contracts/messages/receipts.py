"""``registry.<code>.receipts.v1``: a home's answers to CreditPosted and CreditQueried. Key: volunteer_ref."""

from uuid import UUID

from contracts.messages.base import Delta, Instant, Message, ReasonCode, Ref


class _OfReceipt(Message, abstract=True):
    transfer_id: UUID
    volunteer_ref: Ref

    @property
    def key(self) -> str:
        return self.volunteer_ref

    @property
    def subject(self) -> str:
        return str(self.transfer_id)


class CreditAccepted(_OfReceipt):
    """Home: ``delta`` minutes of this transfer stand in the ledger. A repeat gives the first answer again."""

    delta: Delta
    posted_at: Instant


class CreditRefused(_OfReceipt):
    """Home: not posted. ``retry`` says that the same transfer may be tried again later."""

    reason: ReasonCode
    retry: bool = False


class CreditUnknown(_OfReceipt):
    """Home or its adapter: nobody can say whether it was posted; reconciliation decides (DESIGN §9)."""
