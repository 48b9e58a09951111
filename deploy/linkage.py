"""The one catalogue of the linkage: its processes, their modules, databases and ports, and the kinds of registries.

Launcher, command line, jobs of compose, operators' page and tests read it. A test compares compose.yaml with
it. The Dockerfile asks it too. Sandboxes stand in it by the names of their modules alone: production imports none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

__all__ = [
    "ADAPTERS",
    "AUDITOR",
    "CALLED",
    "OPERATOR",
    "PAGES",
    "PORTS",
    "RECREATED",
    "SECRETS",
    "SERVICES",
    "Process",
    "adapter",
    "called_seats",
    "container_of",
    "processes",
    "sandbox",
    "secrets_of",
]

SERVICES: Final = ("identity", "opportunities", "attendance", "bridge")
"""The services: each is a package of ``services`` and has a database of its name."""
OPERATOR: Final = "operator"
"""The process with the operators' page."""
PORTS: Final = {
    "identity": 8081,
    "opportunities": 8082,
    "attendance": 8083,
    "bridge": 8084,
    "adapters": 8093,
}
"""The port on which compose publishes what answers operators, unless SHUANGCHENG_<NAME>_PORT names another."""
PAGES: Final = {"sandbox_gz": 8091, "sandbox_sz": 8092, OPERATOR: 8094}
"""The same of processes with pages for people."""
AUDITOR: Final = "audit"
"""The role of `shuangcheng audit`. It owns nothing and has no process: it may connect to every database."""
ADAPTERS: Final = "adapters"
"""The container with all adapters. Each is reached below its name: /adapter_sz/health/ready."""
RECREATED: Final = ("secrets", "topics", "databases", *SERVICES, ADAPTERS)
"""The services of compose that read the seats when they start, jobs first."""
SECRETS: Final = ("postgres", AUDITOR, *SERVICES, ADAPTERS, *PAGES)
"""The folders of secrets, each on a volume of its own: of PostgreSQL, of a role, of a process."""
_KINDS: Final = Path(__file__).parent.parent / "services" / "adapters" / "kinds"
CALLED: Final = frozenset(folder.parent.name for folder in _KINDS.glob("*/__init__.py"))
"""The kinds of systems without Kafka, which an adapter calls: each is a folder of the adapters."""


@dataclass(frozen=True)
class Process:
    """One process: its name, Python module and database, and for a registry's own processes its seat."""

    name: str
    module: str
    database: str = ""
    """The database's name; empty for a process without a database."""
    registry: str | None = None
    reads_kafka: bool = True

    @property
    def ours(self) -> bool:
        """Whether it belongs to the linkage, and not to a registry; it answers operators."""
        return self.module.startswith("services.")


def service(name: str) -> Process:
    """The process of a service."""
    return Process(name, f"services.{name}", name)


def adapter(code: str) -> Process:
    """The process that speaks for a registry without Kafka."""
    name = f"adapter_{code}"
    return Process(name, "services.adapters", name, registry=code)


def container_of(database: str) -> str:
    """The service of compose whose processes use a database."""
    return ADAPTERS if database.startswith(adapter("").name) else database.replace("_", "-")


def secrets_of(database: str) -> str:
    """The folder of the secrets of a database's role, below that of all secrets."""
    return f"{ADAPTERS}/{database}" if container_of(database) == ADAPTERS else database


def called_seats(folder: Path) -> list[str]:
    """The codes of the seats whose files give an address, at which an adapter calls; sorted. A file that is no YAML is
    passed over: `registries check` and every service say what is wrong with it."""
    return sorted(file.stem for file in folder.glob("*.yaml") if _is_called(file))


def _is_called(file: Path) -> bool:
    try:
        seat = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - makes text only
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return False
    system = seat.get("system") if isinstance(seat, dict) else None
    return isinstance(system, dict) and bool(system.get("address"))


def sandbox(code: str, kind: str) -> Process:
    """The process that stands in for the system of a registry."""
    name = f"sandbox_{code}"
    return Process(name, f"deploy.tryout.sandbox.{kind}", name, registry=code, reads_kafka=kind not in CALLED)


def processes(kinds: Mapping[str, str]) -> Iterator[Process]:
    """The processes of a linkage with sandboxes of these kinds (code → kind), services first."""
    yield from map(service, SERVICES)
    for code, kind in kinds.items():
        yield sandbox(code, kind)
        if kind in CALLED:
            yield adapter(code)
    yield Process(OPERATOR, "deploy.operator", reads_kafka=False)
