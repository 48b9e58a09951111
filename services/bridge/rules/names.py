"""Lock names of the border, in their order: account.* < account: < from.* < person: (the second round of locks).

A subject keeps the order of its messages and is parked while its head waits, so nothing that could release the head
may share it: every topic has its own family. ``person:`` is the one mutex of all that is a person's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from contracts.messages import (
    attendance,
    bridge,
    identity,
    opportunities,
    receipts,
    service,
    shifts,
    signups,
    volunteers,
)
from contracts.messages.base import Message
from services.bridge.rules.admission import OTHER_REGISTRY, sender
from services.chassis.decisions import Inbound

__all__ = ["account_name", "accounts_of", "locks", "person_name", "subject"]

_CONSENT = (volunteers.ConsentGiven, volunteers.ConsentWithdrawn)
_BREAKS = (volunteers.LinkBroken, volunteers.LinkRestored)


def account_name(registry: str, ref: str) -> str:
    """Lock name of a registry's ref, and the fact that it is linked."""
    return f"account:{registry}:{ref}"


def person_name(person: UUID) -> str:
    """Lock name of a person, and the fact that the border knows her refs."""
    return f"person:{person}"


def accounts_of(inbound: Inbound) -> list[tuple[str, str]]:
    """The refs (registry, ref) that a message speaks of; their rows are read and may change."""
    data = inbound.data
    if isinstance(data, identity.LinkEstablished | identity.LinkRefused):
        named = [(data.host, data.host_ref), (data.home, data.home_ref)]
        return named if data.origin is None else [*named, (data.host, data.origin.key)]
    if isinstance(data, volunteers.LinkRequested):
        return [(sender(inbound), data.volunteer_ref), (data.home, data.home_ref)]
    if isinstance(data, identity.ConsentChanged):
        return [(data.home, data.home_ref)]
    ref: str | None = getattr(data, "volunteer_ref", None)
    return [] if ref is None else [(sender(inbound), ref)]


def locks(inbound: Inbound) -> Iterable[str]:
    """Names of the first round beside the subject; persons are locked by the store, when it knows them."""
    return [account_name(registry, ref) for registry, ref in accounts_of(inbound)]


def subject(inbound: Inbound) -> str:
    """The entity whose messages keep their order."""
    return _SUBJECT_OF[type(inbound.data)](inbound, inbound.data)


def _by_other(family: str) -> Callable[[Inbound, Any], str]:
    return lambda inbound, data: (
        f"account.{family}:{sender(inbound)}:{data.volunteer_ref}:{getattr(data, OTHER_REGISTRY[type(data)])}"
    )


def _by_ref(family: str) -> Callable[[Inbound, Any], str]:
    return lambda inbound, data: f"account.{family}:{sender(inbound)}:{data.volunteer_ref}"


def _types(module: Any) -> tuple[type[Message], ...]:
    found = (kind for kind in vars(module).values() if isinstance(kind, type) and kind.__module__ == module.__name__)
    return tuple(kind for kind in found if issubclass(kind, Message) and kind.TYPE)


_SUBJECTS: tuple[tuple[tuple[type[Message], ...], Callable[[Inbound, Any], str]], ...] = (
    # A break may wait for its link. Consent must not stand behind it, nor the offer or request that brings the link.
    (_BREAKS, _by_other("break")),
    (_CONSENT, _by_other("consent")),
    (_types(volunteers), _by_other("link")),
    (_types(signups), _by_other("signup")),
    ((service.CheckedIn, service.CheckedOut, service.ServiceAttested), _by_ref("attendance")),
    (_types(receipts), _by_ref("receipt")),
    (_types(shifts), lambda inbound, data: f"account.project:{sender(inbound)}:{data.project_ref}"),
    (_types(identity), lambda _, data: f"from.identity:{data.person}"),
    (_types(opportunities), lambda _, data: f"from.opportunities:{data.key}:{data.subject}"),
    ((attendance.CommandRefused,), lambda _, data: f"from.attendance:{data.key}"),
    (_types(attendance), lambda _, data: f"from.record:{data.subject}"),
    (_types(bridge), lambda _, data: f"from.record:{data.key}"),
)

_SUBJECT_OF: dict[type[Message], Callable[[Inbound, Any], str]] = {
    kind: name for kinds, name in reversed(_SUBJECTS) for kind in kinds
}
