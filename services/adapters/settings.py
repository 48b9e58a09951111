"""What an adapter can be told from outside, beside what every service can."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr, field_validator

from services.chassis.addresses import require_url
from services.chassis.settings import Settings

__all__ = ["AdapterSettings"]

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class AdapterSettings(Settings):
    """Each field is the variable ``SHUANGCHENG_<NAME>``."""

    registries: Path | None = None
    """Folder with one ``<code>.yaml`` per registry."""
    registry: str | None = None
    """The seat that the adapter speaks for."""
    sandbox_url: str | None = None
    """Base URL of the registry's system."""
    system_token: SecretStr | None = None
    """What the adapter brings to its registry's system as ``Authorization: Bearer …`` (RFC 6750)."""
    system_certificate: Path | None = None
    """PEM: the certificate, with its chain, by which the registry's system knows its adapter; ``system_key``: its key,
    where that is not in the same file."""
    system_key: Path | None = None
    system_ca: Path | None = None
    """PEM: who must have signed the certificate of the registry's system; else whoever is trusted in public."""

    @property
    def part(self) -> Mapping[str, str]:
        """It stands for one registry."""
        return {} if self.registry is None else {"registry": self.registry}

    @field_validator("sandbox_url")
    @classmethod
    def _can_be_asked(cls, given: str | None) -> str | None:
        if given:
            require_url(given)
        return given

    @field_validator("system_token")
    @classmethod
    def _fits_into_a_header(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None and not _TOKEN.fullmatch(given.get_secret_value()):
            raise ValueError("a token of letters, digits and -._~+/= is meant (RFC 6750)")
        return given


SETTINGS = AdapterSettings
