"""``python -m deploy.compose.databases [NAME…]``: a database and the role that owns it for each name, and the auditor's
role, which may connect to all of them. Without names: for each service, and each adapter of the seats of
SHUANGCHENG_REGISTRIES.

Safe to repeat: what is missing is made, and a role's password becomes the one that its process reads. The server and
the superuser are those of PGHOST and PGUSER; the passwords are in the folder SHUANGCHENG_SECRETS.
"""

from __future__ import annotations

import sys
from pathlib import Path

import asyncpg

from deploy.compose.variables import variable
from deploy.linkage import AUDITOR, SERVICES, adapter, called_seats
from deploy.operate.errors import EnvironmentProblem
from deploy.operate.outcome import outcome

__all__ = ["prepare"]

_ROLE = """
SELECT CASE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = $1::text)
       THEN format('ALTER ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)
       ELSE format('CREATE ROLE %I LOGIN PASSWORD %L', $1::text, $2::text) END
"""
_DATABASE = """
SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING ''UTF8'''
              ' LOCALE_PROVIDER builtin BUILTIN_LOCALE ''C.UTF-8''', $1::text, $1::text)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = $1::text)
"""
_LET_IN = f"SELECT format('GRANT CONNECT ON DATABASE %I TO {AUDITOR}', $1::text)"
_CLOSE = "SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', $1::text)"


async def prepare(names: list[str], secrets: Path) -> int:
    """Make roles and databases as the superuser of PGHOST, to which nobody else may connect; 0 when all are there.

    Raises EnvironmentProblem before anything is made when a password is not there.
    """
    password = _secret(secrets / "superuser")
    verifiers = {name: _secret(secrets / f"{name}.scram") for name in names}
    auditor = _secret(secrets / f"{AUDITOR}.scram")
    admin = await _entered("postgres", password)
    try:
        await admin.execute("SELECT pg_advisory_lock(1)")  # two of these jobs may run at once
        await admin.execute("REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC")
        await admin.execute(await admin.fetchval(_ROLE, AUDITOR, auditor))
        for name, verifier in verifiers.items():
            await admin.execute(await admin.fetchval(_ROLE, name, verifier))
            create = await admin.fetchval(_DATABASE, name)
            if create is not None:
                await admin.execute(create)
            await admin.execute(await admin.fetchval(_CLOSE, name))
            await admin.execute(await admin.fetchval(_LET_IN, name))
            await _extend(name, password)
            print(f"{name}: {'was there already' if create is None else 'created'}")
    finally:
        await admin.close()
    return 0


def _secret(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot read {file}: {error.strerror}",
            todo="run the job `secrets` first; SHUANGCHENG_SECRETS names the folder of its passwords for PostgreSQL",
        ) from error


async def _entered(database: str, password: str) -> asyncpg.Connection[asyncpg.Record]:
    try:
        return await asyncpg.connect(database=database, password=password, timeout=30)
    except asyncpg.ClientConfigurationError:
        raise
    except ValueError as error:
        raise EnvironmentProblem(
            "PGHOST and PGPORT name no server",
            todo="let PGHOST be a host and PGPORT a number, as in deploy/compose.yaml",
        ) from error


async def _extend(name: str, password: str) -> None:
    inside = await _entered(name, password)
    try:
        await inside.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    finally:
        await inside.close()


def _all() -> list[str]:
    seats = Path(variable("SHUANGCHENG_REGISTRIES", "the folder of the registries' YAML files"))
    return [*SERVICES, *(adapter(code).database for code in called_seats(seats))]


async def _job(names: list[str]) -> int:
    return await prepare(names or _all(), Path(variable("SHUANGCHENG_SECRETS", "the folder of PostgreSQL's passwords")))


if __name__ == "__main__":
    sys.exit(outcome(_job(sys.argv[1:])))
