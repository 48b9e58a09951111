"""What services say by SQL alone, said of rows in memory: names locked in a second round, and groups that are held.

The suites that run on both compare them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Protocol, TypeVar

from services.bridge import states as bridge
from services.bridge.border.names import person_name
from services.bridge.store import BridgeStore
from services.chassis.service import Store
from services.identity import states as identity
from services.identity.store import IdentityStore
from services.opportunities.states import Signup, windows_name
from services.opportunities.store import OpportunitiesStore

__all__ = ["Rows", "paused_groups", "second_locks"]

R = TypeVar("R")


class Rows(Protocol):
    """All rows of a service."""

    def get(self, kind: type[R], key: Hashable) -> R | None:
        """As ``States.get``."""

    def group(self, kind: type[R], name: str, value: Hashable) -> Iterable[R]:
        """As ``States.group``."""

    def all_of(self, kind: type[R]) -> Iterable[R]:
        """Every row of a type."""


def second_locks(store: Store, needs: Any, rows: Rows) -> Iterable[str]:
    """Names to lock after the subjects and locks of the messages."""
    if isinstance(store, BridgeStore):
        return _persons(needs, rows)
    if isinstance(store, IdentityStore):
        return _links(needs, rows)
    if isinstance(store, OpportunitiesStore):
        return _windows(needs, rows)
    return ()


def paused_groups(rows: Rows) -> frozenset[str]:
    """Groups of registries that an operator has paused."""
    return frozenset(f"bridge.{pause.registry}" for pause in rows.all_of(bridge.Pause) if pause.resumed_at is None)


def _persons(needs: Any, rows: Rows) -> Iterable[str]:
    accounts = (rows.get(bridge.Account, named) for named in needs.accounts)
    records = (rows.get(bridge.ServiceState, key) for key in needs.timed)
    found = {row.person for rows in (accounts, records) for row in rows if row is not None}
    return [person_name(person) for person in found | needs.persons]


def _links(needs: Any, rows: Rows) -> Iterable[str]:
    asked = {
        (request.host, request.host_ref)
        for request in rows.all_of(identity.Request)
        if (request.home, request.home_ref) in needs.homes
    }
    return [f"link:{registry}:{ref}" for registry, ref in needs.homes | needs.hosts | asked]


def _windows(needs: Any, rows: Rows) -> Iterable[str]:
    leaving = {
        signup.person
        for key, whole in needs.emptied.items()
        for signup in rows.group(Signup, "shift", key)
        if signup.state != "withdrawn" and (whole or signup.state == "waitlisted")
    }
    return [windows_name(person) for person in leaving | needs.freeing | needs.taking]
