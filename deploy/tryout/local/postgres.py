"""PostgreSQL servers, on which each database has a role of its own, as in operation."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from deploy.addresses import require_address
from deploy.operate.errors import DATABASE_ERRORS, EnvironmentProblem, LocalError, words

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

OLDEST_VERSION = 18
_UNUSABLE = (OSError, *DATABASE_ERRORS)
_TEMPLATE = "template"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,50}")
_LOCALE = "ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' TEMPLATE template0"


class Postgres(ABC):
    """A PostgreSQL server on which this process may make databases."""

    kind: ClassVar[str]

    def __init__(self) -> None:
        self.version = "unknown"
        self.admin_dsn = ""
        self.prefix = ""
        self._passwords: dict[str, str] = {}
        self._one_role_at_a_time = asyncio.Lock()
        self._databases: list[str] = []
        self._copied = ""
        """How the server copies a template, as CREATE DATABASE takes it. It decides if this is empty."""

    @abstractmethod
    async def start(self) -> None:
        """Start, and return once the server answers. Raises EnvironmentProblem when this machine cannot run it."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop, and free all that the server uses."""

    @property
    def pid(self) -> int | None:
        """The process id of a server that runs as a process of ours."""
        return None

    async def kill(self) -> None:
        """SIGKILL the server with all its backends."""
        raise NotImplementedError(f"a database server of kind '{self.kind}' cannot be killed from here")

    async def restart(self) -> None:
        """Start again after `kill()`: same port, same data."""
        raise NotImplementedError(f"a database server of kind '{self.kind}' cannot be restarted from here")

    def describe(self) -> str:
        """Give one line for headers and reports, without a password."""
        return f"{self.kind} PostgreSQL {self.version} at {_where(self.admin_dsn)}"

    @abstractmethod
    def keep(self) -> str:
        """Keep all data when the server stops. Gives their place, for people."""

    async def create_database(self, name: str, *, owner: str | None = None, template: str | None = None) -> str:
        """Make a database (btree_gist is in it) and give the DSN of the role that owns it.

        The role has the database's name, or is the shared one named by `owner`. With `template` the database is a
        copy of another one of this server, to which nobody may be connected meanwhile. Several databases may be made at
        the same time.
        """
        database, role = self._own(name), self._own(owner or name)
        async with self.connection() as admin:
            async with self._one_role_at_a_time:  # two databases may have one owner
                await self._ensure_role(admin, role)
            source = self._own(template or _TEMPLATE)
            # Before the database is there, so that a launch that is cancelled now drops it too.
            self._databases.append(database)
            await admin.execute(f'CREATE DATABASE "{database}" OWNER "{role}" TEMPLATE "{source}"{self._copied}')
            await admin.execute(f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC')
        return self._dsn(database, role=role)

    async def drop_database(self, name: str) -> None:
        """Drop a database, even while clients are connected to it."""
        database = self._own(name)
        async with self.connection() as admin:
            await admin.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
        if database in self._databases:
            self._databases.remove(database)

    @contextlib.asynccontextmanager
    async def connection(self, database: str | None = None) -> AsyncIterator[Connection]:
        """Connect as the administrator, to a database by its plain name or to the one in the DSN."""
        dsn = self.admin_dsn if database is None else self._dsn(self._own(database))
        connection = await asyncpg.connect(dsn, timeout=10)
        try:
            yield connection
        finally:
            await connection.close()

    async def prepare(self) -> None:
        """Learn the version, and make the template of all databases. It has the extension, which is then not installed
        in each."""
        async with self.connection() as admin:
            self.version = str(await admin.fetchval("SHOW server_version")).split()[0]
            template = self._own(_TEMPLATE)
            self._databases.append(template)
            await admin.execute(f'CREATE DATABASE "{template}" {_LOCALE}')
        async with self.connection(_TEMPLATE) as inside:
            await inside.execute("CREATE EXTENSION btree_gist")

    async def _ensure_role(self, admin: Connection, role: str) -> None:
        if role not in self._passwords:
            self._passwords[role] = password = secrets.token_hex(16)
            await admin.execute(f"CREATE ROLE \"{role}\" LOGIN PASSWORD '{password}'")

    def _own(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"'{name}' is no database name: lower case letters, digits and _ only")
        return f"{self.prefix}{name}"

    def _dsn(self, database: str, *, role: str | None = None) -> str:
        parts = urlsplit(self.admin_dsn)
        if role is not None:
            parts = parts._replace(netloc=f"{role}:{self._passwords[role]}@{parts.netloc.rpartition('@')[2]}")
        return urlunsplit(parts._replace(path=f"/{quote(database)}"))


class ExternalPostgres(Postgres):
    """A server that somebody else runs. Databases and roles of this launch have a prefix, and are dropped at its
    end."""

    kind = "external"

    def __init__(self, dsn: str) -> None:
        super().__init__()
        try:
            self._where = _where(dsn)
        except ValueError as error:
            raise EnvironmentProblem(
                f"SHUANGCHENG_POSTGRES {error}", todo="give postgresql://user:password@host:port/database"
            ) from None
        self.admin_dsn = dsn
        self.prefix = f"sc_{secrets.token_hex(3)}_"
        self._kept = False

    async def start(self) -> None:
        """Make sure that the server answers and lets us make databases."""
        try:
            await self._require_version_and_rights()
            await self.prepare()
        except _UNUSABLE as error:
            raise EnvironmentProblem(
                f"PostgreSQL at {self._where} cannot be used: {words(error)}",
                todo="check SHUANGCHENG_POSTGRES: a running PostgreSQL 18 and a superuser on it",
            ) from error

    async def _require_version_and_rights(self) -> None:
        async with self.connection() as admin:
            number = int(str(await admin.fetchval("SHOW server_version_num"))) // 10000
            superuser = await admin.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        if number < OLDEST_VERSION:
            raise EnvironmentProblem(
                f"the server of SHUANGCHENG_POSTGRES is PostgreSQL {number}",
                todo=f"give one of version {OLDEST_VERSION} or newer",
            )
        if not superuser:
            raise EnvironmentProblem(
                f"the user of SHUANGCHENG_POSTGRES at {self._where} is no superuser, so it cannot make roles",
                todo="give a superuser on a server where nothing else matters",
            )

    def keep(self) -> str:
        """Drop nothing at the end."""
        self._kept = True
        return f"databases and roles {self.prefix}… at {self._where}, to be dropped by hand"

    async def stop(self) -> None:
        """Drop the databases and roles of this launch. When the server does not allow it, LocalError says which of them
        stay."""
        if self._kept or not (self._databases or self._passwords):
            return
        try:
            async with self.connection() as admin:
                for database in reversed(self._databases):
                    await admin.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
                for role in self._passwords:
                    await admin.execute(f'DROP ROLE IF EXISTS "{role}"')
        except _UNUSABLE as error:
            raise LocalError(
                f"PostgreSQL at {self._where} did not drop what was made there: {words(error)}",
                todo=f"drop the databases and roles whose names begin with {self.prefix}",
            ) from error
        self._databases.clear()
        self._passwords.clear()


def _where(dsn: str) -> str:
    """Give HOST:PORT of a DSN. For an invalid DSN a ValueError that shows nothing of it."""
    require_address(dsn)
    try:
        parts = urlsplit(dsn)
        host, port = parts.hostname, parts.port or 5432
    except ValueError:
        raise ValueError("has a host or port that is none") from None
    if not host:
        raise ValueError("names no host")
    return f"{host}:{port}"
