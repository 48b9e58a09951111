"""What to pass on to a registry's system, when to call it again, and what its answers mean to the linkage.

A timeout means *unknown*: an idempotent registry gets the same id again, a queryable one is asked first,
and believed only once nothing can be under way there any more; any other is never tried twice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final, Literal, TypeAlias
from uuid import UUID

from contracts.messages import Message
from contracts.messages.deliveries import CreditQueried
from contracts.messages.receipts import CreditAccepted, CreditRefused, CreditUnknown
from contracts.registry import Capability, Registry
from contracts.topics import RECEIPTS, registry_source
from services.adapters.states import Away, Credit, Lost, Notice, NotPosted, Outcome, Posted, Refused
from services.chassis.decisions import Decision, Inbound, Send, States

__all__ = [
    "Receipt",
    "change_consent",
    "next_step",
    "one_line",
    "pass_on",
    "query",
    "receive",
    "remembered",
    "send",
    "settle",
]

Receipt: TypeAlias = CreditAccepted | CreditRefused | CreditUnknown

_SECRETS: Final = {"code", "code_hash"}
"""Nobody needs them any more, so nobody keeps them."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SHORTEST: Final = timedelta(seconds=0.2)
_LONGEST: Final = timedelta(seconds=30)


def send(registry: str, message: Message) -> Send:
    """A receipt in the registry's name."""
    return Send(RECEIPTS.of(registry), message, source=registry_source(registry))


def receive(states: States, inbound: Inbound, now: datetime, policy: Registry) -> Decision:
    """CreditPosted: due for the registry's ledger, once. A repeat of what was answered gets the same answer."""
    credit = inbound.data
    known = states.get(Credit, credit.transfer_id)
    asked = _numbers(credit.attempt)
    if known is None:
        fresh = Credit(credit.transfer_id, credit.volunteer_ref, credit, "due", 0, now, asked=asked)
        return Decision(changes=(fresh,))
    if known.volunteer_ref != credit.volunteer_ref or (known.body and known.body.delta != credit.delta):
        refused = _refusal(credit.transfer_id, credit.volunteer_ref, "conflict", credit.attempt)
        return Decision(sends=(send(policy.code, refused),))
    if (known.state == "refused" and known.retry) or (known.body is None and known.state == "uncertain"):
        # "Later", and a question that found nothing, both mean: surely not posted. A refusal for good is repeated:
        # the border has counted it, so posting after all would double minutes that a later version carries.
        again = replace(known, body=credit, state="due", attempts=0, due_at=now, asked=asked, trouble=None)
        return Decision(changes=(again,))
    return _repeated(known, policy.code, asked)


def query(states: States, inbound: Inbound, now: datetime, policy: Registry) -> Decision:
    """CreditQueried: answered from what is known here; otherwise a queryable registry is asked."""
    question: CreditQueried = inbound.data
    ids = (question.transfer_id, question.volunteer_ref)
    known = states.get(Credit, question.transfer_id) or Credit(*ids, None, "uncertain", 0, now)
    if known.volunteer_ref != question.volunteer_ref:
        return Decision(sends=(send(policy.code, _unknown(*ids, question.attempt)),))
    asked = _numbers(question.attempt)
    if known.state == "uncertain" and policy.capability == "queryable":
        return Decision(changes=(replace(known, state="unknown", due_at=now, asked=asked),))
    return _repeated(known, policy.code, asked)


def change_consent(states: States, inbound: Inbound, now: datetime, policy: Registry) -> Decision:
    """ConsentChanged: passed on; a withdrawal takes back what the registry has surely not seen yet (rule 40).

    ``retry`` is true: the border queues the transfer again, finds no consent and withholds it until there is one.
    """
    told = inbound.data
    passed = pass_on(states, inbound, now, policy)
    if told.state != "withdrawn":
        return passed
    stopped = [
        _refuse(credit, Refused("consent_withdrawn", retry=True))
        # Not in the order in which a database gives them: each receipt has the id of its place.
        for credit in sorted(states.group(Credit, "volunteer_ref", told.volunteer_ref), key=attrgetter("transfer_id"))
        if credit.state == "due" and credit.body is not None and credit.body.host == told.registry
    ]
    changes = (*passed.changes, *(credit for credit, _ in stopped))
    return replace(passed, changes=changes, sends=tuple(send(policy.code, one) for _, said in stopped for one in said))


def pass_on(_: States, inbound: Inbound, __: datetime, policy: Registry) -> Decision:
    """Everything else: the registry's system is told, in the order of each key."""
    event = inbound.event
    notice = Notice(
        id=inbound.own_id,
        key=event.key,
        own=event.source == registry_source(policy.code),
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
    match outcome:
        case Posted(delta, posted_at, times):
            done = _accepted(credit, delta, posted_at)
            return done, (_acceptance(done, _newest(credit)),) * times
        case Refused():
            return _not_yet(credit, registry, now) or _refuse(credit, outcome)
        case NotPosted():
            return _not_yet(credit, registry, now) or _never_seen(credit, now)
        case _:
            return _in_doubt(credit, outcome, registry, now)


def _accepted(credit: Credit, delta: int, posted_at: datetime) -> Credit:
    return replace(
        credit,
        state="accepted",
        posted_delta=delta,
        posted_at=posted_at,
        reason=None,
        retry=False,
        asked=(),
        trouble=None,
    )


def _not_yet(credit: Credit, registry: Registry, now: datetime) -> tuple[Credit, tuple[Message, ...]] | None:
    """Call again before "not posted" is believed: a call that was given up may still be under way there."""
    if credit.attempted_at is None:
        return None
    quiet_at = credit.attempted_at + timedelta(seconds=registry.settles_within_seconds)
    # Not ``now``: it may look long before its answer is here. It was called when that was due, or later.
    if credit.due_at >= quiet_at:
        return None
    again = _later(credit, now)
    return replace(again, due_at=min(again.due_at, quiet_at)), ()


def _refuse(credit: Credit, refused: Refused) -> tuple[Credit, tuple[Message, ...]]:
    """A refusal with retry is told for each attempt that has no receipt yet, by its number: the linkage holds each for
    possibly posted until then. A refusal for good is told once."""
    attempts = credit.asked if refused.retry and credit.asked else (_newest(credit),)
    ids = (credit.transfer_id, credit.volunteer_ref)
    done = replace(credit, state="refused", reason=refused.reason, retry=refused.retry, asked=(), trouble=None)
    return done, tuple(_refusal(*ids, refused.reason, attempt, retry=refused.retry) for attempt in attempts)


def _never_seen(credit: Credit, now: datetime) -> tuple[Credit, tuple[Message, ...]]:
    if credit.body is None:
        return _give_up(credit)
    return replace(credit, state="due", due_at=now, trouble=None), ()


def _in_doubt(
    credit: Credit, outcome: Lost | Away, registry: Registry, now: datetime
) -> tuple[Credit, tuple[Message, ...]]:
    step = next_step(credit, registry.capability)
    # At once, when the system is there again; but never before the time that it asked for, not after a restart either.
    due_at = now + timedelta(seconds=outcome.seconds) if isinstance(outcome, Away) else now
    if isinstance(outcome, Away) and (outcome.surely or step == "ask"):
        return replace(credit, due_at=due_at), ()
    credit = replace(credit, trouble=one_line(outcome.detail))
    if step == "post":
        credit = replace(credit, attempted_at=now)
    if next_step(replace(credit, state="unknown"), registry.capability) == "give_up":
        return _give_up(credit)
    if isinstance(outcome, Away) and registry.capability == "idempotent":
        # Whatever gave up on the call may have passed it on: it is no longer "due", which would say that it surely is
        # not at the registry.
        return replace(credit, state="unknown", due_at=due_at), ()
    later = _later(credit, now)
    return replace(later, due_at=max(later.due_at, due_at)), ()


def _give_up(credit: Credit) -> tuple[Credit, tuple[Message, ...]]:
    said = _unknown(credit.transfer_id, credit.volunteer_ref, _newest(credit))
    return replace(credit, state="uncertain", asked=()), (said,)


def _later(credit: Credit, now: datetime) -> Credit:
    attempts = credit.attempts + 1
    due_at = now + min(_LONGEST, _SHORTEST * 2 ** min(attempts - 1, 20))
    return replace(credit, state="unknown", attempts=attempts, due_at=due_at)


def _repeated(known: Credit, registry: str, asked: tuple[int, ...]) -> Decision:
    """The answer that was given already; while it is still to come, it will be given to these attempts too."""
    ids = (known.transfer_id, known.volunteer_ref)
    attempt = asked[0] if asked else None
    said: Message
    match known.state:
        case "accepted":
            said = _acceptance(known, attempt)
        case "refused":
            said = _refusal(*ids, known.reason or "refused_by_home", attempt, retry=known.retry)
        case "uncertain":
            said = _unknown(*ids, attempt)
        case _:
            return Decision(changes=(replace(known, asked=(*known.asked, *asked)),) if asked else ())
    return Decision(sends=(send(registry, said),))


def remembered(credit: Credit, said: Sequence[Receipt], now: datetime) -> Credit:
    """The credit in a database that was restored: as a later life of it ``said`` in receipts that it does not know of.

    Minutes that were accepted stand, a last word is one. "Later" and "nobody knows" hold for the attempts that they
    name. Whatever is due after that may have been called in that life, so it is as if this one had called it.
    """
    answered = {one.attempt for one in said}
    open_ = tuple(number for number in credit.asked if number not in answered)
    accepted = [one for one in said if isinstance(one, CreditAccepted)]
    final = [one for one in said if isinstance(one, CreditRefused) and not one.retry]
    if accepted:
        return _accepted(credit, accepted[0].delta, accepted[0].posted_at)
    if final:
        done = replace(credit, state="refused", reason=final[-1].reason, retry=False)
    elif not said or open_:
        if credit.state != "due":
            return replace(credit, asked=open_)
        return replace(credit, state="unknown", attempted_at=now, due_at=now, asked=open_)
    elif isinstance(last := said[-1], CreditRefused):
        done = replace(credit, state="refused", reason=last.reason, retry=True)
    else:
        done = replace(credit, state="uncertain")
    return replace(done, asked=(), trouble=None)


def one_line(text: str) -> str:
    """What outsiders said, as a database and a log line can hold it."""
    return _CONTROL.sub(" ", text.encode(errors="replace").decode())[:300]


def _numbers(attempt: int | None) -> tuple[int, ...]:
    return () if attempt is None else (attempt,)


def _newest(credit: Credit) -> int | None:
    return max(credit.asked, default=None)


def _acceptance(done: Credit, attempt: int | None) -> CreditAccepted:
    assert done.posted_delta is not None
    assert done.posted_at is not None
    return CreditAccepted(
        transfer_id=done.transfer_id,
        volunteer_ref=done.volunteer_ref,
        delta=done.posted_delta,
        posted_at=done.posted_at,
        attempt=attempt,
    )


def _refusal(transfer_id: UUID, ref: str, reason: str, attempt: int | None, *, retry: bool = False) -> CreditRefused:
    return CreditRefused(transfer_id=transfer_id, volunteer_ref=ref, reason=reason, retry=retry, attempt=attempt)


def _unknown(transfer_id: UUID, ref: str, attempt: int | None) -> CreditUnknown:
    return CreditUnknown(transfer_id=transfer_id, volunteer_ref=ref, attempt=attempt)
