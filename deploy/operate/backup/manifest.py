"""``manifest.json``: the databases and secrets of a backup, with digests, versions and counts at the time of the
backup."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from deploy.operate.errors import EnvironmentProblem, words

__all__ = ["MANIFEST", "Database", "Manifest", "NamingSecret", "Position", "digest", "read_manifest", "require_whole"]

MANIFEST: Final = "manifest.json"
_CHUNK: Final = 1 << 20
_EXPECTED: Final = "give a folder that `shuangcheng backup` has written"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Position(_Part):
    """How far a group has consumed a partition, or how far the relay has written it."""

    group: str | None = None
    topic: str
    partition: int
    next_offset: int


class Database(_Part):
    """One database of a backup. All that stands here about its content is read from the dump itself."""

    file: str
    bytes: int
    sha256: str
    owner: str
    taken_at: datetime
    """The server's time before the dump. The dump has all that was committed until then."""
    server: str
    pg_dump: str
    service: bool
    """Whether it is a service's or an adapter's. A sandbox's database is a stranger's."""
    migrations: list[str]
    consumed: list[Position]
    said: list[Position]
    rows: dict[str, int]
    """Row counts by table."""


class NamingSecret(_Part):
    """The naming secret of one role. It is in the backup, since it never changes and all ids in the database follow
    from it."""

    file: str
    sha256: str


class Manifest(_Part):
    """A backup. It has the digests of all other secrets, so that a change can be seen."""

    version: Literal[1] = 1
    taken_at: datetime
    databases: dict[str, Database]
    naming: dict[str, NamingSecret]
    secrets: dict[str, str]


def digest(file: Path, seen: Callable[[int], None] = lambda size: None) -> str:
    """SHA-256 of a file, in hexadecimal. ``seen`` is called with the size of each part that was read."""
    found = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            found.update(chunk)
            seen(len(chunk))
    return found.hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a backup. Raises EnvironmentProblem."""
    file = folder / MANIFEST
    try:
        return Manifest.model_validate_json(file.read_bytes())
    except OSError as error:
        raise EnvironmentProblem(f"{folder} is no backup: {file}: {words(error)}", todo=_EXPECTED) from error
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = "/".join(map(str, first["loc"]))
        raise EnvironmentProblem(
            f"{file} is no manifest of version 1: {where}: {first['msg']}", todo=_EXPECTED
        ) from error


def require_whole(folder: Path, file: str, sha256: str) -> Path:
    """Give a file of a backup. Raises EnvironmentProblem when the file is not as it was written."""
    path = folder / file
    todo = "take another backup: of this one nothing can be trusted"
    try:
        found = digest(path)
    except OSError as error:
        raise EnvironmentProblem(f"{path} cannot be read: {words(error)}", todo=todo) from error
    if found != sha256:
        raise EnvironmentProblem(
            f"{path} is not as it was written: its digest is {found[:12]}…, the manifest says {sha256[:12]}…", todo=todo
        )
    return path
