"""How backups reach PostgreSQL: by an address and with programs of this machine, or in the container of a compose
file."""

from __future__ import annotations

import os
import re
import shutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from deploy.addresses import require_address
from deploy.operate.backup.programs import Program, output
from deploy.operate.backup.wheel import wheel_programs
from deploy.operate.errors import EnvironmentProblem

__all__ = ["Composed", "Direct", "Server", "literal", "quoted"]

_VERSION: Final = re.compile(r"\(PostgreSQL\) (\d+)(\.\d+)?")
_PASSED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


def quoted(name: str) -> str:
    """A name, quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A text, quoted for SQL."""
    return "'" + value.replace("'", "''") + "'"


class Server(ABC):
    """A PostgreSQL server on which we are the superuser."""

    where: str
    """The server's name for people, without a password."""

    @abstractmethod
    def program(self, name: str, *arguments: str) -> Program:
        """One of PostgreSQL's programs, told how to reach the server."""

    async def ask(self, database: str, *statements: str) -> list[list[str]]:
        """The rows of the last of these statements, as texts. Several statements are one transaction. Raises
        LocalError."""
        orders = [part for statement in statements for part in ("--command", statement)]
        one = ["--single-transaction"] if len(statements) > 1 else []
        shape = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\t"]
        told = await output(
            self.program("psql", *shape, "--set=ON_ERROR_STOP=1", *one, f"--dbname={self.named(database)}", *orders)
        )
        return [line.split("\t") for line in told.splitlines()]

    def named(self, database: str) -> str:
        """The value of a program's ``--dbname``."""
        return database

    async def version(self, program: str) -> str:
        """The output of a program's ``--version``."""
        told = (await output(self.program(program, "--version"))).strip()
        if (found := _VERSION.search(told)) is None:
            raise EnvironmentProblem(f"{program} is no program of PostgreSQL: it says {told[:80]!r}")
        return found[1] + (found[2] or "")

    async def require_programs(self) -> str:
        """Give the server's version. Raises EnvironmentProblem when a program is older than the server: it could not
        read everything."""
        [[server]] = await self.ask("postgres", "SHOW server_version")
        for name in ("pg_dump", "pg_restore", "psql"):
            version = await self.version(name)
            if _major(version) < _major(server):
                raise EnvironmentProblem(
                    f"{name} is of PostgreSQL {version}, the server at {self.where} is {server}",
                    todo=f"install the client programs of PostgreSQL {_major(server)} or newer, and let "
                    "SHUANGCHENG_PG_BIN name their folder",
                )
        return server.split()[0]


class Direct(Server):
    """A server by the address of a superuser, with the programs of SHUANGCHENG_PG_BIN, of PATH or of the wheel."""

    def __init__(self, dsn: str) -> None:
        try:
            require_address(dsn)
            parts = urlsplit(dsn)
            self.where = f"{parts.hostname or 'localhost'}:{parts.port or 5432}"
        except ValueError as error:
            raise EnvironmentProblem(
                f"--postgres {error}", todo="give postgresql://user:password@host:port/postgres"
            ) from None
        # Not on a command line, which every user of this machine can read.
        self._password = unquote(parts.password) if parts.password is not None else None
        self._address = parts._replace(netloc=_without_password(parts.netloc))
        self._folders = _folders()

    def named(self, database: str) -> str:
        """The address of this database, without the password."""
        return urlunsplit(self._address._replace(path=f"/{database}"))

    def program(self, name: str, *arguments: str) -> Program:
        """The program of this machine, with the password in its environment."""
        environment = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
        if self._password is not None:
            environment["PGPASSWORD"] = self._password
        return Program(name, [str(self._folders[0] / name), *arguments], environment)

    async def require_programs(self) -> str:
        """The same, with the first folder whose programs are new enough."""
        while True:
            try:
                return await super().require_programs()
            except EnvironmentProblem:
                if len(self._folders) == 1:
                    raise
                del self._folders[0]


class Composed(Server):
    """The server ``postgres`` of a compose file, by the programs in its own container."""

    def __init__(self, file: Path) -> None:
        if not file.is_file():
            raise EnvironmentProblem(f"{file} is no file", todo="give --compose deploy/compose.yaml")
        self.file = file
        self.where = f"the service postgres of {file}"

    def program(self, name: str, *arguments: str) -> Program:
        """The program in the container, run as the superuser."""
        as_whom = [] if arguments == ("--version",) else ["--username=postgres"]
        return self.compose(name, "exec", "-T", "postgres", name, *as_whom, *arguments)

    def compose(self, what: str, *arguments: str) -> Program:
        """``docker compose`` with this file. COMPOSE_PROJECT_NAME and similar variables count."""
        return Program(what, ["docker", "compose", "--file", str(self.file), *arguments], dict(os.environ))


def _without_password(netloc: str) -> str:
    login, at, where = netloc.rpartition("@")
    return f"{login.partition(':')[0]}{at}{where}"


def _major(version: str) -> int:
    return int(version.partition(".")[0].split()[0])


def _folders() -> list[Path]:
    """Folders that may have PostgreSQL's programs, the best folder first. Raises EnvironmentProblem."""
    chosen = os.environ.get("SHUANGCHENG_PG_BIN", "")
    if chosen:
        return [Path(chosen)]
    found = [Path(program).parent for program in (shutil.which("pg_dump"),) if program is not None]
    own = wheel_programs()
    if not (folders := found if own is None else [*found, own]):
        raise EnvironmentProblem(
            "there is no pg_dump here",
            todo="install the client programs of PostgreSQL 18 or newer, and let SHUANGCHENG_PG_BIN name their folder",
        )
    return folders
