"""What to pass on to a registry's system, when to call it again, and what its answers mean to the linkage.

A timeout means *unknown* (DESIGN §9): an idempotent registry gets the same id again, a queryable one is asked first,
and believed only once nothing can be under way there any more; any other is never tried twice.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from contracts.messages import Message
from contracts.messages.deliveries import ConsentChanged, CreditPosted, CreditQueried
from contracts.messages.receipts import CreditAccepted, CreditRefused, CreditUnknown
from contracts.registry import Capability, Registry
from contracts.topics import RECEIPTS, registry_source
from services.adapters.states import Away, Credit, Notice, NotPosted, Outcome, Posted, Refused
from services.chassis.decisions import Decision, Inbound, Send, States

__all__ = ["change_consent", "next_step", "pass_on", "query", "receive", "send", "settle"]

_SECRETS: Final = {"code", "code_hash"}
"""Nobody needs them any more, so nobody keeps them."""
_SHORTEST: Final = timedelta(seconds=0.2)
_LONGEST: Final = timedelta(seconds=30)


def send(registry: str, message: Message) -> Send:
    """A receipt in the registry's name."""
    return Send(RECEIPTS.of(registry), message, source=registry_source(registry))


def receive(states: States, inbound: Inbound, now: datetime, *, registry: str) -> Decision:
    """CreditPosted: due for the registry's ledger, once. A repeat of what was answered gets the same answer."""
    credit: CreditPosted = inbound.data
    known = states.get(Credit, credit.transfer_id)
    if known is None:
        return Decision(changes=(Credit(credit.transfer_id, credit.volunteer_ref, credit, "due", 0, now),))
    if known.volunteer_ref != credit.volunteer_ref or (known.body and known.body.delta != credit.delta):
        return Decision(sends=(send(registry, _refusal(credit.transfer_id, credit.volunteer_ref, "conflict")),))
    if (known.state == "refused" and known.retry) or (known.body is None and known.state == "uncertain"):
        # "Later", and a question that found nothing, both mean: surely not posted. A refusal for good is repeated:
        # the border has counted it, so posting after all would double minutes that a later version carries.
        return Decision(changes=(replace(known, body=credit, state="due", attempts=0, due_at=now),))
    return Decision(sends=_repeated(known, registry))


def query(states: States, inbound: Inbound, now: datetime, *, registry: str, capability: Capability) -> Decision:
    """CreditQueried: answered from what is known here; otherwise a queryable registry is asked."""
    asked: CreditQueried = inbound.data
    known = states.get(Credit, asked.transfer_id)
    if known is None:
        known = Credit(asked.transfer_id, asked.volunteer_ref, None, "uncertain", 0, now)
    if known.volunteer_ref != asked.volunteer_ref:
        return Decision(sends=(send(registry, _unknown(asked.transfer_id, asked.volunteer_ref)),))
    if known.state == "uncertain" and capability == "queryable":
        return Decision(changes=(replace(known, state="unknown", due_at=now),))
    return Decision(sends=_repeated(known, registry))


def change_consent(states: States, inbound: Inbound, now: datetime, *, registry: str) -> Decision:
    """ConsentChanged: passed on; a withdrawal takes back what the registry has surely not seen yet (rule 40).

    ``retry`` is true: the border queues the transfer again, finds no consent and withholds it until there is one.
    """
    told: ConsentChanged = inbound.data
    passed = pass_on(states, inbound, now, registry=registry)
    if told.state != "withdrawn":
        return passed
    stopped = [
        replace(credit, state="refused", reason="consent_withdrawn", retry=True)
        for credit in states.group(Credit, "volunteer_ref", told.volunteer_ref)
        if credit.state == "due" and credit.body is not None and credit.body.host == told.registry
    ]
    sends = [one for credit in stopped for one in _repeated(credit, registry)]
    return replace(passed, changes=(*passed.changes, *stopped), sends=tuple(sends))


def pass_on(_: States, inbound: Inbound, __: datetime, *, registry: str) -> Decision:
    """Everything else: the registry's system is told, in the order of each key."""
    event = inbound.event
    notice = Notice(
        id=inbound.fresh_id,
        own=event.source == registry_source(registry),
        source=event.source,
        message_id=event.id,
        type=event.type,
        time=event.time,
        body=event.data.model_dump(mode="json", exclude_none=True, exclude=_SECRETS),
    )
    return Decision(changes=(notice,))


def next_step(credit: Credit, capability: Capability) -> Literal["post", "ask", "give_up"]:
    """What may be done with a credit that is due or unknown."""
    if credit.state == "due":
        return "post"
    if capability == "idempotent" and credit.body is not None:
        return "post"
    return "ask" if capability == "queryable" else "give_up"


def settle(credit: Credit, outcome: Outcome, registry: Registry, now: datetime) -> tuple[Credit, tuple[Message, ...]]:
    """The credit after a call, and the receipts to give. ``credit`` is as it was before the call."""
    ids = (credit.transfer_id, credit.volunteer_ref)
    if isinstance(outcome, Posted):
        done = replace(credit, state="accepted", posted_delta=outcome.delta, posted_at=outcome.posted_at, reason=None)
        return done, (_acceptance(done),) * outcome.times
    if isinstance(outcome, Refused):
        done = replace(credit, state="refused", reason=outcome.reason, retry=outcome.retry)
        return done, (_refusal(*ids, outcome.reason, retry=outcome.retry),)
    if isinstance(outcome, NotPosted):
        quiet_at = _quiet_at(credit, registry)
        # Not ``now``: it may look long before its answer is here. It was asked when that was due, or later.
        if quiet_at is not None and credit.due_at < quiet_at:
            again = _later(credit, now)
            return replace(again, due_at=min(again.due_at, quiet_at)), ()
        if credit.body is None:
            return replace(credit, state="uncertain"), (_unknown(*ids),)
        return replace(credit, state="due", due_at=now), ()
    step = next_step(credit, registry.capability)
    if isinstance(outcome, Away) and (outcome.surely or step == "ask" or registry.capability == "idempotent"):
        return replace(credit, due_at=now), ()
    if step == "post":
        credit = replace(credit, attempted_at=now)
    if next_step(replace(credit, state="unknown"), registry.capability) == "give_up":
        return replace(credit, state="uncertain"), (_unknown(*ids),)
    return _later(credit, now), ()


def _quiet_at(credit: Credit, registry: Registry) -> datetime | None:
    """When what was attempted stands in the ledger or never will; None where nothing was."""
    if credit.attempted_at is None:
        return None
    return credit.attempted_at + timedelta(seconds=registry.settles_within_seconds)


def _later(credit: Credit, now: datetime) -> Credit:
    attempts = credit.attempts + 1
    due_at = now + min(_LONGEST, _SHORTEST * 2 ** min(attempts - 1, 20))
    return replace(credit, state="unknown", attempts=attempts, due_at=due_at)


def _repeated(known: Credit, registry: str) -> tuple[Send, ...]:
    """The answer that was given already; nothing while it is still to come."""
    if known.state == "accepted":
        return (send(registry, _acceptance(known)),)
    if known.state == "refused":
        reason = known.reason or "refused"
        return (send(registry, _refusal(known.transfer_id, known.volunteer_ref, reason, retry=known.retry)),)
    if known.state == "uncertain":
        return (send(registry, _unknown(known.transfer_id, known.volunteer_ref)),)
    return ()


def _acceptance(done: Credit) -> CreditAccepted:
    assert done.posted_delta is not None
    assert done.posted_at is not None
    return CreditAccepted(
        transfer_id=done.transfer_id,
        volunteer_ref=done.volunteer_ref,
        delta=done.posted_delta,
        posted_at=done.posted_at,
    )


def _refusal(transfer_id: UUID, ref: str, reason: str, *, retry: bool = False) -> CreditRefused:
    return CreditRefused(transfer_id=transfer_id, volunteer_ref=ref, reason=reason, retry=retry)


def _unknown(transfer_id: UUID, ref: str) -> CreditUnknown:
    return CreditUnknown(transfer_id=transfer_id, volunteer_ref=ref)
