"""Settings of an adapter, besides those that every service has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr, field_validator

from services.chassis.base.settings import Settings

__all__ = ["AdapterSettings"]

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class AdapterSettings(Settings):
    """Each field is the variable ``SHUANGCHENG_<NAME>``."""

    registries: Path | None = None
    """Folder with one ``<code>.yaml`` per registry."""
    registry: str | None = None
    """The code of the registry for which the adapter works."""
    system_token: SecretStr | None = None
    """The token that the adapter sends to its registry's system as ``Authorization: Bearer …`` (RFC 6750)."""
    system_certificate: Path | None = None
    """PEM: the certificate, with its chain, by which the registry's system knows its adapter; ``system_key``: its key,
    where that is not in the same file."""
    system_key: Path | None = None
    system_ca: Path | None = None
    """PEM: the authority that must have signed the certificate of the registry's system; without it the public ones."""

    @property
    def part(self) -> Mapping[str, str]:
        """The adapter's registry."""
        return {} if self.registry is None else {"registry": self.registry}

    @field_validator("system_token")
    @classmethod
    def _fits_into_a_header(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None and not _TOKEN.fullmatch(given.get_secret_value()):
            raise ValueError("a token of letters, digits and -._~+/= is meant (RFC 6750)")
        return given


SETTINGS = AdapterSettings
