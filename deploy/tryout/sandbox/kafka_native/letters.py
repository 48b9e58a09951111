"""The contract's messages as entries of this registry's books."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.envelope import Event
from contracts.messages import deliveries, refusals, service, shifts, signups, volunteers
from deploy.tryout.sandbox import entries

__all__ = ["letter"]


def letter(event: Event, *, own: bool) -> entries.Letter:
    """The letter of this event. ``own``: it was sent in our name."""
    data: Any = event.data
    make = _ENTRIES.get(type(data))
    return entries.Letter(
        source=event.source,
        id=event.id,
        at=event.time,
        kind=event.type,
        own=own,
        ref=getattr(data, "volunteer_ref", None),
        entry=make(event, data) if make else None,
    )


def _offered(_: Event, data: volunteers.LinkOffered) -> entries.Entry:
    return entries.LinkAsked(data.volunteer_ref, data.for_registry, "home")


def _requested(_: Event, data: volunteers.LinkRequested) -> entries.Entry:
    return entries.LinkAsked(data.volunteer_ref, data.home, "host")


def _project(_: Event, data: shifts.ProjectPublished) -> entries.Entry:
    return entries.Project(
        project_ref=data.project_ref,
        version=data.version,
        title=data.title,
        category=data.category.value,
        organiser_ref=data.organiser_ref,
        state=data.state,
        campaign_ref=data.campaign.ref if data.campaign else None,
        campaign_title=data.campaign.title if data.campaign else None,
    )


def _shift(_: Event, data: shifts.ShiftPublished) -> entries.Entry:
    return entries.Shift(
        project_ref=data.project_ref,
        shift_ref=data.shift_ref,
        version=data.version,
        starts_at=data.starts_at,
        ends_at=data.ends_at,
        signup_opens_at=data.signup_opens_at,
        signup_closes_at=data.signup_closes_at,
        posts=data.posts,
        waitlist_posts=data.waitlist_posts,
        minimum_age=data.minimum_age,
        division_code=data.place.division_code,
        place=data.place.text,
        state=data.state,
    )


def _asked(_: Event, data: Any) -> entries.Entry:
    reported = isinstance(data, signups.SignupReported)
    withdrawn = data.state == "withdrawn" if reported else isinstance(data, signups.SignupWithdrawn)
    return entries.SignupAsked(
        signup_ref=data.signup_ref,
        ref=data.volunteer_ref,
        host=data.host,
        project_ref=data.project_ref,
        shift_ref=data.shift_ref,
        state="withdrawn" if withdrawn else "reported" if reported else "requested",
    )


def _presence(event: Event, data: Any) -> entries.Entry:
    return entries.Presence(
        message_id=event.id,
        ref=data.volunteer_ref,
        project_ref=data.project_ref,
        shift_ref=data.shift_ref,
        at=data.at,
        kind="in" if isinstance(data, service.CheckedIn) else "out",
        method=data.method,
    )


def _attested(event: Event, data: service.ServiceAttested) -> entries.Entry:
    return entries.Attested(
        message_id=event.id,
        record_ref=data.record_ref,
        version=data.version,
        ref=data.volunteer_ref,
        project_ref=data.project_ref,
        shift_ref=data.shift_ref,
        started_at=data.started_at,
        ended_at=data.ended_at,
        break_minutes=data.break_minutes,
        minutes=data.minutes,
        evidence_class=data.evidence_class.value,
        revoked=data.revoked,
    )


def _link(_: Event, data: deliveries.LinkChanged) -> entries.Entry:
    return entries.LinkTold(data.volunteer_ref, data.registry, data.state, data.reason, data.answers)


def _consent(_: Event, data: deliveries.ConsentChanged) -> entries.Entry:
    return entries.ConsentTold(data.volunteer_ref, data.registry, data.state, data.version)


def _signup(_: Event, data: deliveries.SignupChanged) -> entries.Entry:
    return entries.SignupTold(
        signup_id=data.signup_id,
        signup_ref=data.signup_ref,
        asker=data.asker,
        ref=data.volunteer_ref,
        host=data.host,
        project_ref=data.project_ref,
        shift_ref=data.shift_ref,
        state=data.state,
        reason=data.reason,
        starts_at=data.starts_at,
        ends_at=data.ends_at,
    )


def _decided(_: Event, data: deliveries.ServiceDecided) -> entries.Entry:
    return entries.Decided(data.record_ref, data.version, data.state, data.reason)


def _transfer(_: Event, data: deliveries.CreditReported) -> entries.Entry:
    return entries.TransferTold(
        data.record_ref, data.version, data.home, data.transfer_id, data.state, data.total, data.reason
    )


def _refused(_: Event, data: refusals.MessageRefused) -> entries.Entry:
    return entries.Refused(data.message_id, data.reason, data.pointer, data.detail, data.standing_version)


def _credit(_: Event, data: deliveries.CreditPosted) -> entries.Entry:
    record = data.record
    return entries.Credit(
        transfer_id=data.transfer_id,
        ref=data.volunteer_ref,
        host=data.host,
        delta=data.delta,
        total=data.total,
        record_ref=None if record is None else record.record_ref,
        version=None if record is None else record.version,
        attempt=data.attempt,
    )


def _query(_: Event, data: deliveries.CreditQueried) -> entries.Entry:
    return entries.Query(data.transfer_id, data.volunteer_ref, data.attempt)


# Other messages are kept as letters only: consent and breaks take effect when the linkage tells them.
_ENTRIES: dict[type[Any], Callable[[Event, Any], entries.Entry]] = {
    volunteers.LinkOffered: _offered,
    volunteers.LinkRequested: _requested,
    shifts.ProjectPublished: _project,
    shifts.ShiftPublished: _shift,
    signups.SignupRequested: _asked,
    signups.SignupWithdrawn: _asked,
    signups.SignupReported: _asked,
    service.CheckedIn: _presence,
    service.CheckedOut: _presence,
    service.ServiceAttested: _attested,
    deliveries.LinkChanged: _link,
    deliveries.ConsentChanged: _consent,
    deliveries.SignupChanged: _signup,
    deliveries.ServiceDecided: _decided,
    deliveries.CreditReported: _transfer,
    refusals.MessageRefused: _refused,
    deliveries.CreditPosted: _credit,
    deliveries.CreditQueried: _query,
}
