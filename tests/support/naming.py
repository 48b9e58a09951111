"""The secret from which services in tests name what they name."""

from __future__ import annotations

from typing import Final

from pydantic import SecretStr

__all__ = ["SECRET"]

SECRET: Final = SecretStr("from-this-all-ids-of-a-test-follow")
