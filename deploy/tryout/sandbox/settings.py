"""The settings of a sandbox, and its seat in the linkage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, SecretStr, field_validator

from contracts.messages.base import RegistryCode
from contracts.registry import Capability, Registry
from contracts.urls import require_url
from deploy.addresses import require_address, require_brokers
from deploy.web.settings import PageSettings

__all__ = ["SandboxSettings", "Seat"]


@dataclass(frozen=True, slots=True)
class Seat:
    """The code of the registry, its capability, and the minutes to which its pages round."""

    code: str
    capability: Capability
    rounding: int

    def shown(self, minutes: int) -> int:
        """These minutes as pages show them: rounded to the nearest step, halves downwards. Books stay raw (rule 75)."""
        return -((self.rounding - 2 * minutes) // (2 * self.rounding)) * self.rounding


class SandboxSettings(PageSettings):
    """Settings of one sandbox process; each field is the variable ``SHUANGCHENG_<NAME>``."""

    registry: RegistryCode
    profile: Literal["production", "embedded", "test"] = "production"
    kafka: str = "127.0.0.1:9092"
    database: SecretStr = SecretStr("postgresql://127.0.0.1/sandbox")
    registries: Path | None = None
    capability: Capability | None = None
    """The capability. It overrides the registry's YAML."""
    passcode: SecretStr | None = None
    """The passcode with which people sign in to the pages. Without it there are no pages."""
    people: Path | None = None
    """The folder of the registries' own people, ``<code>.yaml``. By default ``people`` beside this file."""
    token: SecretStr | None = None
    """This registry's token for the linkage's read APIs."""
    system_token: SecretStr | None = Field(default=None, min_length=16)
    """The token for the addresses of machines: for the adapter, and for whoever asks the sandbox to misbehave."""
    opportunities_url: str = "http://127.0.0.1:8082"
    bridge_url: str = "http://127.0.0.1:8084"
    identity_url: str = "http://127.0.0.1:8081"
    neighbours: dict[RegistryCode, str] = Field(default={})
    """The addresses of other registries' pages, as JSON: ``{"sz": "https://…"}``."""

    @field_validator("database")
    @classmethod
    def _can_be_read(cls, given: SecretStr) -> SecretStr:
        require_address(given.get_secret_value())
        return given

    @field_validator("opportunities_url", "bridge_url", "identity_url")
    @classmethod
    def _can_be_asked(cls, given: str) -> str:
        require_url(given)
        return given

    @field_validator("neighbours")
    @classmethod
    def _all_can_be_asked(cls, given: dict[RegistryCode, str]) -> dict[RegistryCode, str]:
        for url in given.values():
            require_url(url)
        return given

    @field_validator("kafka")
    @classmethod
    def _names_brokers(cls, given: str) -> str:
        require_brokers(given)
        return given

    def names(self, code: str) -> tuple[str, str]:
        """The names of a registry for people, in Chinese and in English."""
        known = self._registry(code)
        return (code, code) if known is None else (known.names.zh, known.names.en)

    def division(self, code: str) -> str:
        """The division code of a registry's city (GB/T 2260); empty if it is not known."""
        known = self._registry(code)
        return "" if known is None else known.division_code

    def seat(self, *, rounding: int) -> Seat:
        """The seat as ``<registries>/<code>.yaml`` describes it; ``rounding`` is the usual one of this software."""
        known = self._registry(self.registry)
        capability: Capability = self.capability or (known.capability if known else "idempotent")
        if known is not None and "shown_rounding_minutes" in known.model_fields_set:
            rounding = known.shown_rounding_minutes
        return Seat(self.registry, capability, rounding)

    def _registry(self, code: str) -> Registry | None:
        if self.registries is None:
            return None
        text = (self.registries / f"{code}.yaml").read_text(encoding="utf-8")
        return Registry.model_validate(yaml.load(text, Loader=yaml.BaseLoader))  # noqa: S506 - text only, 0123 stays
