"""What the border lets in: a registry that may speak, of registries that are there, not of the future."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from contracts.envelope import ContractError
from contracts.messages.base import Origin
from contracts.messages.refusals import MessageRefused
from contracts.topics import INBOUND, REFUSALS
from services.bridge.policy import Policy
from services.bridge.reasons import BorderRefusal
from services.bridge.rules.draft import Draft
from services.bridge.states import Account, ConsentState, Link
from services.chassis.decisions import Decide, Decision, Inbound, Send, States, Wait

__all__ = ["Admission", "Other", "admitted", "origin", "refusal_of_undecodable", "refuse", "sender"]

AHEAD: Final = timedelta(minutes=5)
"""How far a stranger's clock may be ahead of ours. What is further ahead waits until it is no more than that: it may be
our own clock that is wrong."""
TOO_FAR: Final = timedelta(hours=24)
"""What is further ahead is refused."""

_LONGEST: Final = 300


class Other(NamedTuple):
    """The ``field`` of a message that names the registry which the message is about. ``own``: whether this may be the
    sender itself, must be, or may not be."""

    field: str
    own: Literal["may", "must", "may_not"] = "may_not"


@dataclass(frozen=True, slots=True)
class Admission:
    """What the border asks before it decides a registry's message."""

    names: Other | None
    begins: bool
    """It begins something: not with a registry that is closed."""
    lowers: Callable[[States, Inbound], bool]
    """Whether it takes back what stands, or answers a question: such a message is admitted also from a registry that is
    closed (promise 9). A registry that is closed begins nothing and adds nothing."""
    past: tuple[str, ...]
    """The path in its body to a moment that has come already, so that this moment cannot lie ahead of our clock."""


class Objection(NamedTuple):
    """Why a message is not admitted; ``pointer`` is a JSON pointer into its body."""

    reason: BorderRefusal
    pointer: str | None = None


def sender(inbound: Inbound) -> str:
    """The code of the registry that speaks; the chassis has checked that it owns the topic."""
    return inbound.event.source.rpartition(":")[2]


def origin(inbound: Inbound) -> Origin:
    """Where a command came from, for a refusal that comes later."""
    event = inbound.event
    return Origin(registry=sender(inbound), message_id=event.id, message_type=event.type, key=event.key)


def admitted(admission: Admission, decide: Decide) -> Decide:
    """The decision of a registry's message: refused, or decided by ``decide``."""

    def admit(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
        latest = max(now, inbound.appended_at or now)
        said = _said_to_be_past(admission, inbound)
        if objection := _objection(admission, policy, states, inbound, latest, said):
            return refuse(inbound, now, *objection)
        if wait := _too_early(said, latest):
            return Decision(wait=wait)
        return decide(states, inbound, now, policy)

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


def _said_to_be_past(admission: Admission, inbound: Inbound) -> list[tuple[datetime, str]]:
    """Moments that a message says have come, with their places in it."""
    said = [(inbound.event.time, "/time")]
    if admission.past and (moment := _at(inbound.data, admission.past)) is not None:
        said.append((moment, "".join(f"/{name}" for name in admission.past)))
    return said


def _too_early(said: Iterable[tuple[datetime, str]], latest: datetime) -> Wait | None:
    farthest = max(moment for moment, _ in said)
    return Wait(None, (), farthest - AHEAD) if farthest > latest + AHEAD else None


def _objection(
    admission: Admission,
    policy: Policy,
    states: States,
    inbound: Inbound,
    latest: datetime,
    said: Iterable[tuple[datetime, str]],
) -> Objection | None:
    state = policy.seat(sender(inbound)).state
    if state in ("closed", "left") and not admission.lowers(states, inbound):
        return Objection("registry_closed" if state == "closed" else "registry_left")
    for moment, place in said:
        if moment > latest + TOO_FAR:
            return Objection("time_in_future", place)
    return None if admission.names is None else _objection_to_other(admission, admission.names, policy, states, inbound)


def _objection_to_other(
    admission: Admission, names: Other, policy: Policy, states: States, inbound: Inbound
) -> Objection | None:
    code, data, pointer = sender(inbound), inbound.data, f"/{names.field}"
    named: str = getattr(data, names.field)
    if names.own == "must":
        return None if named == code else Objection("not_yours", pointer)
    other = policy.registries.get(named)
    if other is None:
        taken = admission.lowers(states, inbound) and _something_stands(states, code, data.volunteer_ref, named)
        return None if taken else Objection("unknown_registry", pointer)
    if other.state == "closed" and admission.begins:
        return Objection("registry_closed", pointer)
    return Objection("same_registry", pointer) if named == code and names.own == "may_not" else None


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
