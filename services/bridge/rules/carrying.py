"""What moves transfers: attendance's word on a record, a home's receipt, a timer, consent that is there again."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from contracts.messages import attendance, receipts
from contracts.messages.deliveries import ServiceDecided
from services.bridge.policy import Policy
from services.bridge.reasons import ReceiptRefusal
from services.bridge.rules.admission import origin, sender
from services.bridge.rules.draft import Draft
from services.bridge.rules.people import OBSTACLES, consent_of, home_link, obstacle, person_unknown
from services.bridge.rules.transfer import Way
from services.bridge.states import ConsentState, Link, Pause, ServiceState, Transfer
from services.bridge.steps import SERVICE
from services.chassis.decisions import Decision, Inbound, States

__all__ = ["receipt", "receipt_due", "release", "retry_due", "service_decided", "settled_by_hand"]

_Fact: TypeAlias = attendance.ServiceConfirmed | attendance.ServiceHeld | attendance.ServiceRevoked
_Receipt: TypeAlias = receipts.CreditAccepted | receipts.CreditRefused | receipts.CreditUnknown
_State: TypeAlias = Literal["confirmed", "held", "revoked"]


def service_decided(state: _State, states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Tell the host how its record stands; a version newly confirmed or revoked is a transfer, a held one is not.

    Services at home (host = home) go nowhere. Versions that are not newer than the settled one change nothing.
    """
    fact: _Fact = inbound.data
    tie = home_link(states, fact.person, fact.host)
    if tie is None:
        return person_unknown(inbound, fact.person)
    known = states.get(ServiceState, (fact.host, fact.record.record_ref))
    if known is not None and known.person != fact.person:
        raise ValueError(f"record {fact.subject} is another person's")
    if known is not None and fact.record.version <= known.settled_version:
        return Decision()
    draft = Draft(inbound, now)
    service = _told(known, fact, state, tie.home)
    _report(draft, tie, fact, state)
    draft.change(service)
    carried = fact.host != tie.home and state != "held"
    # Revoked before anything of it was ever confirmed: there is no transfer to take back.
    if carried and (state == "confirmed" or service.transfer_id is not None):
        _way(draft, policy, states, service, tie).add(fact.record)
    return draft.decision()


def _told(known: ServiceState | None, fact: _Fact, state: _State, home: str) -> ServiceState:
    settled = state != "held"
    return ServiceState(
        host=fact.host,
        record_ref=fact.record.record_ref,
        person=fact.person,
        home=home,
        record=fact.record,
        state=state,
        reason=fact.reason if isinstance(fact, attendance.ServiceHeld) else None,
        minutes=fact.minutes,
        settled_version=fact.record.version if settled else (known.settled_version if known else 0),
        total=fact.minutes if settled else (known.total if known else 0),
        posted=known.posted if known else 0,
        transfer_id=known.transfer_id if known else None,
    )


def _report(draft: Draft, tie: Link, fact: _Fact, state: _State) -> None:
    reason = fact.reason if isinstance(fact, attendance.ServiceHeld) else None
    told = ServiceDecided(
        volunteer_ref=tie.ref_at(fact.host),
        record_ref=fact.record.record_ref,
        version=fact.record.version,
        state=state,
        reason=reason,
        minutes=fact.minutes,
    )
    draft.deliver(fact.host, told)
    draft.step(
        fact.person,
        SERVICE[state],
        fact.host,
        fact.record.record_ref,
        version=fact.record.version,
        minutes=fact.minutes,
        reason=reason,
    )


def receipt(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A home's answer moves its own transfer, sent to that volunteer; anything else goes back to the home."""
    data: _Receipt = inbound.data
    draft = Draft(inbound, now)
    transfer = states.get(Transfer, data.transfer_id)
    answer: ReceiptRefusal | None
    if transfer is None:
        answer = "unknown_transfer"
    elif (transfer.home, transfer.home_ref) != (sender(inbound), data.volunteer_ref):
        answer = "not_yours"
    else:
        answer = _take(_way_of(draft, policy, states, transfer), transfer, data)
    if answer is not None:
        draft.refuse(origin(inbound), answer)
    return draft.decision()


def _take(way: Way, transfer: Transfer, data: _Receipt) -> ReceiptRefusal | None:
    match data:
        case receipts.CreditAccepted(delta=delta):
            return way.accepted(transfer, delta)
        case receipts.CreditRefused(reason=reason, retry=retry, attempt=attempt):
            return way.refused(transfer, reason, retry, attempt)
        case _:
            return way.unknown(transfer, data.attempt)


def receipt_due(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A receipt did not come in time."""
    data, draft = inbound.data, Draft(inbound, now)
    if transfer := states.get(Transfer, data.transfer_id):
        _way_of(draft, policy, states, transfer).receipt_is_due(transfer, data.attempt)
    return draft.decision()


def retry_due(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A home that refused for the moment is tried again."""
    data, draft = inbound.data, Draft(inbound, now)
    if transfer := states.get(Transfer, data.transfer_id):
        _way_of(draft, policy, states, transfer).retry_is_due(transfer, data.attempt)
    return draft.decision()


def settled_by_hand(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """An operator asked the home, and says what became of a transfer of which nobody was sure."""
    data, draft = inbound.data, Draft(inbound, now)
    if transfer := states.get(Transfer, data.transfer_id):
        _way_of(draft, policy, states, transfer).settle_by_hand(transfer, data.outcome)
    return draft.decision()


def release(draft: Draft, policy: Policy, states: States, link: Link, consent: ConsentState | None) -> None:
    """Link or consent changed for the better: send what this person's transfers from this host were held back for.

    What is held back for the very reason that still stands is left alone, so that a home that says her consent again
    and again does not make all her transfers be decided again each time. Only where a transfer may have been booked, a
    home that is to be asked is asked in any case.
    """
    draft.change(link)  # as whoever holds a transfer back does
    still = obstacle(link, consent, draft.now)
    asked = policy.seat(link.home).capability != "idempotent"
    held_back = {
        transfer.record_key
        for reason in OBSTACLES
        if reason != still or asked
        for transfer in states.group(Transfer, "held_back", (link.person, link.host, reason))
        if reason != still or transfer.in_the_way
    }
    for key in sorted(held_back):
        service = states.get(ServiceState, key)
        assert service is not None, "a transfer stands on its record"
        _way_with(draft, policy, states, service, link, consent).release()


def _way_of(draft: Draft, policy: Policy, states: States, transfer: Transfer) -> Way:
    service = states.get(ServiceState, transfer.record_key)
    link = states.get(Link, (transfer.person, transfer.host))
    assert service is not None
    assert link is not None
    return _way(draft, policy, states, service, link)


def _way(draft: Draft, policy: Policy, states: States, service: ServiceState, link: Link) -> Way:
    return _way_with(draft, policy, states, service, link, consent_of(states, link))


def _way_with(
    draft: Draft, policy: Policy, states: States, service: ServiceState, link: Link, consent: ConsentState | None
) -> Way:
    transfers = states.group(Transfer, "open_of", service.record_key)
    paused = states.get(Pause, service.home) is not None
    return Way(draft, policy, link, consent, service, transfers, paused=paused)
