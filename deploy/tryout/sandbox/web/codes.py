"""The organiser's rotating check-in code: six digits of an HMAC over the shift and the half minute (RFC 6238's way)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import Final

from deploy.tryout.sandbox.database import Pool

__all__ = ["STEP_SECONDS", "current", "is_right"]

STEP_SECONDS: Final = 30
_MADE_FROM = """
INSERT INTO check_in_secret (project_ref, shift_ref, secret) VALUES ($1, $2, $3)
ON CONFLICT (project_ref, shift_ref) DO UPDATE SET secret = check_in_secret.secret RETURNING secret
"""


async def current(pool: Pool, project_ref: str, shift_ref: str) -> str:
    """The code that the organiser's page shows now."""
    return _code(await _secret(pool, project_ref, shift_ref), _step())


async def is_right(pool: Pool, project_ref: str, shift_ref: str, given: str) -> bool:
    """Whether this is the code of this half minute or of the half minute before, since people type slowly."""
    secret, step = await _secret(pool, project_ref, shift_ref), _step()
    return any(hmac.compare_digest(_code(secret, one).encode(), given.encode()) for one in (step, step - 1))


async def _secret(pool: Pool, project_ref: str, shift_ref: str) -> bytes:
    found: bytes = await pool.fetchval(_MADE_FROM, project_ref, shift_ref, secrets.token_bytes(32))
    return found


def _step() -> int:
    return int(time.time()) // STEP_SECONDS


def _code(secret: bytes, step: int) -> str:
    digest = hmac.digest(secret, step.to_bytes(8, "big"), hashlib.sha256)
    return f"{int.from_bytes(digest[:8], 'big') % 1_000_000:06d}"
