"""Which messages of registries the border admits: the sender may speak, the registry that it names takes part, no
moment in it lies in the future, and it has not come too late."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from contracts.envelope import ContractError
from contracts.messages.base import Origin
from contracts.messages.refusals import MessageRefused
from contracts.registry import Dated
from contracts.topics import INBOUND, REFUSALS
from services.bridge.draft import Draft, registry_message, sender
from services.bridge.policy import Policy
from services.bridge.reasons import BorderRefusal
from services.bridge.states import Account, ConsentState, Link
from services.chassis.decisions import Decide, Decision, Inbound, Send, States, Wait

__all__ = ["Admission", "Late", "Other", "admitted", "origin", "refusal_of_undecodable", "refuse", "sender"]

AHEAD: Final = timedelta(minutes=5)
"""How far a registry's clock may be ahead of ours. A message that is further ahead waits until it is no further than
that: our own clock may be the wrong one."""
TOO_FAR: Final = timedelta(hours=24)
"""A message that is further ahead is refused."""

_LONGEST: Final = 300


class Other(NamedTuple):
    """The ``field`` of a message that names a registry. ``own``: whether this registry may be the sender, must be, or
    may not be."""

    field: str
    own: Literal["may", "must", "may_not"] = "may_not"


class Late(NamedTuple):
    """The kind of a message, by which its sender's file says how old it may be when it comes."""

    kind: Dated
    moment: tuple[str, ...] = ()
    """The path in its body to a moment that may be no older than the message itself; ``()`` where there is none."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What the border asks before it decides a registry's message."""

    names: Other | None
    begins: bool
    """The message begins something, so it is refused where it names a registry that is closed."""
    lowers: Callable[[States, Inbound], bool]
    """Whether the message takes something back, or answers a question. Such a message is admitted also from a registry
    that is closed (promise 9); every other message of that registry begins or adds something, and is refused."""
    past: tuple[str, ...]
    """The path in its body to a moment that must have come already; ``()`` where there is none."""
    late: Late | None
    """None: it may have any age. What ``lowers`` may have any age too."""


class Objection(NamedTuple):
    """Why a message is not admitted; ``pointer`` is a JSON pointer into its body."""

    reason: BorderRefusal
    pointer: str | None = None


def origin(inbound: Inbound) -> Origin:
    """The message from which a command follows, kept in the command for a later refusal."""
    return Origin(registry=sender(inbound), message=inbound.own_id)


def admitted(admission: Admission, decide: Decide) -> Decide:
    """The decision of a registry's message: it is refused, or waits, or ``decide`` decides it."""

    def admit(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
        latest = max(now, inbound.appended_at or now)
        moments = _moments(inbound, admission.past)
        if objection := _objection(admission, policy, states, inbound, latest, moments):
            return refuse(inbound, now, *objection)
        if wait := _too_early(moments, latest):
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
    """The decision that refuses the message, and does nothing else."""
    draft = Draft(inbound, now)
    draft.refuse(registry_message(inbound), inbound.event.key, reason, pointer, standing_version=standing_version)
    return draft.decision()


def _moments(inbound: Inbound, path: tuple[str, ...]) -> list[tuple[datetime, str]]:
    """The message's time, and the moment at this path in its body if there is one, each with its JSON pointer."""
    moments = [(inbound.event.time, "/time")]
    if path and (moment := _at(inbound.data, path)) is not None:
        moments.append((moment, "".join(f"/{name}" for name in path)))
    return moments


def _too_early(moments: Iterable[tuple[datetime, str]], latest: datetime) -> Wait | None:
    farthest = max(moment for moment, _ in moments)
    return Wait(None, (), farthest - AHEAD) if farthest > latest + AHEAD else None


def _objection(
    admission: Admission,
    policy: Policy,
    states: States,
    inbound: Inbound,
    latest: datetime,
    moments: Iterable[tuple[datetime, str]],
) -> Objection | None:
    state = policy.seat(sender(inbound)).state
    if state in ("closed", "left") and not admission.lowers(states, inbound):
        return Objection("registry_closed" if state == "closed" else "registry_left")
    for moment, pointer in moments:
        if moment > latest + TOO_FAR:
            return Objection("time_in_future", pointer)
    if admission.late and (objection := _objection_to_age(admission, admission.late, policy, states, inbound)):
        return objection
    return None if admission.names is None else _objection_to_other(admission, admission.names, policy, states, inbound)


def _objection_to_age(
    admission: Admission, late: Late, policy: Policy, states: States, inbound: Inbound
) -> Objection | None:
    """A message that waits grows no older by the wait: its age is that of its arrival. Log or our own clock may be
    ahead, so the earlier of the two says when the message came."""
    arrived = min(inbound.received_at, inbound.appended_at or inbound.received_at)
    limit = policy.late_by(sender(inbound), late.kind, arrived)
    if limit is None or admission.lowers(states, inbound):
        return None
    old = (pointer for moment, pointer in _moments(inbound, late.moment) if arrived - moment > limit)
    pointer = next(old, None)
    return None if pointer is None else Objection("time_in_past", pointer)


def _objection_to_other(
    admission: Admission, names: Other, policy: Policy, states: States, inbound: Inbound
) -> Objection | None:
    code, data, pointer = sender(inbound), inbound.data, f"/{names.field}"
    named: str = getattr(data, names.field)
    if names.own == "must":
        return None if named == code else Objection("not_yours", pointer)
    other = policy.registries.get(named)
    if other is None:
        takes_back = admission.lowers(states, inbound) and _are_connected(states, code, data.volunteer_ref, named)
        return None if takes_back else Objection("unknown_registry", pointer)
    if other.state == "closed" and admission.begins:
        return Objection("registry_closed", pointer)
    return Objection("same_registry", pointer) if named == code and names.own == "may_not" else None


def _are_connected(states: States, code: str, ref: str, other: str) -> bool:
    """Whether there is a link or a consent between this volunteer and a registry that has left."""
    account = states.get(Account, (code, ref))
    link = None if account is None else states.get(Link, (account.person, other if account.role == "home" else code))
    linked = link is not None and other in (link.home, link.host)
    return linked or states.get(ConsentState, (code, ref, other)) is not None


def _at(data: Any, path: Iterable[str]) -> datetime | None:
    for name in path:
        data = getattr(data, name, None)
    found: datetime | None = data
    return found


def refusal_of_undecodable(topic: str, place: str, error: ContractError) -> Send | None:
    """The refusal of a record that is not in the contract, sent to the owner of the topic; None for inner topics.

    Each text of the record may be a stranger's bytes, so it is cut and cleaned. ``place`` replaces an id that cannot be
    read. The record's key is left out, since nothing says that it is a ref: it may be a document number, put there by
    mistake, which must not go on to another topic (promise 5). ``refused(wrong_key)`` is such a case.
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
