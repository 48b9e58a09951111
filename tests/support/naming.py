"""The naming secret of services in tests."""

from __future__ import annotations

from typing import Final

from pydantic import SecretStr

__all__ = ["SECRET"]

SECRET: Final = SecretStr("from-this-all-ids-of-a-test-follow")
