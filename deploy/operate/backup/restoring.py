"""A restoration: each database is made whole beside the present database, and takes that database's name at the very
end."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from deploy.operate.backup.manifest import Database, Manifest, require_whole
from deploy.operate.backup.programs import output
from deploy.operate.backup.secret_store import NoSecrets, Secrets
from deploy.operate.backup.servers import Server, literal, quoted
from deploy.operate.errors import EnvironmentProblem, LocalError

__all__ = ["Restored", "Wanted", "restore"]

_TOLD_EVERY_SECONDS: Final = 10.0
_OWNER: Final = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = {name}"
_ROLE: Final = "SELECT count(*) FROM pg_roles WHERE rolname = {role}"
_SESSIONS: Final = """
SELECT usename, count(*), string_agg(DISTINCT application_name, ', ') FROM pg_stat_activity
WHERE datname = {name} AND backend_type = 'client backend' GROUP BY usename ORDER BY usename"""
_CREATE: Final = """
CREATE DATABASE {beside} OWNER {role} TEMPLATE template0 ENCODING 'UTF8'
LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"""
_CLOSE: Final = "REVOKE ALL ON DATABASE {beside} FROM PUBLIC"
_AUDITOR: Final = """
SELECT coalesce(string_agg(format('GRANT CONNECT ON DATABASE %I TO %I', {beside}, rolname), '; '), 'SELECT')
FROM pg_roles WHERE rolname = 'audit'"""
"""The statement that lets the auditor in, where this server has the role; else a statement that does nothing."""
_DROP: Final = "DROP DATABASE IF EXISTS {database}"
_RENAME: Final = "ALTER DATABASE {old} RENAME TO {new}"
_KNOWS_MARKERS: Final = "SELECT to_regclass('restored') IS NOT NULL"
_MARK: Final = """
INSERT INTO restored (since, by) VALUES (now(), 'shuangcheng restore')
ON CONFLICT (one) DO UPDATE SET since = excluded.since, by = excluded.by"""


@dataclass(frozen=True)
class Wanted:
    """Which databases to restore, and to which server."""

    server: Server
    secrets: Secrets
    names: Sequence[str]
    with_secret: bool
    drop_old: bool
    stop: Callable[[str], str]
    """The command that stops the processes which use a database."""
    say: Callable[[str], None]


@dataclass(frozen=True)
class Restored:
    """The result for one database."""

    name: str
    old: str | None
    """The new name of the database that was there before. None where there was none, or where it was dropped."""
    marked: bool
    """Whether the database itself says that it was restored. A dump that has no such table cannot."""


async def restore(folder: Path, manifest: Manifest, wanted: Wanted) -> list[Restored]:
    """Restore these databases of a backup: all of them, or none.

    Raises LocalError; then the databases from before are still there, under their names.
    """
    if unknown := sorted(set(wanted.names) - set(manifest.databases)):
        raise EnvironmentProblem(
            f"{folder} has no {', '.join(unknown)}", todo=f"name some of {', '.join(manifest.databases)}"
        )
    await wanted.server.require_programs()
    chosen = {name: manifest.databases[name] for name in wanted.names}
    files = {name: _whole(folder, manifest, name, wanted) for name in chosen}
    secrets = await _secrets_to_put(folder, manifest, wanted)
    owners = {name: await _owner(name, one, wanted) for name, one in chosen.items()}
    for name in chosen:
        await _require_unused(name, wanted)
    marked: dict[str, bool] = {}
    async with _dropped_on_failure(wanted.server, [_beside(name) for name in chosen]):
        for name, one in chosen.items():
            marked[name] = await _made_beside(name, one, files[name], owners[name] or one.owner, wanted)
        old = await _swapped({name: owner is not None for name, owner in owners.items()}, wanted)
    for name, secret in secrets.items():
        await _put(name, secret, wanted)
    if wanted.drop_old:
        for kept in old.values():
            await wanted.server.ask("postgres", _DROP.format(database=quoted(kept)))
    kept_names: Mapping[str, str] = {} if wanted.drop_old else old
    return [Restored(name, kept_names.get(name), marked[name]) for name in chosen]


def _whole(folder: Path, manifest: Manifest, name: str, wanted: Wanted) -> Path:
    one = manifest.databases[name]
    file = require_whole(folder, one.file, one.sha256)
    if (naming := manifest.naming.get(name)) is not None:
        require_whole(folder, naming.file, naming.sha256)
    wanted.say(f"{name}: is as it was written, {sum(one.rows.values())} rows of {one.taken_at:%Y-%m-%d %H:%M:%S} UTC")
    return file


async def _secrets_to_put(folder: Path, manifest: Manifest, wanted: Wanted) -> dict[str, Path]:
    """The naming secrets of the backup that will replace others. Raises EnvironmentProblem."""
    if isinstance(wanted.secrets, NoSecrets) and not wanted.with_secret:
        return {}
    there = await wanted.secrets.naming()
    put: dict[str, Path] = {}
    for name in wanted.names:
        if (backed_up := manifest.naming.get(name)) is None:
            continue
        file = folder / backed_up.file
        present = there.get(name)
        if present is not None and present.encode() == file.read_bytes():
            continue
        if not wanted.with_secret:
            what = "is not there" if present is None else "is another one than that of the backup"
            raise EnvironmentProblem(
                f"the naming secret of {name} {what}: it would give the same persons and events other ids",
                todo="add --with-secret, which puts the backup's in its place",
            )
        put[name] = file
    return put


async def _put(name: str, secret: Path, wanted: Wanted) -> None:
    """This comes last: a service with the backup's secret would not start on the database from before."""
    try:
        await wanted.secrets.put_naming(name, secret)
    except LocalError as error:
        raise LocalError(
            f"the databases are restored, but {name} has not got the naming secret of the backup: {error.problem}",
            details=error.details,
            todo=f"copy {secret} into the secrets of {name}; until then its service does not start",
        ) from error
    wanted.say(f"{name}: has the naming secret of the backup")


async def _owner(name: str, one: Database, wanted: Wanted) -> str | None:
    """The owner of the present database; None where there is no database. Raises EnvironmentProblem without a role."""
    if rows := await wanted.server.ask("postgres", _OWNER.format(name=literal(name))):
        return rows[0][0]
    if await wanted.server.ask("postgres", _ROLE.format(role=literal(one.owner))) == [["0"]]:
        raise EnvironmentProblem(
            f"{wanted.server.where} has no role {one.owner}, which is to own {name}",
            todo="let the compose job `databases` make the roles first, or CREATE ROLE … LOGIN yourself",
        )
    return None


async def _require_unused(name: str, wanted: Wanted) -> None:
    rows = await wanted.server.ask("postgres", _SESSIONS.format(name=literal(name)))
    if rows:
        whose = "; ".join(f"{count} of {role} ({what})" for role, count, what in rows)
        raise EnvironmentProblem(f"{name} is in use by sessions: {whose}", todo=f"stop it first: {wanted.stop(name)}")


async def _made_beside(name: str, one: Database, file: Path, role: str, wanted: Wanted) -> bool:
    """Make the database anew under another name. Gives whether the database itself says that it was restored."""
    server, beside = wanted.server, _beside(name)
    await server.ask("postgres", _DROP.format(database=quoted(beside)))  # left by a restoration that was killed
    await server.ask("postgres", _CREATE.format(beside=quoted(beside), role=quoted(role)))
    await server.ask("postgres", _CLOSE.format(beside=quoted(beside)))
    [[let_in]] = await server.ask("postgres", _AUDITOR.format(beside=literal(beside)))
    await server.ask("postgres", let_in)
    await server.ask(beside, "CREATE EXTENSION btree_gist")  # as the superuser: a role need not be allowed to
    how = ("--exit-on-error", "--single-transaction", "--no-owner", f"--role={role}", "--no-comments")
    with file.open("rb") as opened:
        async with _telling(name, opened, one.bytes, wanted.say):
            await output(server.program("pg_restore", *how, f"--dbname={server.named(beside)}"), opened)
    await server.ask(beside, "ANALYZE")  # a dump has no statistics
    knows = one.service and await server.ask(beside, _KNOWS_MARKERS) == [["t"]]
    if knows:
        await server.ask(beside, _MARK)
    wanted.say(f"{name}: is restored beside the one that is there")
    return knows


async def _swapped(names: Mapping[str, bool], wanted: Wanted) -> dict[str, str]:
    """Give the new databases their names, in one transaction. Gives the new names of the databases from before."""
    now = f"{datetime.now(UTC):%Y%m%d_%H%M%S}"
    old = {name: f"{name}_before_{now}" for name, there in names.items() if there}
    renamings = [_RENAME.format(old=quoted(name), new=quoted(new)) for name, new in old.items()]
    renamings += [_RENAME.format(old=quoted(_beside(name)), new=quoted(name)) for name in names]
    try:
        await wanted.server.ask("postgres", *renamings)
    except LocalError as error:
        raise LocalError(
            "the databases that were restored could not take their names; those that were there have them still",
            details=error.details,
            todo=f"stop who uses them: {'; '.join(wanted.stop(name) for name in names)}; then restore again",
        ) from error
    return old


@contextlib.asynccontextmanager
async def _dropped_on_failure(server: Server, databases: Sequence[str]) -> AsyncIterator[None]:
    try:
        yield
    except BaseException:
        for database in databases:
            # If anything stays, the next restoration drops it.
            with contextlib.suppress(LocalError):
                await server.ask("postgres", _DROP.format(database=quoted(database)))
        raise


@contextlib.asynccontextmanager
async def _telling(name: str, file: IO[bytes], size: int, say: Callable[[str], None]) -> AsyncIterator[None]:
    """Say now and then how far the program has read the file. The program and we share one position in the file."""

    async def tell() -> None:
        while True:
            await asyncio.sleep(_TOLD_EVERY_SECONDS)
            say(f"{name}: {os.lseek(file.fileno(), 0, os.SEEK_CUR) * 100 // max(size, 1)} % read")

    task = asyncio.create_task(tell())
    try:
        yield
    finally:
        task.cancel()


def _beside(name: str) -> str:
    return f"{name}_restoring"
