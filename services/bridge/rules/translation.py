"""A registry's words about shifts, sign-ups and service become commands about persons, stamped by the policy."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias

from contracts.ids import signup_id
from contracts.messages import attendance, opportunities, service, shifts, signups
from contracts.topics import ATTENDANCE_COMMANDS, OPPORTUNITIES_COMMANDS
from services.bridge.policy import Policy
from services.bridge.rules.admission import origin, refuse, sender
from services.bridge.rules.draft import Draft
from services.bridge.rules.people import Volunteer, consent_of, unlinked, volunteer
from services.bridge.states import Link, ServiceState
from services.bridge.steps import What
from services.chassis.decisions import Decision, Inbound, States

__all__ = [
    "is_given_back",
    "is_lowered",
    "presence_recorded",
    "project_published",
    "service_attested",
    "shift_published",
    "signup_reported",
    "signup_requested",
    "signup_withdrawn",
]

_Presence: TypeAlias = service.CheckedIn | service.CheckedOut
_Asked: TypeAlias = signups.SignupRequested | signups.SignupWithdrawn


def project_published(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """The sender is the project's host."""
    data: shifts.ProjectPublished = inbound.data
    draft = Draft(inbound, now)
    draft.command(
        OPPORTUNITIES_COMMANDS,
        opportunities.PublishProject(
            host=sender(inbound), project_ref=data.project_ref, project=data, origin=origin(inbound)
        ),
    )
    return draft.decision()


def shift_published(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """The sender is the shift's host."""
    data: shifts.ShiftPublished = inbound.data
    draft = Draft(inbound, now)
    draft.command(
        OPPORTUNITIES_COMMANDS,
        opportunities.PublishShift(
            host=sender(inbound), project_ref=data.project_ref, shift=data, origin=origin(inbound)
        ),
    )
    return draft.decision()


def signup_requested(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A post is asked for at home or at the host. Consent is not needed to serve, only to share (rule 40)."""
    link = _asked_link(states, inbound, now)
    if isinstance(link, Decision):
        return link
    if link.broken_at(inbound.time):
        return refuse(inbound, now, "link_broken")
    consent = consent_of(states, link)
    draft = Draft(inbound, now)
    command = opportunities.RequestSignup(
        **_signup(inbound, Volunteer(link.person, "host")),
        age_band=link.age_band,
        guardian_approved=link.guardian_approved,
        link_version=link.link_version,
        consent_version=consent.version if consent is not None else 0,
    )
    draft.command(OPPORTUNITIES_COMMANDS, command)
    draft.step(link.person, "signup_requested", link.host, str(command.signup_id), **_place(inbound))
    return draft.decision()


def signup_withdrawn(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A post is given back; that is accepted under a broken link too, since nobody gains by keeping it."""
    link = _asked_link(states, inbound, now)
    if isinstance(link, Decision):
        return link
    draft = Draft(inbound, now)
    command = opportunities.WithdrawSignup(**_signup(inbound, Volunteer(link.person, "host")))
    draft.command(OPPORTUNITIES_COMMANDS, command)
    draft.step(link.person, "signup_given_back", link.host, str(command.signup_id), **_place(inbound))
    return draft.decision()


def _asked_link(states: States, inbound: Inbound, now: datetime) -> Link | Decision:
    """The link under which the sender asks, or what follows from there being none."""
    data: _Asked = inbound.data
    code = sender(inbound)
    known = volunteer(states, code, data.volunteer_ref)
    if known is None:
        return unlinked(states, inbound, now, data.host)
    if known.role == "home" and data.host == code:
        # Posts of the linkage are for visitors: a service at home is reported, not asked for.
        return refuse(inbound, now, "at_home", "/host")
    if known.role == "host" and data.host != code:
        return refuse(inbound, now, "not_yours", "/host")
    return states.get(Link, (known.person, data.host)) or unlinked(states, inbound, now, data.host)


def signup_reported(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A linked volunteer is busy at home then; her window counts in the other registries."""
    data: signups.SignupReported = inbound.data
    known = volunteer(states, sender(inbound), data.volunteer_ref)
    if known is None:
        return unlinked(states, inbound, now)
    if known.role == "host":
        return refuse(inbound, now, "not_yours", "/volunteer_ref")
    draft = Draft(inbound, now)
    command = opportunities.ReportSignup(
        **_signup(inbound, known), starts_at=data.starts_at, ends_at=data.ends_at, state=data.state
    )
    draft.command(OPPORTUNITIES_COMMANDS, command)
    draft.step(known.person, "signup_reported", data.host, str(command.signup_id), **_place(inbound))
    return draft.decision()


def is_given_back(states: States, inbound: Inbound) -> bool:
    """Whether a report ends: she is no longer busy at home."""
    data: signups.SignupReported = inbound.data
    return data.state == "withdrawn"


def is_lowered(states: States, inbound: Inbound) -> bool:
    """Whether a version of a record has no more minutes than the version before it."""
    data: service.ServiceAttested = inbound.data
    earlier = states.get(ServiceState, (sender(inbound), data.record_ref))
    return data.revoked or (earlier is not None and data.minutes <= earlier.minutes)


def presence_recorded(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A check-in or check-out at the sender."""
    data: _Presence = inbound.data
    known = volunteer(states, sender(inbound), data.volunteer_ref)
    if known is None:
        return unlinked(states, inbound, now)
    if _is_broken(states, inbound, known):
        return refuse(inbound, now, "link_broken")
    draft = Draft(inbound, now)
    arrived = isinstance(data, service.CheckedIn)
    command = (attendance.RecordCheckIn if arrived else attendance.RecordCheckOut)(
        person=known.person,
        host=sender(inbound),
        signup_id=_signup_id(inbound, known),
        project_ref=data.project_ref,
        shift_ref=data.shift_ref,
        at=data.at,
        method=data.method,
        origin=origin(inbound),
    )
    draft.command(ATTENDANCE_COMMANDS, command)
    what: What = "checked_in" if arrived else "checked_out"
    draft.step(known.person, what, sender(inbound), str(command.signup_id), seen_at=data.at.isoformat())
    return draft.decision()


def service_attested(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A whole service record in a version. Under a broken link nothing new, but corrections of what is known."""
    data: service.ServiceAttested = inbound.data
    code = sender(inbound)
    known = volunteer(states, code, data.volunteer_ref)
    if known is None:
        return unlinked(states, inbound, now)
    earlier = states.get(ServiceState, (code, data.record_ref))
    if earlier is None and _is_broken(states, inbound, known):
        return refuse(inbound, now, "link_broken")
    draft = Draft(inbound, now)
    command = attendance.AttestService(
        person=known.person,
        host=code,
        signup_id=_signup_id(inbound, known),
        record=data,  # it is one; the field is of a record alone, so her ref is not written with it
        origin=origin(inbound),
    )
    draft.command(ATTENDANCE_COMMANDS, command)
    draft.step(known.person, "service_attested", code, data.record_ref, version=data.version, minutes=data.minutes)
    return draft.decision()


def _is_broken(states: States, inbound: Inbound, known: Volunteer) -> bool:
    """Whether her tie with the sending host rested when this happened; at home there is no tie to break."""
    link = states.get(Link, (known.person, sender(inbound)))
    return known.role == "host" and link is not None and link.broken_at(inbound.time)


def _signup(inbound: Inbound, known: Volunteer) -> dict[str, Any]:
    data: _Asked | signups.SignupReported = inbound.data
    return {
        "host": data.host,
        "project_ref": data.project_ref,
        "shift_ref": data.shift_ref,
        "signup_id": signup_id(known.person, data.host, data.project_ref, data.shift_ref),
        "person": known.person,
        "asker": sender(inbound),
        "signup_ref": data.signup_ref,
        "origin": origin(inbound),
    }


def _signup_id(inbound: Inbound, known: Volunteer) -> Any:
    data: _Presence | service.ServiceAttested = inbound.data
    return signup_id(known.person, sender(inbound), data.project_ref, data.shift_ref)


def _place(inbound: Inbound) -> dict[str, str]:
    data: _Asked | signups.SignupReported = inbound.data
    return {"project_ref": data.project_ref, "shift_ref": data.shift_ref, "asker": sender(inbound)}
