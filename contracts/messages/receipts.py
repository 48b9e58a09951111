"""``registry.<code>.receipts.v1``: a home's answers to CreditPosted and CreditQueried. Key: volunteer_ref."""

from uuid import UUID

from contracts.messages.base import Delta, Instant, Message, ReasonCode, Ref
from contracts.messages.deliveries import Attempt


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
    attempt: Attempt | None = None


class CreditRefused(_OfReceipt):
    """Home: not posted, and this attempt never will be. ``retry``: the same transfer may be tried again later.

    One receipt for each attempt.
    """

    reason: ReasonCode
    retry: bool = False
    attempt: Attempt | None = None


class CreditUnknown(_OfReceipt):
    """Home or its adapter: it cannot say whether it posted. The linkage asks or sends again, else an operator settles.

    In answer to CreditQueried: it was not seen, and nothing of it is under way.
    """

    attempt: Attempt | None = None
