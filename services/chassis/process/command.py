"""What ``python -m services.<name>`` does: run the service, or one of the jobs around it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, Final

from pydantic import ValidationError

from services.chassis.base import logs
from services.chassis.base.addresses import forget_libpq_variables
from services.chassis.base.faults import Stopped
from services.chassis.base.settings import Settings
from services.chassis.process import starting
from services.chassis.process.garbage import collect_less

__all__ = ["main"]

_USAGE: Final = "migrate, or migrate --check, or forget-positions TOPIC…, or restored, or nothing"


def main(package: str) -> None:
    """``python -m services.<name> [migrate [--check] | forget-positions TOPIC… | restored]``: 0, 1 stopped, 2 usage.

    ``migrate --check`` changes nothing: it prints what an upgrade of the database would meet, one line of JSON.
    ``package`` has a module ``service`` with ``build(settings)`` and a folder ``migrations``; where it has settings of
    its own, a module ``settings`` too.
    """
    name = package.rpartition(".")[2]
    forget_libpq_variables()
    collect_less()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # characters its encoding lacks
    try:
        settings = starting.settings_of(package)
        logs.configure(settings.log_level, " ".join([name, *settings.part.values()]))
        job = _job(package, sys.argv[1:], settings)
    except (ValidationError, ValueError, *starting.UNUSABLE) as error:
        sys.exit(_say(package, error, 2))
    try:
        asyncio.run(job)
    except starting.UNUSABLE as error:
        sys.exit(_say(package, error, 2))
    except Stopped as error:
        sys.exit(_say(package, error, 1))


def _job(package: str, arguments: list[str], settings: Settings) -> Coroutine[Any, Any, object]:
    if arguments == ["migrate"]:
        return starting.migrate(package, settings)
    if arguments == ["migrate", "--check"]:
        return starting.check(package, settings)
    forgetting = arguments[:1] == ["forget-positions"] and len(arguments) > 1
    restored = arguments == ["restored"]
    if arguments and not forgetting and not restored:
        raise ValueError(f"unknown arguments {arguments}; there are {_USAGE}")
    from services.chassis.process import by_hand, runtime

    if forgetting:
        return by_hand.forget(package.rpartition(".")[2], settings, arguments[1:])
    if restored:
        return by_hand.restored(settings)
    return runtime.run(starting.build(package, settings), settings)


def _say(package: str, error: Exception, status: int) -> int:
    print(f"{package}: {starting.in_a_line(error)}", file=sys.stderr)
    return status
