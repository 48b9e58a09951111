"""A backup: dumps of databases that are in use. They are written into a folder beside the target, which is renamed when
all is whole."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from deploy.operate.backup import dumps
from deploy.operate.backup.manifest import MANIFEST, Database, Manifest, NamingSecret
from deploy.operate.backup.programs import chunks, lines
from deploy.operate.backup.secret_store import NoSecrets, Secrets
from deploy.operate.backup.servers import Server
from deploy.operate.errors import EnvironmentProblem, LocalError, words

__all__ = ["BESIDE", "Asked", "back_up"]

BESIDE: Final = ("_restoring", "_before_")
"""Parts of the names of databases that a restoration makes."""
_DATABASES: Final = """
SELECT datname, pg_get_userbyid(datdba) FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba
WHERE datallowconn AND NOT datistemplate AND NOT rolsuper ORDER BY datname"""
_NOW: Final = "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
_SERVICES_TABLE: Final = "SELECT to_regclass('consumed') IS NOT NULL"
_TOLD_EVERY: Final = 256 << 20


@dataclass(frozen=True)
class Asked:
    """Which databases to back up, and from which server."""

    server: Server
    secrets: Secrets
    names: Sequence[str]
    """Names of databases. No name means: each database that has an owner of its own."""
    say: Callable[[str], None]


async def back_up(target: Path, asked: Asked) -> Manifest:
    """Write a backup into the new folder ``target``. Raises LocalError; then there is no such folder.

    A backup that is killed leaves the folder ``.<target>.part-…``, which is no backup.
    """
    _require_new(target)
    version = await asked.server.require_programs()
    owners = await _owners(asked)
    part = _beside(target)
    try:
        manifest = await _written(part, asked, owners, version)
        _moved(part, target)
    except OSError as error:
        raise LocalError(
            f"the backup could not be written: {words(error)}",
            todo=f"free space in {target.parent}, or name another folder; nothing of this backup is kept",
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return manifest


def _require_new(target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise EnvironmentProblem(f"{target} is there already", todo="name a new folder: a backup is never written over")


def _beside(target: Path) -> Path:
    """Make the folder into which a backup is written: on the target's disk, for the user alone."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{target.name}.part-", dir=target.parent))
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot write beside {target}: {words(error)}", todo="name a folder of yours"
        ) from error


def _moved(part: Path, target: Path) -> None:
    part.rename(target)
    _sync(target.parent)


async def _owners(asked: Asked) -> dict[str, str]:
    rows = await asked.server.ask("postgres", _DATABASES)
    there = {name: owner for name, owner in rows if not any(mark in name for mark in BESIDE)}
    if unknown := sorted(set(asked.names) - set(there)):
        raise EnvironmentProblem(
            f"{asked.server.where} has no database {', '.join(unknown)}",
            todo=f"name one of {', '.join(there) or 'none: it has none that a role of its own owns'}",
        )
    chosen = {name: there[name] for name in asked.names or there}
    if not chosen:
        raise EnvironmentProblem(
            f"{asked.server.where} has no database to back up", todo="see whether it is the right one"
        )
    return chosen


async def _written(part: Path, asked: Asked, owners: dict[str, str], version: str) -> Manifest:
    taken_at = datetime.now(UTC)
    naming = await _secrets(part, asked, owners)
    databases = {name: await _dumped(part, asked, name, owner, version) for name, owner in owners.items()}
    manifest = Manifest(taken_at=taken_at, databases=databases, naming=naming, secrets=await asked.secrets.digests())
    _write(part / MANIFEST, manifest.model_dump_json(indent=2).encode() + b"\n")
    _sync(part)
    return manifest


async def _secrets(part: Path, asked: Asked, owners: dict[str, str]) -> dict[str, NamingSecret]:
    """Copy the naming secrets. This comes before the dumps, so that a missing secret is told before an hour of work."""
    there = await asked.secrets.naming()
    found: dict[str, NamingSecret] = {}
    for name in owners:
        if name in there:
            file, secret = f"{name}.naming_secret", there[name].encode("ascii")
            _write(part / file, secret)
            found[name] = NamingSecret(file=file, sha256=hashlib.sha256(secret).hexdigest())
        elif not isinstance(asked.secrets, NoSecrets) and await asked.server.ask(name, _SERVICES_TABLE) == [["t"]]:
            raise EnvironmentProblem(
                f"the naming secret of {name} is not among the secrets; without it the dump could not be used",
                todo="see that the folder of secrets has one folder a role, or say --without-secrets",
            )
    return found


async def _dumped(part: Path, asked: Asked, name: str, owner: str, version: str) -> Database:
    server, file = asked.server, part / f"{name}.dump"
    [[taken_at]] = await server.ask(name, _NOW)
    dump = server.program(
        "pg_dump",
        "--format=custom",
        "--no-unlogged-table-data",
        "--lock-wait-timeout=60s",
        f"--dbname={server.named(name)}",
    )
    size, found, told = 0, hashlib.sha256(), 0
    with file.open("xb") as out:
        file.chmod(0o600)
        async with dump.running() as stream:
            async for chunk in chunks(stream):
                out.write(chunk)
                found.update(chunk)
                size += len(chunk)
                if size - told >= _TOLD_EVERY:
                    told = size
                    asked.say(f"{name}: {size >> 20} MiB")
        out.flush()
        os.fsync(out.fileno())
    # The dump is read back whole: a dump that cannot be read now could not be restored later.
    with file.open("rb") as opened:
        reading = server.program("pg_restore", "--data-only", "--file=-")
        async with reading.running(opened) as stream:
            content = await dumps.content(lines(stream))
    asked.say(f"{name}: {size} bytes, {sum(content.rows.values())} rows")
    return Database(
        file=file.name,
        bytes=size,
        sha256=found.hexdigest(),
        owner=owner,
        taken_at=datetime.fromisoformat(taken_at),
        server=version,
        pg_dump=await server.version("pg_dump"),
        service=content.service,
        migrations=content.migrations,
        consumed=content.positions("consumed"),
        said=content.positions("said"),
        rows=dict(sorted(content.rows.items())),
    )


def _write(file: Path, content: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def _sync(folder: Path) -> None:
    """Write the folder's entries to disk, so that they survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
