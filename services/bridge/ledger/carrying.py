"""What moves transfers: attendance's decision on a record, a home's receipt, a timer, consent that was given again."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from contracts.messages import attendance, receipts
from contracts.messages.deliveries import ServiceDecided
from services.bridge.border.admission import sender
from services.bridge.border.people import OBSTACLES, consent_of, home_link, obstacle, person_unknown
from services.bridge.draft import Draft, registry_message
from services.bridge.ledger.transfer import RecordTransfers
from services.bridge.policy import Policy
from services.bridge.reasons import ReceiptRefusal
from services.bridge.states import ConsentState, Link, Pause, ServiceState, Transfer
from services.bridge.steps import SERVICE
from services.chassis.decisions import Decision, Inbound, States

__all__ = ["go_on", "receipt", "receipt_due", "retry_due", "service_decided", "settled_by_hand"]

_Decided: TypeAlias = attendance.ServiceConfirmed | attendance.ServiceHeld | attendance.ServiceRevoked
_Receipt: TypeAlias = receipts.CreditAccepted | receipts.CreditRefused | receipts.CreditUnknown
_State: TypeAlias = Literal["confirmed", "held", "revoked"]


def service_decided(state: _State, states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Tell the host how its record was decided. A version that is confirmed or revoked makes a transfer; a held version
    makes none.

    A service at home (host = home) makes no transfer. A version changes nothing unless it is newer than the last one
    that was confirmed or revoked.
    """
    event: _Decided = inbound.data
    link = home_link(states, event.person, event.host)
    if link is None:
        return person_unknown(inbound, event.person)
    before = states.get(ServiceState, (event.host, event.record.record_ref))
    if before is not None and before.person != event.person:
        raise ValueError(f"record {event.subject} is another person's")
    if before is not None and event.record.version <= before.settled_version:
        return Decision()
    draft = Draft(inbound, now)
    service = _as_decided(before, event, state, link.home)
    _report(draft, link, event, state)
    draft.change(service)
    carried = event.host != link.home and state != "held"
    # Where a record is revoked before any version of it was confirmed, there is no transfer to take back.
    if carried and (state == "confirmed" or service.transfer_id is not None):
        _of_record(draft, policy, states, service, link, consent_of(states, link)).add(event.record)
    return draft.decision()


def _as_decided(before: ServiceState | None, event: _Decided, state: _State, home: str) -> ServiceState:
    final = state != "held"
    return ServiceState(
        host=event.host,
        record_ref=event.record.record_ref,
        person=event.person,
        home=home,
        record=event.record,
        state=state,
        reason=event.reason if isinstance(event, attendance.ServiceHeld) else None,
        minutes=event.minutes,
        settled_version=event.record.version if final else (before.settled_version if before else 0),
        total=event.minutes if final else (before.total if before else 0),
        posted=before.posted if before else 0,
        transfer_id=before.transfer_id if before else None,
    )


def _report(draft: Draft, link: Link, event: _Decided, state: _State) -> None:
    reason = event.reason if isinstance(event, attendance.ServiceHeld) else None
    notice = ServiceDecided(
        volunteer_ref=link.ref_at(event.host),
        record_ref=event.record.record_ref,
        version=event.record.version,
        state=state,
        reason=reason,
        minutes=event.minutes,
    )
    draft.deliver(event.host, notice)
    draft.step(
        event.person,
        SERVICE[state],
        event.host,
        event.record.record_ref,
        version=event.record.version,
        minutes=event.minutes,
        reason=reason,
    )


def receipt(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A home's receipt moves the transfer that was sent to this home for this volunteer. Any other receipt is
    refused."""
    data: _Receipt = inbound.data
    draft = Draft(inbound, now)
    transfer = states.get(Transfer, data.transfer_id)
    answer: ReceiptRefusal | None
    if transfer is None:
        answer = "unknown_transfer"
    elif (transfer.home, transfer.home_ref) != (sender(inbound), data.volunteer_ref):
        answer = "not_yours"
    else:
        answer = _take(_of_transfer(draft, policy, states, transfer), transfer, data)
    if answer is not None:
        draft.refuse(registry_message(inbound), inbound.event.key, answer)
    return draft.decision()


def _take(of_record: RecordTransfers, transfer: Transfer, data: _Receipt) -> ReceiptRefusal | None:
    match data:
        case receipts.CreditAccepted(delta=delta):
            return of_record.accepted(transfer, delta)
        case receipts.CreditRefused(reason=reason, retry=retry, attempt=attempt):
            return of_record.refused(transfer, reason, retry, attempt)
        case _:
            return of_record.unknown(transfer, data.attempt)


def receipt_due(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """The time in which a receipt was due is over."""
    data, draft = inbound.data, Draft(inbound, now)
    if transfer := states.get(Transfer, data.transfer_id):
        _of_transfer(draft, policy, states, transfer).receipt_is_due(transfer, data.attempt)
    return draft.decision()


def retry_due(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A home that refused a credit for the moment is given it again."""
    data, draft = inbound.data, Draft(inbound, now)
    if transfer := states.get(Transfer, data.transfer_id):
        _of_transfer(draft, policy, states, transfer).retry_is_due(transfer, data.attempt)
    return draft.decision()


def settled_by_hand(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """An operator settles a transfer whose outcome nobody else can say."""
    data, draft = inbound.data, Draft(inbound, now)
    if transfer := states.get(Transfer, data.transfer_id):
        _of_transfer(draft, policy, states, transfer).settle_by_hand(transfer, data.outcome)
    return draft.decision()


def go_on(draft: Draft, policy: Policy, states: States, link: Link, consent: ConsentState | None) -> None:
    """The link was established or restored, or consent was given: transfers of this person from this host go on.

    A transfer is left alone while the reason for which it is withheld still holds. Otherwise a home that gives one
    consent again and again would make all her transfers be decided again each time. There is one exception: a home
    that can be asked is asked about a transfer that it may have booked, whatever the reason.
    """
    draft.change(link)  # a decision that withholds a transfer writes this row too, so the later of two is overtaken
    still = obstacle(link, consent, draft.now)
    asked = policy.seat(link.home).capability != "idempotent"
    records = {
        transfer.record_key
        for reason in OBSTACLES
        if reason != still or asked
        for transfer in states.group(Transfer, "withheld_for", (link.person, link.host, reason))
        if reason != still or transfer.in_the_way
    }
    for key in sorted(records):
        service = states.get(ServiceState, key)
        assert service is not None, "a transfer stands on its record"
        _of_record(draft, policy, states, service, link, consent).go_on()


def _of_transfer(draft: Draft, policy: Policy, states: States, transfer: Transfer) -> RecordTransfers:
    service = states.get(ServiceState, transfer.record_key)
    link = states.get(Link, (transfer.person, transfer.host))
    assert service is not None
    assert link is not None
    return _of_record(draft, policy, states, service, link, consent_of(states, link))


def _of_record(
    draft: Draft, policy: Policy, states: States, service: ServiceState, link: Link, consent: ConsentState | None
) -> RecordTransfers:
    transfers = states.group(Transfer, "open_of", service.record_key)
    paused = states.get(Pause, service.home) is not None
    return RecordTransfers(draft, policy, link, consent, service, transfers, paused=paused)
