"""What ``python -m services.<name>`` does: run the service, or one of the jobs around it.

A service is loaded only to be run. Its libraries take a second or two of a processor to load, and every start of a
linkage first migrates all of its databases, each in a process of its own.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import sys
from collections.abc import Coroutine
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from pydantic import ValidationError

from services.chassis.base import logs, migrations
from services.chassis.base.addresses import forget_libpq_variables
from services.chassis.base.configuration import complaint
from services.chassis.base.failpoints import arm
from services.chassis.base.faults import CannotStart, Stopped
from services.chassis.base.settings import Settings, read_settings

if TYPE_CHECKING:
    from services.chassis.service import Service

__all__ = ["main"]

_NOT_LET_IN: Final = (
    asyncpg.ClientConfigurationError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)
"""What the database and its driver say of an address that is wrong. None of it shows a password."""
_USAGE: Final = "migrate, or forget-positions TOPIC…, or restored, or nothing"


def main(package: str) -> None:
    """``python -m services.<name> [migrate | forget-positions TOPIC… | restored]``: exit 0, 1 stopped, 2 usage.

    ``package`` has a module ``service`` with ``build(settings)`` and a folder ``migrations``; where it has settings of
    its own, a module ``settings`` too.
    """
    name = package.rpartition(".")[2]
    forget_libpq_variables()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # characters its encoding lacks
    try:
        settings = read_settings(_settings_of(package))
        logs.configure(settings.log_level, name)
        _arm(settings)
        job = _job(package, sys.argv[1:], settings)
    except ValidationError as error:
        sys.exit(_say(package, _of_settings(error), 2))
    except (ValueError, OSError, CannotStart) as error:
        sys.exit(_say(package, error, 2))
    try:
        asyncio.run(job)
    except _NOT_LET_IN as error:
        sys.exit(_say(package, f"SHUANGCHENG_DATABASE: {error}", 2))
    except (OSError, CannotStart) as error:
        sys.exit(_say(package, error, 2))
    except Stopped as error:
        sys.exit(_say(package, error, 1))


def _settings_of(package: str) -> type[Settings]:
    """``SETTINGS`` of its module ``settings``; without that module the settings of every service."""
    if importlib.util.find_spec(f"{package}.settings") is None:
        return Settings
    found: type[Settings] = importlib.import_module(f"{package}.settings").SETTINGS
    return found


def _job(package: str, arguments: list[str], settings: Settings) -> Coroutine[Any, Any, object]:
    if arguments == ["migrate"]:
        return migrations.migrate(settings.database.get_secret_value(), Path(str(files(package))) / "migrations")
    forgetting = arguments[:1] == ["forget-positions"] and len(arguments) > 1
    restored = arguments == ["restored"]
    if arguments and not forgetting and not restored:
        raise ValueError(f"unknown arguments {arguments}; there are {_USAGE}")
    from services.chassis.process import by_hand, runtime

    if forgetting:
        return by_hand.forget(package.rpartition(".")[2], settings, arguments[1:])
    if restored:
        return by_hand.restored(settings)
    service: Service = importlib.import_module(f"{package}.service").build(settings)
    return runtime.run(service, settings)


def _arm(settings: Settings) -> None:
    for_tests = {"FAILPOINT": settings.failpoint, "RAISE_ON": settings.raise_on, "CLOCK_OFFSET": settings.clock_offset}
    if settings.profile == "production" and (refused := [name for name, value in for_tests.items() if value]):
        raise ValueError(f"refused in the production profile: {', '.join(f'SHUANGCHENG_{name}' for name in refused)}")
    if settings.failpoint:
        arm(settings.failpoint)


def _of_settings(error: ValidationError) -> str:
    name, _, what = complaint(error, "settings").partition(": ")
    return f"SHUANGCHENG_{name.upper()}: {what}"


def _say(package: str, error: Exception | str, status: int) -> int:
    print(f"{package}: {error}", file=sys.stderr)
    return status
