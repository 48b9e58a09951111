"""Which messages go on to a registry's system, when it is called again, and what its answers mean to the linkage.

After a timeout a credit is *unknown*. An idempotent registry gets the same id again. A queryable registry is asked
first, and "not posted" is believed only once no call can be under way there any more. Others are never called twice.
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
from services.chassis.base.backoff import growing
from services.chassis.decisions import Decision, Inbound, Send, States

__all__ = [
    "Receipt",
    "after_call",
    "change_consent",
    "next_step",
    "one_line",
    "pass_on",
    "query",
    "receive",
    "restored_credit",
    "send",
]

Receipt: TypeAlias = CreditAccepted | CreditRefused | CreditUnknown

_SECRETS: Final = {"code", "code_hash"}
"""Fields of messages that are not kept: the registry's system needs none of them."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SHORTEST: Final = timedelta(seconds=0.2)
_LONGEST: Final = timedelta(seconds=30)


def send(registry: str, message: Message) -> Send:
    """A receipt in the registry's name."""
    return Send(RECEIPTS.of(registry), message, source=registry_source(registry))


def receive(states: States, inbound: Inbound, now: datetime, policy: Registry) -> Decision:
    """CreditPosted: the credit is due for the registry's ledger, once. A repeat of an answered credit gets the same
    answer."""
    credit = inbound.data
    row = states.get(Credit, credit.transfer_id)
    asked = _numbers(credit.attempt)
    if row is None:
        fresh = Credit(credit.transfer_id, credit.volunteer_ref, credit, "due", 0, now, asked=asked)
        return Decision(changes=(fresh,))
    if row.volunteer_ref != credit.volunteer_ref or (row.body and row.body.delta != credit.delta):
        refused = _refusal(credit.transfer_id, credit.volunteer_ref, "conflict", credit.attempt)
        return Decision(sends=(send(policy.code, refused),))
    if (row.state == "refused" and row.retry) or (row.body is None and row.state == "uncertain"):
        # After a refusal with ``retry``, and after a question that found nothing, the credit is surely not posted. A
        # refusal for good is repeated instead: the border has counted it, and posting now would double minutes that a
        # later version carries.
        again = replace(row, body=credit, state="due", attempts=0, due_at=now, asked=asked, trouble=None)
        return Decision(changes=(again,))
    return _repeated(row, policy.code, asked)


def query(states: States, inbound: Inbound, now: datetime, policy: Registry) -> Decision:
    """CreditQueried: answered from the row, if it has an answer; otherwise a queryable registry is asked."""
    question: CreditQueried = inbound.data
    ids = (question.transfer_id, question.volunteer_ref)
    row = states.get(Credit, question.transfer_id) or Credit(*ids, None, "uncertain", 0, now)
    if row.volunteer_ref != question.volunteer_ref:
        return Decision(sends=(send(policy.code, _unknown(*ids, question.attempt)),))
    asked = _numbers(question.attempt)
    if row.state == "uncertain" and policy.capability == "queryable":
        return Decision(changes=(replace(row, state="unknown", due_at=now, asked=asked),))
    return _repeated(row, policy.code, asked)


def change_consent(states: States, inbound: Inbound, now: datetime, policy: Registry) -> Decision:
    """ConsentChanged: passed on. A withdrawal refuses credits that the registry has surely not seen (rule 40).

    They are refused with ``retry``: the border queues the transfer again, finds no consent, and withholds it until
    there is one. What takes minutes back goes on to the registry, without its record.
    """
    event = inbound.data
    passed = pass_on(states, inbound, now, policy)
    if event.state != "withdrawn":
        return passed
    due = [
        (credit, credit.body)
        # Sorted, since the id of a receipt follows from its place, and a database gives rows in any order.
        for credit in sorted(states.group(Credit, "volunteer_ref", event.volunteer_ref), key=attrgetter("transfer_id"))
        if credit.state == "due" and credit.body is not None and credit.body.host == event.registry
    ]
    stopped = [_refuse(credit, Refused("consent_withdrawn", retry=True)) for credit, body in due if body.delta >= 0]
    bare = [replace(credit, body=body.model_copy(update={"record": None})) for credit, body in due if body.delta < 0]
    changes = (*passed.changes, *bare, *(credit for credit, _ in stopped))
    return replace(passed, changes=changes, sends=tuple(send(policy.code, one) for _, said in stopped for one in said))


def pass_on(_: States, inbound: Inbound, __: datetime, policy: Registry) -> Decision:
    """Every other message: the registry's system is told of it, in the order of each key."""
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
    """The next step that is allowed for a credit that is due or unknown."""
    if credit.state == "due":
        return "post"
    if capability == "idempotent" and credit.body is not None:
        return "post"
    return "ask" if capability == "queryable" else "give_up"


def after_call(
    credit: Credit, outcome: Outcome, registry: Registry, now: datetime
) -> tuple[Credit, tuple[Message, ...]]:
    """The credit after a call, and the receipts to send. ``credit``: the credit before the call."""
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
    """Call again before "not posted" is believed, while a call that was given up may still be under way there. None
    where "not posted" can be believed."""
    if credit.attempted_at is None:
        return None
    quiet_at = credit.attempted_at + timedelta(seconds=registry.settles_within_seconds)
    # Compared is ``due_at`` and not ``now``: the system may have looked long before its answer came here, but not
    # before it was called, and it was called at ``due_at`` or later.
    if credit.due_at >= quiet_at:
        return None
    again = _later(credit, now)
    return replace(again, due_at=min(again.due_at, quiet_at)), ()


def _refuse(credit: Credit, refused: Refused) -> tuple[Credit, tuple[Message, ...]]:
    """A refusal with ``retry`` is told for each attempt that has no receipt, by its number: until then the border takes
    the attempt for possibly posted. A refusal for good is told once."""
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
    # The credit is due at once, so that it goes when the system answers again; but never before the time for which the
    # system asked to be left alone, which holds after a restart too.
    due_at = now + timedelta(seconds=outcome.seconds) if isinstance(outcome, Away) else now
    if isinstance(outcome, Away) and (outcome.surely or step == "ask"):
        return replace(credit, due_at=due_at), ()
    credit = replace(credit, trouble=one_line(outcome.detail))
    if step == "post":
        credit = replace(credit, attempted_at=now)
    if next_step(replace(credit, state="unknown"), registry.capability) == "give_up":
        return _give_up(credit)
    if isinstance(outcome, Away) and registry.capability == "idempotent":
        # A gateway that gave up on the call may have passed it on. So the credit is no longer ``due``, which would mean
        # that it is surely not at the registry.
        return replace(credit, state="unknown", due_at=due_at), ()
    later = _later(credit, now)
    return replace(later, due_at=max(later.due_at, due_at)), ()


def _give_up(credit: Credit) -> tuple[Credit, tuple[Message, ...]]:
    receipt = _unknown(credit.transfer_id, credit.volunteer_ref, _newest(credit))
    return replace(credit, state="uncertain", asked=()), (receipt,)


def _later(credit: Credit, now: datetime) -> Credit:
    attempts = credit.attempts + 1
    due_at = now + growing(_SHORTEST, _LONGEST, attempts)
    return replace(credit, state="unknown", attempts=attempts, due_at=due_at)


def _repeated(row: Credit, registry: str, asked: tuple[int, ...]) -> Decision:
    """Give the answer again that was given already. While there is none, these attempts wait for it too."""
    ids = (row.transfer_id, row.volunteer_ref)
    attempt = asked[0] if asked else None
    receipt: Message
    match row.state:
        case "accepted":
            receipt = _acceptance(row, attempt)
        case "refused":
            receipt = _refusal(*ids, row.reason or "refused_by_home", attempt, retry=row.retry)
        case "uncertain":
            receipt = _unknown(*ids, attempt)
        case _:
            return Decision(changes=(replace(row, asked=(*row.asked, *asked)),) if asked else ())
    return Decision(sends=(send(registry, receipt),))


def restored_credit(credit: Credit, receipts: Sequence[Receipt], now: datetime) -> Credit:
    """The credit in a database that was restored, after the ``receipts`` that were sent since the dump.

    A receipt that accepts, or refuses for good, is the answer. A refusal with ``retry`` and "unknown" count for the
    attempts that they name. A credit that is due after that may have been called since the dump, so it is taken for
    called.
    """
    answered = {receipt.attempt for receipt in receipts}
    open_ = tuple(number for number in credit.asked if number not in answered)
    accepted = [receipt for receipt in receipts if isinstance(receipt, CreditAccepted)]
    final = [receipt for receipt in receipts if isinstance(receipt, CreditRefused) and not receipt.retry]
    if accepted:
        return _accepted(credit, accepted[0].delta, accepted[0].posted_at)
    if final:
        done = replace(credit, state="refused", reason=final[-1].reason, retry=False)
    elif not receipts or open_:
        if credit.state != "due":
            return replace(credit, asked=open_)
        return replace(credit, state="unknown", attempted_at=now, due_at=now, asked=open_)
    elif isinstance(last := receipts[-1], CreditRefused):
        done = replace(credit, state="refused", reason=last.reason, retry=True)
    else:
        done = replace(credit, state="uncertain")
    return replace(done, asked=(), trouble=None)


def one_line(text: str) -> str:
    """An outsider's text, so that a database and a log line can hold it: printable, at most 300 characters."""
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
