"""Settings of the operator's page."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import Field, field_validator

from contracts.urls import require_url
from deploy.web.settings import PageSettings

__all__ = ["BRIDGE", "OperatorSettings"]

BRIDGE: Final = "bridge"


class OperatorSettings(PageSettings):
    """Settings of the page; each field is the variable ``SHUANGCHENG_<NAME>``."""

    services: dict[str, str]
    """Where the linkage's services and adapters are, as JSON: ``{"bridge": "http://…"}``."""
    registries: Path | None = None
    """Folder with one ``<code>.yaml`` per registry; with ``adapters_url`` the page knows the adapter of each seat."""
    adapters_url: str | None = None
    """Where the adapters are, each below its name."""
    http_port: int = Field(default=8094, ge=0, le=65535)

    @field_validator("adapters_url")
    @classmethod
    def _can_be_asked(cls, given: str | None) -> str | None:
        if given:
            require_url(given)
        return given.rstrip("/") if given else None

    @field_validator("services")
    @classmethod
    def _has_the_bridge(cls, given: dict[str, str]) -> dict[str, str]:
        if BRIDGE not in given:
            raise ValueError("needs an http address for each service, that of the bridge among them")
        for url in given.values():
            require_url(url)
        return {name: url.rstrip("/") for name, url in given.items()}
