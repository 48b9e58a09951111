"""What ``python -m deploy.tryout.sandbox.<kind>`` does: serve, or prepare its database.

As with the services, the application is loaded only to be served: a migration does not need its libraries.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import asyncpg
import yaml

from deploy.addresses import forget_libpq_variables
from deploy.tryout.sandbox.part import SandboxPart
from deploy.tryout.sandbox.settings import SandboxSettings
from deploy.web.complaints import in_a_line, show_what_cannot_be_shown
from deploy.web.logs import configure

if TYPE_CHECKING:
    import socket

    from fastapi import FastAPI

__all__ = ["main"]


def main(package: str) -> None:
    """``python -m deploy.tryout.sandbox.<kind> [migrate]``: exit 0; 1, a fault; 2, with one line on what to set."""
    forget_libpq_variables()
    show_what_cannot_be_shown()
    try:
        sandbox = SandboxPart(package)
        configure(sandbox.level, package.rpartition(".")[2])
        prepared = _prepare(sandbox, sys.argv[1:])
    except (ValueError, OSError, TimeoutError, yaml.YAMLError, asyncpg.PostgresError) as error:
        print(f"deploy.tryout.sandbox: {in_a_line(error, SandboxSettings)}", file=sys.stderr)
        sys.exit(2)
    if prepared is not None:
        from deploy.web.serving import serve

        serve(*prepared, sandbox.settings.trusted_proxies)


def _prepare(sandbox: SandboxPart, arguments: Sequence[str]) -> tuple[FastAPI, socket.socket] | None:
    """The checked application and port; None when the command has nothing more to do."""
    if arguments == ["migrate"]:
        asyncio.run(sandbox.migrate())
        return None
    if arguments:
        raise ValueError(f"unknown argument {arguments[0]!r}: 'migrate' or nothing")
    app = asyncio.run(sandbox.application())
    from deploy.web.serving import listen

    return app, listen(sandbox.settings.http_host, sandbox.settings.http_port)
