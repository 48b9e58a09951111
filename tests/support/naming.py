"""The naming secret of services in tests."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from pydantic import SecretStr

from contracts.topics import registry_source
from services.chassis.batch.naming import Cause, Naming

__all__ = ["SECRET", "own_id"]

SECRET: Final = SecretStr("from-this-all-ids-of-a-test-follow")


def own_id(code: str, id: str, secret: SecretStr = SECRET) -> UUID:
    """The border's own id for a registry's message, which it may not have read yet. ``secret``: the border's."""
    return Naming(secret.get_secret_value()).own_id(Cause("message", registry_source(code), id, 0))
