"""Which accounts of two registries are one human being's: a decision per command. ``case`` has the shared part."""

from __future__ import annotations

from datetime import datetime

from contracts.consent import Standing
from contracts.messages import identity as messages
from services.chassis.decisions import Decision, Inbound, States
from services.identity.case import MOST_PENDING, Case
from services.identity.policy import Policy
from services.identity.states import CommandRefusal, Offer, Request

__all__ = ["break_link", "expire_link_request", "offer_link", "record_consent", "request_link", "restore_link"]


def _refuse(case: Case, inbound: Inbound, reason: CommandRefusal) -> Decision:
    standing = case.consent.version if reason == "stale_consent" and case.consent is not None else None
    case.tell(messages.CommandRefused, reason=reason, origin=inbound.data.origin, standing_version=standing)
    return case.decision()


def offer_link(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Keep the newest offer and its consent, answer the requests that it decides, and renew age band and guardian's
    approval of a link.

    Offers are ordered by event time, so an older offer that comes late changes nothing. Consent is ordered by its
    version. The border judges consent by the same rule, so stale consent comes only from a border that was restored.
    The border leaves consent out of an offer for a pair that is linked.
    """
    case, command = Case.of_home(states, inbound, now), inbound.data
    if command.home == command.host:
        return _refuse(case, inbound, "same_registry")
    if case.role == "host":
        return _refuse(case, inbound, "guest_account")
    consent = command.consent
    renewed: bool | None = False
    if consent is not None:
        renewed = case.take_consent(Standing(consent.version, "given", consent.valid_until), consent)
    if renewed is None:
        return _refuse(case, inbound, "stale_consent")
    if case.offer is None or inbound.time >= case.offer.offered_at:
        case.keep_offer(
            Offer(
                case.person,
                command.host,
                command.code_hash,
                command.age_band,
                command.guardian_approved,
                offered_at=inbound.time,
                expires_at=command.expires_at,
            )
        )
    if case.link is not None and renewed:
        case.tell_consent()
    case.catch_up()
    case.answer()
    return case.decision()


def request_link(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Link the two accounts if the code fits a live offer. Keep the request while an offer may be under way."""
    case, command = Case.of(states, inbound, now), inbound.data
    request = Request(
        inbound.event.id,
        command.home,
        command.home_ref,
        command.host,
        command.host_ref,
        command.code_hash,
        asked_at=inbound.time,
        origin=command.origin,
    )
    crowded = len(case.pending()) >= MOST_PENDING
    outcome = case.answer(request)
    if outcome is None and crowded:
        case.refuse(request, "too_many_attempts")
    elif outcome is None:
        case.keep_pending(request, now + policy.request_waits)
    return case.decision()


def expire_link_request(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Refuse a request that is still pending. Nothing happens where it was answered meanwhile."""
    case = Case.of(states, inbound, now)
    for request in case.pending():
        if request.request_id == inbound.data.request_id:
            case.forget(request)
            case.refuse(request, case.refusal_at_deadline(request))
    return case.decision()


def record_consent(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Keep the standing of consent after this message, whether the pair is linked or not (rules 38-40).

    Every message is answered, also where nothing changed: by a refusal, or by the standing with its version. Therefore
    a home that went back to a copy of its database learns the standing.
    """
    case, command = Case.of_home(states, inbound, now), inbound.data
    consent = command.consent if command.state == "given" else None
    if command.state == "given" and (consent is None or consent.version != command.version):
        return _refuse(case, inbound, "consent_incomplete")
    until = None if consent is None else consent.valid_until
    changed = case.take_consent(Standing(command.version, command.state, until), consent)
    if changed is None:
        return _refuse(case, inbound, "stale_consent")
    case.tell_consent()
    if changed:
        case.catch_up()
        case.answer()
    return case.decision()


def break_link(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Break the link. Home and host each have a break of their own, and neither can take back the other's."""
    case, by = Case.of_home(states, inbound, now), inbound.data.by
    if case.link is None or by not in (case.home, case.host):
        return _refuse(case, inbound, "not_linked")
    side = "home_break" if by == case.home else "host_break"
    if getattr(case.link, side) is not None:
        return _refuse(case, inbound, "already_broken")
    case.change_link(**{side: inbound.data.reason})
    _tell_broken(case, inbound, by, inbound.data.reason)
    return case.decision()


def restore_link(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """Take back the sender's own break. Where the other side's break remains, the link still rests, and that break is
    told; else the link is active again."""
    case, by = Case.of_home(states, inbound, now), inbound.data.by
    link = case.link
    if link is None:
        return _refuse(case, inbound, "not_linked")
    if link.active:
        return _refuse(case, inbound, "not_broken")
    home = case.home
    own = link.home_break if by == home else link.host_break if by == case.host else None
    if own is None:
        return _refuse(case, inbound, "not_yours_to_restore")
    link = case.change_link(**{"home_break" if by == home else "host_break": None})
    if not link.active:
        other = case.host if by == home else home
        _tell_broken(case, inbound, other, link.home_break or link.host_break or "")
        return case.decision()
    case.tell(messages.LinkRestored, time=inbound.time, host_ref=link.host_ref, link_version=link.version, by=by)
    case.catch_up()
    return case.decision()


def _tell_broken(case: Case, inbound: Inbound, by: str, reason: str) -> None:
    # At the time of the message, as a restoration is told: what happened before the break counts, whenever it is read.
    assert case.link is not None
    link = case.link
    case.tell(
        messages.LinkBroken,
        time=inbound.time,
        host_ref=link.host_ref,
        link_version=link.version,
        by=by,
        reason=reason,
    )
