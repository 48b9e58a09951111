"""What ``python -m deploy.tryout.sandbox.<kind>`` does: serve, or prepare its database.

As with the services, the application is loaded only to be served: a migration does not need its libraries.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import yaml

from deploy.addresses import forget_libpq_variables
from deploy.tryout.sandbox.database import migrate, pending
from deploy.tryout.sandbox.settings import SandboxSettings
from deploy.web.complaints import in_a_line, show_what_cannot_be_shown
from deploy.web.logs import configure

if TYPE_CHECKING:
    import socket

    from fastapi import FastAPI

__all__ = ["main"]


def main(package: str) -> None:
    """``python -m deploy.tryout.sandbox.<kind> [migrate]``: exit 0; 1, a fault; 2, with one line on what to set.

    ``package`` has a module ``app`` with ``build(settings)``, and a folder ``migrations`` if it has tables of its own.
    """
    forget_libpq_variables()
    show_what_cannot_be_shown()
    try:
        settings = SandboxSettings(_secrets_dir=os.environ.get("SHUANGCHENG_SECRETS"))
        configure(settings.log_level, package.rpartition(".")[2])
        prepared = _prepare(package, sys.argv[1:], settings)
    except (ValueError, OSError, TimeoutError, yaml.YAMLError, asyncpg.PostgresError) as error:
        print(f"deploy.tryout.sandbox: {in_a_line(error, SandboxSettings)}", file=sys.stderr)
        sys.exit(2)
    if prepared is not None:
        from deploy.web.serving import serve

        serve(*prepared, settings.trusted_proxies)


def _prepare(package: str, arguments: Sequence[str], settings: SandboxSettings) -> tuple[FastAPI, socket.socket] | None:
    """The checked application and port; None when the command has nothing more to do."""
    migrations = _migrations(package)
    if arguments == ["migrate"]:
        with _database_named():
            asyncio.run(migrate(settings, *migrations))
        return None
    if arguments:
        raise ValueError(f"unknown argument {arguments[0]!r}: 'migrate' or nothing")
    app: FastAPI = importlib.import_module(f"{package}.app").build(settings)
    with _database_named():
        missing = asyncio.run(pending(settings, *migrations))
    if missing:
        raise ValueError(f"its database lacks {', '.join(missing)}; run it once with the argument 'migrate'")
    from deploy.web.serving import listen

    return app, listen(settings.http_host, settings.http_port)


def _migrations(package: str) -> list[Path]:
    """Folders of migrations beside those of the books, which all sandboxes have."""
    own = Path(str(files(package))) / "migrations"
    return [own] if own.is_dir() else []


@contextlib.contextmanager
def _database_named() -> Iterator[None]:
    """Tells an error of the database with the setting on which it depends, and never with the DSN, which has a
    password."""
    try:
        yield
    except (ValueError, OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise ValueError(f"SHUANGCHENG_DATABASE: {in_a_line(error, SandboxSettings)}") from None
