"""The processes of a launch: those of the catalogue, for registries of given kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from deploy.linkage import OPERATOR, SERVICES, Process, processes
from deploy.operate.errors import EnvironmentProblem

__all__ = ["KINDS", "ProcessSpec", "databases", "process_table"]

_SANDBOXES: Final = Path(__file__).parent.parent / "sandbox"
KINDS: Final = tuple(sorted(file.parent.name for file in _SANDBOXES.glob("*/__main__.py")))
"""Kinds of sandbox registry: each is a folder of the sandboxes."""


@dataclass(frozen=True)
class ProcessSpec(Process):
    """A process of the catalogue, of which a launch may have several instances."""

    instance: int = 0

    @property
    def migrates(self) -> bool:
        """Whether this process prepares its database, and not another instance."""
        return self.instance == 0 and bool(self.database)


def process_table(kinds: Mapping[str, str], *, instances: int = 1, pages: bool = False) -> list[ProcessSpec]:
    """Give the processes for registries of these kinds (code → kind), services first; `pages`: the operators' too."""
    if instances < 1:
        raise EnvironmentProblem("instances must be at least 1", todo="give --instances 1 or more")
    if unknown := [kind for kind in kinds.values() if kind not in KINDS]:
        raise EnvironmentProblem(f"'{unknown[0]}' is no kind of registry", todo=f"choose one of {', '.join(KINDS)}")
    return [
        ProcessSpec(**asdict(process) | {"name": name, "instance": instance})
        for process in processes(kinds)
        if pages or process.name != OPERATOR
        for instance, name in _instances(process.name, instances)
    ]


def _instances(name: str, instances: int) -> Iterable[tuple[int, str]]:
    yield 0, name
    if name in SERVICES:
        yield from ((number, f"{name}-{number}") for number in range(1, instances))


def databases(table: Iterable[Process]) -> list[str]:
    """Give the names of the databases that these processes need, each once."""
    return list(dict.fromkeys(spec.database for spec in table if spec.database))
