"""The record of a credit, as a home finds it."""

from __future__ import annotations

from collections.abc import Iterable

from contracts.ids import transfer_id
from contracts.messages.deliveries import CreditPosted

__all__ = ["record_ref_of"]

_VERSIONS = range(1, 100)


def record_ref_of(credit: CreditPosted, booked: Iterable[str]) -> str:
    """Minutes that are taken back may come without their record. It is one of those ``booked`` from this host before,
    and the id of a transfer follows from host, record and version."""
    if credit.record is not None:
        return credit.record.record_ref
    tried = ((ref, version) for ref in booked for version in _VERSIONS)
    return next(ref for ref, version in tried if transfer_id(credit.host, ref, version) == credit.transfer_id)
