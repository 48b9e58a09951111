"""What a launch may be told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.tryout.local.registries import TRYOUT

__all__ = ["StackOptions"]


@dataclass(frozen=True)
class StackOptions:
    """The options of a launch. `kinds`: registry code → kind of its system."""

    kinds: Mapping[str, str] = field(default_factory=lambda: {"gz": "kafka_native", "sz": "rest_api"})
    capabilities: Mapping[str, str] = field(default_factory=dict)
    """The capabilities of registries (`idempotent`, `queryable`, `neither`), where they differ from their files."""
    seats: Path = TRYOUT
    """The folder of the registries' files."""
    broker: str | None = None
    default_broker: str = "embedded"
    instances: int = 1
    profile: str | None = None
    """The profile of settings. By default the broker decides: `production` or `embedded`."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Further settings of every process, without the prefix, for example AWAIT_FACTS."""
    first_http_port: int | None = None
    """The first of the HTTP ports. By default free ports are taken."""
    ready_seconds: float = 180.0
    real_kafka: bool = False
    """Whether only Apache Kafka will do. Any other broker is refused before anything else is started."""
    keep_folder: bool = False
    one_process: bool = False
    """Whether all services, adapters, sandboxes and the operators' page run in one process, named `linkage`. None of
    them can then be killed or started again by itself, except those that are `apart`."""
    apart: Collection[str] = ()
    """With `one_process`: the names of what has a process of its own beside it."""
    start_again: bool = False
    """Whether a process that dies is started again, however often. Otherwise its death ends `Stack.wait`."""
    pages: bool = False
    """Whether the sandboxes and the operators have pages."""

    def shares(self, name: str) -> bool:
        """Whether this part runs in the one process."""
        return self.one_process and name not in self.apart
