"""The settings that all applications with pages have, and how settings are read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, EnvSettingsSource, SecretsSettingsSource, SettingsConfigDict

from deploy.web.proxies import TrustedProxies

__all__ = ["PageSettings", "read"]

Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(str.upper)]


class PageSettings(BaseSettings):
    """Each field is the variable ``SHUANGCHENG_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="SHUANGCHENG_", frozen=True, extra="ignore", hide_input_in_errors=True)

    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8090, ge=0, le=65535)
    trusted_proxies: TrustedProxies = "127.0.0.1"
    log_level: Level = "INFO"


Read = TypeVar("Read", bound=PageSettings)


def read(kind: type[Read], environment: Mapping[str, str] | None = None) -> Read:
    """The settings that an environment names; what it does not say, from files of the folder ``SHUANGCHENG_SECRETS``.

    ``environment``: that of this application alone, where several run in one process; by default that of the process.
    Raises ``ValueError``.
    """
    given = os.environ if environment is None else environment
    variables = EnvSettingsSource(kind)
    variables.env_vars = {name.lower(): value for name, value in given.items()}
    return kind(_build_sources=((variables, SecretsSettingsSource(kind, given.get("SHUANGCHENG_SECRETS"))), {}))
