"""What every start of a service begins with: settings, failpoints, migrations, and the line that says why it cannot
start.

A service is loaded only to be run. Its libraries take a second or two of a processor to load, and a migration needs
none of them.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg
from pydantic import ValidationError

from services.chassis.base import failpoints
from services.chassis.base.configuration import complaint
from services.chassis.base.faults import CannotStart
from services.chassis.base.settings import Settings, read_settings
from services.chassis.process import upgrading

if TYPE_CHECKING:
    from services.chassis.service import Service

__all__ = ["NOT_LET_IN", "UNUSABLE", "build", "check", "in_a_line", "migrate", "settings_of"]

NOT_LET_IN: Final = (
    asyncpg.ClientConfigurationError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)
"""What the database and its driver say of an address that is wrong. None of it shows a password."""
UNUSABLE: Final = (*NOT_LET_IN, OSError, CannotStart)
"""Errors of a start that somebody has to mend: a setting, a file, an address."""


def settings_of(package: str, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of a service, from its own environment or that of the process. Arms the failpoint that they name.

    ``package`` may have a module ``settings``, with ``SETTINGS``; without that module it has the settings of every
    service. Raises ``ValueError``.
    """
    kind: type[Settings] = Settings
    if importlib.util.find_spec(f"{package}.settings") is not None:
        kind = importlib.import_module(f"{package}.settings").SETTINGS
    settings = read_settings(kind, environment)
    for_tests = {"FAILPOINT": settings.failpoint, "RAISE_ON": settings.raise_on, "CLOCK_OFFSET": settings.clock_offset}
    if settings.profile == "production" and (refused := [name for name, value in for_tests.items() if value]):
        raise ValueError(f"refused in the production profile: {', '.join(f'SHUANGCHENG_{name}' for name in refused)}")
    if settings.failpoint:
        failpoints.arm(settings.failpoint)
    return settings


async def migrate(package: str, settings: Settings) -> None:
    """Bring the service's database up to date. Raises ``CannotUpgrade`` and ``MigrationError``."""
    await upgrading.upgrade(*_database(package, settings))


async def check(package: str, settings: Settings) -> None:
    """Print what ``migrate`` would meet, and change nothing. Raises the same."""
    await upgrading.check(*_database(package, settings))


def _database(package: str, settings: Settings) -> tuple[str, Path]:
    """The address of the service's database, and the folder of its migrations."""
    return settings.database.get_secret_value(), Path(str(files(package))) / "migrations"


def build(package: str, settings: Settings) -> Service:
    """The service: ``build(settings)`` of its module ``service``. Raises ``ConfigurationError``."""
    service: Service = importlib.import_module(f"{package}.service").build(settings)
    return service


def in_a_line(error: Exception) -> str:
    """Why it cannot start, with the setting on which that depends."""
    if isinstance(error, ValidationError):
        name, _, what = complaint(error, "settings").partition(": ")
        return f"SHUANGCHENG_{name.upper()}: {what}"
    return f"SHUANGCHENG_DATABASE: {error}" if isinstance(error, NOT_LET_IN) else str(error)
