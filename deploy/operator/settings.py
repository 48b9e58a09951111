"""Settings of the operator's page."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.addresses import require_url
from deploy.web.proxies import TrustedProxies

__all__ = ["BRIDGE", "OperatorSettings"]

BRIDGE: Final = "bridge"


class OperatorSettings(BaseSettings):
    """Settings of the page; each field is the variable ``SHUANGCHENG_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="SHUANGCHENG_", frozen=True, extra="ignore", hide_input_in_errors=True)

    services: dict[str, str]
    """Where the linkage's services and adapters are, as JSON: ``{"bridge": "http://…"}``."""
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8094, ge=0, le=65535)
    trusted_proxies: TrustedProxies = "127.0.0.1"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("services")
    @classmethod
    def _has_the_bridge(cls, given: dict[str, str]) -> dict[str, str]:
        if BRIDGE not in given:
            raise ValueError("needs an http address for each service, that of the bridge among them")
        for url in given.values():
            require_url(url)
        return {name: url.rstrip("/") for name, url in given.items()}
