"""The places of secrets of a linkage's roles: a folder with one folder a role, or the volumes of a compose file."""

from __future__ import annotations

import hashlib
import os
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final

from deploy.linkage import ADAPTERS, secrets_of
from deploy.operate.backup.programs import Program, output
from deploy.operate.backup.servers import Composed
from deploy.operate.errors import EnvironmentProblem, words

__all__ = ["NAMING", "ComposedSecrets", "NoSecrets", "SecretFolder", "Secrets"]

NAMING: Final = "shuangcheng_naming_secret"
_DIGESTS: Final = "cd /secrets && find . -type f ! -name '.*' -exec sha256sum {} +"
_EACH: Final = f"/secrets/*/{NAMING} /secrets/{ADAPTERS}/*/{NAMING}"
_READ: Final = f'for file in {_EACH}; do [ ! -f "$file" ] || (cat "$file"; echo " $file"); done'
_WRITE: Final = 'umask 0227 && cat > "$0.part" && mv -f "$0.part" "$0"'


class Secrets(ABC):
    """What a backup and a restoration do with secrets. No secret is ever shown."""

    @abstractmethod
    async def digests(self) -> dict[str, str]:
        """SHA-256 by the file's path: ``<role>/<file>``, ``adapters/<role>/<file>``."""

    @abstractmethod
    async def naming(self) -> dict[str, str]:
        """The naming secret of each role that has one."""

    @abstractmethod
    async def put_naming(self, role: str, secret: Path) -> None:
        """Give this role the naming secret of a backup."""


class NoSecrets(Secrets):
    """A place without secrets: they are kept elsewhere."""

    async def digests(self) -> dict[str, str]:
        """None."""
        return {}

    async def naming(self) -> dict[str, str]:
        """None."""
        return {}

    async def put_naming(self, role: str, secret: Path) -> None:
        """Raises, since no secret can be put here."""
        raise EnvironmentProblem(f"nobody said where the secrets of {role} are", todo="give --secrets FOLDER")


class SecretFolder(Secrets):
    """A folder with one folder a role, as the compose job `secrets` writes it; adapters have theirs in `adapters`."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise EnvironmentProblem(f"{folder} is no folder", todo="give --secrets a folder with one folder a role")
        self.folder = folder

    async def digests(self) -> dict[str, str]:
        """The digests of all files of all roles."""
        files = [path for path in sorted(self.folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
        return {str(path.relative_to(self.folder)): hashlib.sha256(_bytes(path)).hexdigest() for path in files}

    async def naming(self) -> dict[str, str]:
        """The naming secrets of the roles that have one."""
        return {path.parent.name: _bytes(path).decode("ascii") for path in self.folder.rglob(NAMING)}

    async def put_naming(self, role: str, secret: Path) -> None:
        """Replace the secret in one step."""
        there = next(self.folder.rglob(role), self.folder / secrets_of(role))
        _put(there / NAMING, _bytes(secret))


class ComposedSecrets(Secrets):
    """The volumes of the job ``secrets`` of a compose file."""

    def __init__(self, server: Composed) -> None:
        self._server = server

    async def digests(self) -> dict[str, str]:
        """As the job sees them."""
        told = await output(self._run("sh", "-c", _DIGESTS))
        return {name.removeprefix("./"): found for found, name in sorted(line.split() for line in told.splitlines())}

    async def naming(self) -> dict[str, str]:
        """As the job sees them."""
        told = await output(self._run("sh", "-c", _READ))
        rows = [line.split() for line in told.splitlines()]
        return {Path(file).parent.name: secret for secret, file in rows}

    async def put_naming(self, role: str, secret: Path) -> None:
        """The job's user writes the secret, since this user owns the volumes."""
        with secret.open("rb") as opened:
            await output(self._run("sh", "-c", _WRITE, f"/secrets/{secrets_of(role)}/{NAMING}"), opened)

    def _run(self, *command: str) -> Program:
        return self._server.compose("the job secrets", "run", "--rm", "-T", "--no-deps", "secrets", *command)


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise EnvironmentProblem(f"cannot read {file}: {words(error)}", todo="run as a user who may read it") from error


def _put(target: Path, secret: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(prefix=f".{NAMING}", dir=target.parent)
        with os.fdopen(descriptor, "wb") as out:
            out.write(secret)
        Path(part).chmod(0o440)
        Path(part).replace(target)
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot write {target}: {words(error)}", todo="give --secrets a folder of yours"
        ) from error
