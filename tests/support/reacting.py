"""Services with rows that a test changes, and the names that the rows lock for a message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from services.chassis.decisions import Decide, Inbound
from services.chassis.reactions import Reaction
from services.chassis.service import Service

__all__ = ["decided_by", "first_names", "with_rows"]


def with_rows(service: Service, **changes: Any) -> Service:
    """The service with these changes in every row."""
    return replace(service, reactions={kind: replace(row, **changes) for kind, row in service.reactions.items()})


def decided_by(service: Service, change: Callable[[Decide], Decide]) -> Service:
    """The service with every decision changed."""
    rows = {kind: replace(row, decide=change(row.decide)) for kind, row in service.reactions.items()}
    return replace(service, reactions=rows)


def first_names(row: Reaction, inbound: Inbound) -> set[str]:
    """The names that a batch locks for this message before it loads any row."""
    return {row.subject(inbound), *row.locks(inbound)}
