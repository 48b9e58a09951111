"""Driving `deploy/compose.yaml` as an operator would: the docker command, a project of its own, free loopback ports."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.linkage import ADAPTERS, SERVICES
from deploy.operate.ports import free_port
from deploy.tryout.local.registries import TRYOUT

__all__ = [
    "ATTESTED",
    "OTHER",
    "PROCESSES",
    "ROOT",
    "WEEKEND",
    "ComposeFailed",
    "Linkage",
    "lines",
    "prepared",
    "running",
]

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "compose.yaml"
PROCESSES = (*SERVICES, "sandbox-gz", "sandbox-sz", ADAPTERS)
OTHER = {"gz": "sz", "sz": "gz"}
ATTESTED = "shuangcheng.service.service_attested.v1"
_WEEKEND = (ROOT / "deploy" / "examples" / "weekend.jsonl").read_text(encoding="utf-8")
WEEKEND: Final[list[dict[str, Any]]] = [json.loads(line) for line in _WEEKEND.splitlines() if line]
"""The events of the example weekend, in order."""
_SEPARATOR = "\x1f"
_PROJECT = "shuangcheng-test"
_IMAGE = "shuangcheng:test"
_STRANGER = f"shuangcheng.stranger={_PROJECT}"
_TODO = "make test-compose needs a running Docker engine and compose v2 (docker compose version)"


class ComposeFailed(AssertionError):
    """A docker command that ended with another status than 0, with what it said."""


def _missing() -> str:
    """Say in one line why compose cannot run here, or nothing."""
    if shutil.which("docker") is None:
        return f"{_TODO}: there is no docker command"
    for command in (["docker", "info", "--format", "{{.ServerVersion}}"], ["docker", "compose", "version"]):
        found = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        if found.returncode:
            return f"{_TODO}: `{' '.join(command[:3])}` says {(found.stderr or found.stdout).strip()[:300]}"
    return ""


class Linkage:
    """One running project, apart from any other on the same engine, with a copy of the seats for a first look."""

    def __init__(self, seats: Path) -> None:
        self.seats = shutil.copytree(TRYOUT, seats)
        names = ("KAFKA", "OPERATOR", *(process.upper().replace("-", "_") for process in PROCESSES))
        self.ports = {name: str(free_port()) for name in names}
        # an operator's own settings must not leak in
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("SHUANGCHENG_")}
        self._environment |= {f"SHUANGCHENG_{name}_PORT": port for name, port in self.ports.items()}
        self._environment |= {"SHUANGCHENG_IMAGE": _IMAGE, "SHUANGCHENG_SEATS": str(seats)}
        # What `docker compose` of an operator's own command reads
        self._environment |= {"COMPOSE_PROJECT_NAME": _PROJECT, "COMPOSE_PROFILES": "sandbox"}
        self._environment["COMPOSE_ENV_FILES"] = os.devnull
        self._environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{self._environment['PATH']}"

    @property
    def _command(self) -> list[str]:
        project = ["--project-name", _PROJECT, "--file", str(FILE), "--env-file", os.devnull]
        return ["docker", "compose", *project, "--profile", "sandbox"]

    def compose(self, *arguments: str, stdin: str | None = None, seconds: float = 120) -> str:
        """Run `docker compose … ARGUMENTS` and give its standard output. Raises ComposeFailed."""
        return self._run([*self._command, *arguments], stdin, seconds)

    def shell(self, command: str, **variables: object) -> str:
        """Run a command of a runbook as it stands there and give its standard output. Raises ComposeFailed."""
        told = {name: str(value) for name, value in variables.items()}
        return self._run(["bash", "-euc", command], None, 900, told)

    def up(self) -> None:
        """Build and start everything, and return once it is healthy."""
        try:
            self.compose("up", "--detach", "--build", "--wait", "--wait-timeout", "280", seconds=300)
        except ComposeFailed as error:
            state = self.compose("ps", "--all")
            logs = self.compose("logs", "--tail", "15", "--no-color")
            raise ComposeFailed(f"{error}\n{state}\n{logs}") from None

    def unpack(self, service: str, folder: str, archive: bytes) -> None:
        """Unpack a tar archive in a folder of a service's container, which is a volume. The service need not run."""
        tar = ["run", "--rm", "--no-deps", "-T", "--entrypoint", "tar", service, "-C", folder, "-x", "-f", "-"]
        done = subprocess.run(
            [*self._command, *tar], input=archive, capture_output=True, timeout=120, check=False, env=self._environment
        )
        if done.returncode:
            raise ComposeFailed(f"status {done.returncode}: unpack\n{done.stderr.decode()[-4000:]}")

    def down(self) -> None:
        """Remove containers, networks, volumes and the image."""
        strangers = self._run(["docker", "ps", "--all", "--quiet", "--filter", f"label={_STRANGER}"], None, 30).split()
        if strangers:
            self._run(["docker", "rm", "--force", *strangers], None, 60)
        self.compose("--profile", "tools", "down", "--volumes", "--remove-orphans")
        subprocess.run(["docker", "image", "rm", "--force", _IMAGE], capture_output=True, timeout=60, check=False)

    def send(self, lines: str) -> None:
        """Send events by the command line inside the project."""
        self.compose("run", "--rm", "-T", "shuangcheng", "send", "-", stdin=lines)

    def query(self, database: str, sql: str) -> list[list[str]]:
        """Ask PostgreSQL as its superuser; rows of texts."""
        shell = ("psql", "--username=postgres", "--no-psqlrc", "-At", f"--field-separator={_SEPARATOR}")
        told = self.compose("exec", "-T", "postgres", *shell, "--dbname", database, "--command", sql)
        return [line.split(_SEPARATOR) for line in told.removesuffix("\n").split("\n") if line]

    async def fetch(self, database: str, sql: str) -> list[list[str]]:
        """The same, for who asks several databases in turn."""
        return await asyncio.to_thread(self.query, database, sql)

    @property
    def token(self) -> str:
        """An operator's token."""
        return self.compose("run", "--rm", "-T", "secrets", "cat", "/secrets/operator/operator").strip()

    def system(self, code: str) -> None:
        """A registry's own system without Kafka, as a stranger runs it: a container of its own, called system-CODE."""
        database, password = f"sandbox_{code}", secrets.token_hex(16)
        self.query("postgres", f"CREATE ROLE {database} LOGIN PASSWORD '{password}'")
        self.query("postgres", f"CREATE DATABASE {database} OWNER {database}")
        self.query(database, "CREATE EXTENSION btree_gist")
        token = self.compose("run", "--rm", "-T", "secrets", "cat", f"/secrets/operator/system_{code}").strip()
        known = {
            "REGISTRY": code,
            "PROFILE": "test",
            "DATABASE": f"postgresql://{database}:{password}@postgres:5432/{database}",
            "HTTP_HOST": "0.0.0.0",
            "HTTP_PORT": "8080",
            "SYSTEM_TOKEN": token,
        }
        given = [part for name, value in known.items() for part in ("--env", f"SHUANGCHENG_{name}={value}")]
        network = ["--network", f"{_PROJECT}_inside", "--network-alias", f"system-{code}"]
        module = "python -m deploy.tryout.sandbox.rest_api"
        command = [_IMAGE, "sh", "-c", f"{module} migrate && exec {module}"]
        self._run(["docker", "run", "--detach", "--label", _STRANGER, *network, *given, *command], None, 60)

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows of a service's container."""
        container = self.compose("ps", "--all", "--quiet", service).strip()
        found: list[dict[str, Any]] = json.loads(self._run(["docker", "inspect", container], None, 30))
        return found[0]

    def _run(self, command: list[str], stdin: str | None, seconds: float, more: Mapping[str, str] | None = None) -> str:
        done = subprocess.run(
            command, input=stdin or "", capture_output=True, text=True, timeout=seconds, check=False,
            env=self._environment | dict(more or {}), cwd=ROOT,
        )  # fmt: skip
        if done.returncode:
            raise ComposeFailed(f"status {done.returncode}: {' '.join(command)}\n{done.stdout}\n{done.stderr[-4000:]}")
        return done.stdout


@contextlib.contextmanager
def prepared(session: pytest.Session) -> Iterator[Linkage]:
    """A linkage for the tests of one file, not started. Where compose cannot run they fail; where nothing else was
    asked for, the session ends and says why once."""
    if reason := _missing():
        if all(item.get_closest_marker("compose") for item in session.items):
            pytest.exit(reason, returncode=1)
        pytest.fail(reason, pytrace=False)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # containers read it as another user
        linkage = Linkage(Path(folder) / "seats")
        linkage.down()  # what a test that was killed has left
        try:
            yield linkage
        finally:
            linkage.down()


@contextlib.contextmanager
def running(session: pytest.Session) -> Iterator[Linkage]:
    """The same, started and healthy."""
    with prepared(session) as linkage:
        linkage.up()
        yield linkage


def lines(events: list[dict[str, Any]]) -> str:
    """Events as the command line reads them."""
    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)
