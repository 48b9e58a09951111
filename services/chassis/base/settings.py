"""The settings of a process: environment variables with the prefix SHUANGCHENG_, or files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, SecretsSettingsSource, SettingsConfigDict

from services.chassis.base.addresses import require_address, require_brokers

__all__ = ["Settings", "read_settings"]

Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(str.upper)]


class Settings(BaseSettings):
    """Settings of one service process; each field is the variable ``SHUANGCHENG_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="SHUANGCHENG_", frozen=True, extra="ignore", hide_input_in_errors=True)

    profile: Literal["production", "embedded", "test"] = "production"
    kafka: str = "127.0.0.1:9092"
    database: SecretStr = SecretStr("postgresql://127.0.0.1/shuangcheng")
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8080, ge=0, le=65535)
    tokens_file: Path | None = None
    """A YAML file: token -> bearer."""
    naming_secret: SecretStr | None = Field(default=None, min_length=32)
    """The secret from which all ids of the service follow. A database has one secret for all its life."""
    lanes: int = Field(default=1, ge=1, le=16)
    batch: int = Field(default=500, ge=1, le=5000)
    await_facts: float = Field(default=60.0, gt=0)
    """Seconds that a message waits for a fact that is not known yet."""
    read_seconds: float = Field(default=0.3, gt=0, le=30)
    """Seconds that the database may take for one question asked over HTTP."""
    clock_offset: float = 0.0
    """Seconds by which a test moves the clock. Refused in production."""
    failpoint: str | None = None
    """``P3`` or ``P3:5``: kill this process at the (fifth) passing of P3. Refused in production."""
    raise_on: str | None = None
    """The first decision of a message whose id or correlation id begins so raises. Refused in production."""
    log_level: Level = "INFO"

    @field_validator("database")
    @classmethod
    def _can_be_read(cls, given: SecretStr) -> SecretStr:
        require_address(given.get_secret_value())
        return given

    @field_validator("kafka")
    @classmethod
    def _names_brokers(cls, given: str) -> str:
        require_brokers(given)
        return given

    @property
    def part(self) -> Mapping[str, str]:
        """The fields of OperatorActed that name the part of this process, where a service has parts with a database
        each."""
        return {}

    @property
    def embedded_broker(self) -> bool:
        """Whether the broker lacks idempotent producers and static membership."""
        return self.profile == "embedded"

    @property
    def await_facts_for(self) -> timedelta:
        """``await_facts`` as a duration."""
        return timedelta(seconds=self.await_facts)


def read_settings(kind: type[Settings] = Settings, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings from an environment; what it does not say, from files of the folder ``SHUANGCHENG_SECRETS``.

    A file has the name of the variable in lower case: ``shuangcheng_database``. ``kind``: with the fields of a service.
    ``environment``: that of this service alone, where several run in one process; by default that of the process.
    """
    given = os.environ if environment is None else environment
    variables = EnvSettingsSource(kind)
    variables.env_vars = {name.lower(): value for name, value in given.items()}
    return kind(_build_sources=((variables, SecretsSettingsSource(kind, given.get("SHUANGCHENG_SECRETS"))), {}))
