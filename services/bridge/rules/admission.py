"""What the border lets in: a registry that may speak, of registries that are there, not of the future."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from contracts.envelope import ContractError
from contracts.messages import receipts, service, signups, volunteers
from contracts.messages.base import Message, Origin
from contracts.messages.refusals import MessageRefused
from contracts.registry import Capability, Registry
from contracts.topics import INBOUND, REFUSALS
from services.bridge.reasons import BorderRefusal
from services.bridge.rules.draft import Draft
from services.bridge.states import Account, ConsentState, Link, ServiceState
from services.chassis.decisions import Decide, Decision, Inbound, Send, States, Wait

__all__ = ["OTHER_REGISTRY", "Border", "Seat", "admitted", "origin", "refusal_of_undecodable", "refuse", "sender"]

AHEAD: Final = timedelta(minutes=5)
"""How far a stranger's clock may be ahead of ours. What is further ahead waits until it is no more than that: it may be
our own clock that is wrong."""
TOO_FAR: Final = timedelta(hours=24)
"""What is further ahead is refused."""

OTHER_REGISTRY: Final[Mapping[type[Message], str]] = {
    volunteers.LinkOffered: "for_registry",
    volunteers.LinkRequested: "home",
    volunteers.ConsentGiven: "registry",
    volunteers.ConsentWithdrawn: "registry",
    volunteers.LinkBroken: "registry",
    volunteers.LinkRestored: "registry",
    signups.SignupRequested: "host",
    signups.SignupWithdrawn: "host",
    signups.SignupReported: "host",
}
"""The field of a message that names the registry it is about."""

_BEGINS_SOMETHING: Final = (volunteers.LinkOffered, volunteers.LinkRequested, signups.SignupRequested)
_TAKES_BACK: Final = (
    volunteers.ConsentWithdrawn,
    volunteers.LinkBroken,
    signups.SignupWithdrawn,
    receipts.CreditAccepted,
    receipts.CreditRefused,
    receipts.CreditUnknown,
)
_ALREADY_PAST: Final[Mapping[type[Message], tuple[str, ...]]] = {
    volunteers.LinkOffered: ("consent", "given_at"),
    volunteers.ConsentGiven: ("consent", "given_at"),
    service.CheckedIn: ("at",),
    service.CheckedOut: ("at",),
    service.ServiceAttested: ("ended_at",),
}
"""Times in a body of what has happened already, so they cannot lie ahead of our clock either."""

_LONGEST: Final = 300


class Seat(NamedTuple):
    """How a registry takes part now. ``left``: its file is no longer in the folder, and rows of it still stand."""

    state: Literal["active", "paused", "closed", "left"]
    capability: Capability


_LEFT: Final = Seat("left", "neither")
"""Nobody says any more what its ledger can do, so that nothing is tried twice."""


@dataclass(frozen=True, slots=True)
class Border:
    """The policy of this border, from configuration."""

    registries: Mapping[str, Registry]
    receipt_due: timedelta

    def seat(self, code: str) -> Seat:
        """How the registry of this code takes part. Every code that stands in a row has a seat."""
        registry = self.registries.get(code)
        return _LEFT if registry is None else Seat(registry.state, registry.capability)


class Objection(NamedTuple):
    """Why a message is not admitted; ``pointer`` is a JSON pointer into its body."""

    reason: BorderRefusal
    pointer: str | None = None


BorderDecide: TypeAlias = Callable[[Border, States, Inbound, datetime], Decision]


def sender(inbound: Inbound) -> str:
    """The code of the registry that speaks; the chassis has checked that it owns the topic."""
    return inbound.event.source.rpartition(":")[2]


def origin(inbound: Inbound) -> Origin:
    """Where a command came from, for a refusal that comes later."""
    event = inbound.event
    return Origin(registry=sender(inbound), message_id=event.id, message_type=event.type, key=event.key)


def admitted(border: Border, decide: BorderDecide) -> Decide:
    """The decision of a registry's message: refused, or decided by ``decide``."""

    def admit(states: States, inbound: Inbound, now: datetime) -> Decision:
        latest = max(now, inbound.appended_at or now)
        if objection := _objection(border, states, inbound, latest):
            return refuse(inbound, now, *objection)
        if wait := _too_early(inbound, latest):
            return Decision(wait=wait)
        return decide(border, states, inbound, now)

    return admit


def refuse(
    inbound: Inbound,
    now: datetime,
    reason: BorderRefusal,
    pointer: str | None = None,
    *,
    standing_version: int | None = None,
) -> Decision:
    """Nothing but a MessageRefused to the sender."""
    draft = Draft(inbound, now)
    draft.refuse(origin(inbound), reason, pointer, standing_version=standing_version)
    return draft.decision()


def _said_to_be_past(inbound: Inbound) -> Iterable[tuple[datetime, str]]:
    """Moments that a message says have come, with their places in it."""
    yield inbound.event.time, "/time"
    path = _ALREADY_PAST.get(type(inbound.data), ())
    if path and (moment := _at(inbound.data, path)) is not None:
        yield moment, "".join(f"/{name}" for name in path)


def _too_early(inbound: Inbound, latest: datetime) -> Wait | None:
    farthest = max(moment for moment, _ in _said_to_be_past(inbound))
    return Wait(None, (), farthest - AHEAD) if farthest > latest + AHEAD else None


def _objection(border: Border, states: States, inbound: Inbound, latest: datetime) -> Objection | None:
    state = border.seat(sender(inbound)).state
    if state in ("closed", "left") and not _only_lowers(states, inbound):
        return Objection("registry_closed" if state == "closed" else "registry_left")
    for moment, place in _said_to_be_past(inbound):
        if moment > latest + TOO_FAR:
            return Objection("time_in_future", place)
    if field := OTHER_REGISTRY.get(type(inbound.data)):
        return _objection_to_other(border, states, inbound, field)
    return None


def _only_lowers(states: States, inbound: Inbound) -> bool:
    """Whether it takes back what stands, or answers what it was asked: such a message arrives also from a registry that
    is closed (promise 9). A registry that is closed begins nothing and adds nothing."""
    data = inbound.data
    if isinstance(data, signups.SignupReported):
        return bool(data.state == "withdrawn")
    if isinstance(data, service.ServiceAttested):
        known = states.get(ServiceState, (sender(inbound), data.record_ref))
        return data.revoked or (known is not None and data.minutes <= known.minutes)
    return isinstance(data, _TAKES_BACK)


def _objection_to_other(border: Border, states: States, inbound: Inbound, field: str) -> Objection | None:
    code, data = sender(inbound), inbound.data
    named: str = getattr(data, field)
    if isinstance(data, signups.SignupReported):
        # A window at home is only the home's to report (host = home).
        return None if named == code else Objection("not_yours", f"/{field}")
    other = border.registries.get(named)
    if other is None:
        taken = isinstance(data, _TAKES_BACK) and _something_stands(states, code, data.volunteer_ref, named)
        return None if taken else Objection("unknown_registry", f"/{field}")
    if other.state == "closed" and isinstance(data, _BEGINS_SOMETHING):
        return Objection("registry_closed", f"/{field}")
    if isinstance(data, signups.SignupRequested | signups.SignupWithdrawn):
        return None
    return Objection("same_registry", f"/{field}") if named == code else None


def _something_stands(states: States, code: str, ref: str, other: str) -> bool:
    """Whether a consent or a tie stands between this volunteer and a registry that has left."""
    account = states.get(Account, (code, ref))
    tie = None if account is None else states.get(Link, (account.person, other if account.role == "home" else code))
    return (tie is not None and other in (tie.home, tie.host)) or states.get(
        ConsentState, (code, ref, other)
    ) is not None


def _at(data: Any, path: Iterable[str]) -> datetime | None:
    for name in path:
        data = getattr(data, name, None)
    found: datetime | None = data
    return found


def refusal_of_undecodable(topic: str, place: str, error: ContractError) -> Send | None:
    """The answer to a record that is not in the contract, to the owner of the topic; None for inner topics.

    Everything in it may be a stranger's bytes, so it is cut and cleaned. ``place`` stands in for an unreadable id.
    The record's key is not in it: nothing says that it is a ref. On topics keyed by a volunteer it may be a document
    number, put there by mistake, and must not go on to another topic (promise 5). ``refused(wrong_key)`` is just that.
    """
    code = next((topic.split(".")[1] for entry in INBOUND if _is(entry.name, topic)), None)
    if code is None:
        return None
    refused = MessageRefused(
        message_id=_clean(error.id) or place,
        message_type=_clean(error.type),
        reason=error.reason,
        pointer=_clean(error.pointer),
        detail=_clean(error.detail),
        refused_key="-",
    )
    return Send(REFUSALS.of(code), refused)


def _is(template: str, topic: str) -> bool:
    head, _, tail = template.partition("{registry}")
    return topic.startswith(head) and topic.endswith(tail)


def _clean(text: str | None) -> str | None:
    if text is None:
        return None
    return "".join(part if part.isprintable() else "\N{REPLACEMENT CHARACTER}" for part in text[:_LONGEST])
