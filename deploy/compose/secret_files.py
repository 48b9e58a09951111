"""``python -m deploy.compose.secret_files [FOLDER]``: passwords and tokens as files, made once, each in the volume of
the process that it is for.

``/secrets`` holds one volume a folder: ``operator`` (tokens), ``postgres`` (the superuser's password and what the
server keeps of the others) and one for each database role, which its process reads as ``SHUANGCHENG_SECRETS``. The
roles of all adapters have a folder each in the volume ``adapters``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import sys
from pathlib import Path

import yaml

from deploy.compose.variables import variable
from deploy.linkage import ADAPTERS, AUDITOR, adapter, called_seats, secrets_of
from deploy.operate.errors import EnvironmentProblem
from deploy.operate.outcome import outcome
from deploy.operate.registries import configured_codes

__all__ = ["scram_verifier", "write_all"]

_NOT_ROLES = frozenset({"operator", "postgres", ADAPTERS})
_SANDBOX = "sandbox_"
"""Sandboxes stand for strangers: they get their own registry's token, and a passcode for their pages."""
_ADAPTER = adapter("").name
"""An adapter talks to strangers: of the tokens for our APIs it knows the operator's alone."""


def write_all(root: Path, codes: list[str], called: list[str]) -> None:
    """Make what is missing, keep what is there. `codes`: the registries whose apps get a token; `called`: those that
    have an adapter."""
    _once(root / "postgres" / "superuser")
    operators = {_once(root / "operator" / "operator"): "operator"}
    registries = {_once(root / "operator" / f"registry_{code}"): f"registry:{code}" for code in codes}
    for code in called:
        (root / secrets_of(adapter(code).database)).mkdir(mode=0o750, parents=True, exist_ok=True)
    for folder in sorted([*root.iterdir(), *(root / ADAPTERS).glob("*/")]):
        role = folder.name
        if role in _NOT_ROLES:
            continue
        password = _once(folder / "password")
        _write(root / "postgres" / f"{role}.scram", scram_verifier(password, os.urandom(16)))
        if role == AUDITOR:
            _write(folder / "shuangcheng_postgres", f"postgresql://{role}:{password}@postgres:5432/identity")
            continue
        _write(folder / "shuangcheng_database", f"postgresql://{role}:{password}@postgres:5432/{role}")
        code = role.partition("_")[2]
        if role.startswith((_SANDBOX, _ADAPTER)):
            _write(folder / "shuangcheng_system_token", _once(root / "operator" / f"system_{code}"))
        if role.startswith(_SANDBOX):
            _write(folder / "shuangcheng_token", _once(root / "operator" / f"registry_{code}"))
            _write(folder / "shuangcheng_passcode", _once(root / "operator" / f"passcode_{code}"))
        else:
            # Never another one: what the service has named already would get other names.
            _once(folder / "shuangcheng_naming_secret")
            tokens = operators if role.startswith(_ADAPTER) else operators | registries
            _write(folder / "tokens.yaml", yaml.safe_dump(tokens))


def scram_verifier(password: str, salt: bytes, iterations: int = 4096) -> str:
    """What PostgreSQL keeps of an ASCII password (RFC 5803): CREATE ROLE takes it, and no log shows the password."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${iterations}:{_base64(salt)}${_base64(stored)}:{_base64(server)}"


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _once(file: Path) -> str:
    if not file.exists():
        _write(file, secrets.token_urlsafe(32))
    return file.read_text(encoding="ascii")


def _write(file: Path, text: str) -> None:
    """Replace a file at once, so that a job that is killed leaves no half of one."""
    part = file.with_name(f".{file.name}")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o440)
    with os.fdopen(descriptor, "w", encoding="ascii") as out:
        out.write(text)
    part.replace(file)


async def _job(root: Path) -> int:
    seats = Path(variable("SHUANGCHENG_REGISTRIES", "the folder of the registries' YAML files"))
    try:
        write_all(root, configured_codes(seats), called_seats(seats))
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot write {error.filename}: {error.strerror}",
            todo=f"mount the volumes of deploy/compose.yaml below {root}, so that this user may write in them",
        ) from error
    return 0


if __name__ == "__main__":
    sys.exit(outcome(_job(Path(sys.argv[1] if sys.argv[1:] else "/secrets"))))
