"""What a launch may be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["StackOptions"]


@dataclass(frozen=True)
class StackOptions:
    """What a launch may be told. `kinds`: registry code → kind of its system."""

    kinds: Mapping[str, str] = field(default_factory=lambda: {"gz": "kafka_native", "sz": "rest_api"})
    capabilities: Mapping[str, str] = field(default_factory=dict)
    """What a registry's ledger can do (`idempotent`, `queryable`, `neither`), where not as configured."""
    broker: str | None = None
    default_broker: str = "embedded"
    instances: int = 1
    profile: str | None = None
    """Settings profile; by default what the broker allows: `production`, or `embedded`."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Further settings of every process, without the prefix, for example AWAIT_FACTS."""
    first_http_port: int | None = None
    """HTTP ports from here on; by default free ones."""
    ready_seconds: float = 180.0
    keep_folder: bool = False
    pages: bool = False
    """Whether there are pages for people: the sandboxes', and the operators'."""
