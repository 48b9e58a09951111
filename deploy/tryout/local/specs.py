"""The processes of a linkage of given registries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deploy.operate.errors import EnvironmentProblem

SERVICES = ("identity", "opportunities", "attendance", "bridge")
KINDS = ("kafka_native", "rest_api")
"""Kinds of sandbox registry. A sandbox without Kafka gets an adapter."""
OPERATOR = "operator"
"""The process with the operators' page."""
_WITHOUT_KAFKA = frozenset({"rest_api"})


@dataclass(frozen=True)
class ProcessSpec:
    """One process: its name, Python module and database, and for a registry's own processes its seat."""

    name: str
    module: str
    database: str = ""
    """The database's name; empty for a process without a database."""
    registry: str | None = None
    instance: int = 0
    reads_kafka: bool = True
    sandbox: str | None = None
    """For an adapter: the name of the process whose API it calls."""

    @property
    def migrates(self) -> bool:
        """Whether this process prepares its database, and not another instance."""
        return self.instance == 0 and bool(self.database)


def process_table(kinds: Mapping[str, str], *, instances: int = 1, pages: bool = False) -> list[ProcessSpec]:
    """Give the processes for registries of these kinds (code → kind), services first; `pages`: the operators' too."""
    if instances < 1:
        raise EnvironmentProblem("instances must be at least 1", todo="give --instances 1 or more")
    table = [
        ProcessSpec(
            name=service if instance == 0 else f"{service}-{instance}",
            module=f"services.{service}",
            database=service,
            instance=instance,
        )
        for service in SERVICES
        for instance in range(instances)
    ]
    for code, kind in kinds.items():
        table.extend(_registry(code, kind))
    if pages:
        table.append(ProcessSpec(OPERATOR, "deploy.operator", reads_kafka=False))
    return table


def _registry(code: str, kind: str) -> Iterable[ProcessSpec]:
    if kind not in KINDS:
        raise EnvironmentProblem(f"'{kind}' is no kind of registry", todo=f"choose one of {', '.join(KINDS)}")
    sandbox = f"sandbox_{code}"
    reads_kafka = kind not in _WITHOUT_KAFKA
    yield ProcessSpec(sandbox, f"deploy.tryout.sandbox.{kind}", sandbox, registry=code, reads_kafka=reads_kafka)
    if not reads_kafka:
        adapter = f"adapter_{code}"
        yield ProcessSpec(adapter, "services.adapters", adapter, registry=code, sandbox=sandbox)


def databases(table: Iterable[ProcessSpec]) -> list[str]:
    """Give the names of the databases that these processes need, each once."""
    return list(dict.fromkeys(spec.database for spec in table if spec.database))
