"""Ids that everyone can compute: two apps that ask for the same thing use the same id."""

from typing import Final
from uuid import UUID, uuid5

__all__ = ["signup_id", "transfer_id"]

_NAMESPACE: Final = UUID("5b1e0c4e-6f0a-5d57-9c7b-5d2f9f1c8a10")


def signup_id(person: UUID, host: str, project_ref: str, shift_ref: str) -> UUID:
    """The id of the one sign-up that this person can have for this shift."""
    return uuid5(_NAMESPACE, f"signup/{person}/{host}/{project_ref}/{shift_ref}")


def transfer_id(host: str, record_ref: str, version: int) -> UUID:
    """The id of the transfer of one version of one service record."""
    return uuid5(_NAMESPACE, f"transfer/{host}/{record_ref}/{version}")
