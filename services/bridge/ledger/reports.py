"""A transfer's new state is told on the inner topic, in the person's timeline, and to the host."""

from __future__ import annotations

from typing import Final

from contracts.messages.bridge import TransferChanged
from contracts.messages.deliveries import CreditReported
from contracts.topics import BRIDGE_EVENTS
from services.bridge.draft import Draft
from services.bridge.states import Link, Transfer
from services.bridge.steps import TRANSFER

__all__ = ["report"]

_REPORTED: Final = ("credited", "refused", "withheld", "uncertain")


def report(draft: Draft, link: Link, transfer: Transfer) -> None:
    """Tell a transfer's new state or reason. The host hears of ``credited, refused, withheld, uncertain`` alone."""
    draft.tell(
        BRIDGE_EVENTS,
        TransferChanged(
            person=transfer.person,
            transfer_id=transfer.id,
            host=transfer.host,
            home=transfer.home,
            record_ref=transfer.record_ref,
            version=transfer.version,
            total=transfer.total,
            delta=transfer.delta,
            state=transfer.state,
            reason=transfer.reason,
        ),
    )
    draft.step(
        transfer.person,
        TRANSFER[transfer.state],
        transfer.host,
        transfer.record_ref,
        version=transfer.version,
        total=transfer.total,
        delta=transfer.delta,
        reason=transfer.reason,
    )
    if transfer.state in _REPORTED:
        draft.deliver(
            transfer.host,
            CreditReported(
                volunteer_ref=link.host_ref,
                record_ref=transfer.record_ref,
                version=transfer.version,
                home=transfer.home,
                transfer_id=transfer.id,
                state=transfer.state,
                total=transfer.total,
                reason=transfer.reason,
            ),
        )
