"""A registry's messages about shifts, sign-ups and service become commands about persons, with what the border knows
of them: age band, guardian's approval, versions of link and consent."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias

from contracts.ids import signup_id
from contracts.messages import attendance, opportunities, service, shifts, signups
from contracts.topics import ATTENDANCE_COMMANDS, OPPORTUNITIES_COMMANDS
from services.bridge.border.admission import origin, refuse, sender
from services.bridge.border.people import Volunteer, consent_of, home_link, unlinked, volunteer_of
from services.bridge.draft import Draft
from services.bridge.policy import Policy
from services.bridge.states import Link, ServiceState
from services.bridge.steps import What
from services.chassis.decisions import Decision, Inbound, States

__all__ = [
    "is_given_back",
    "is_lowered",
    "presence_recorded",
    "project_published",
    "service_attested",
    "service_reviewed",
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
    """A volunteer asks for a post, at her home or at the host. To serve she needs no consent; sharing needs it
    (rule 40). Only her home may say how old she is (rule 37)."""
    link = _asked_link(states, inbound, now)
    if isinstance(link, Decision):
        return link
    if link.broken_at(inbound.time):
        return refuse(inbound, now, "link_broken")
    data: signups.SignupRequested = inbound.data
    if data.at_least is not None and sender(inbound) != link.home:
        return refuse(inbound, now, "not_yours", "/at_least")
    consent = consent_of(states, link)
    draft = Draft(inbound, now)
    command = opportunities.RequestSignup(
        **_signup(inbound, Volunteer(link.person, "host")),
        age_band=link.age_band,
        guardian_approved=link.guardian_approved,
        link_version=link.link_version,
        consent_version=consent.version if consent is not None else 0,
        at_least=data.at_least,
    )
    draft.command(OPPORTUNITIES_COMMANDS, command)
    draft.step(link.person, "signup_requested", link.host, str(command.signup_id), **_place(inbound))
    return draft.decision()


def signup_withdrawn(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A volunteer gives a post back. A broken link is no objection: a post that is kept helps nobody."""
    link = _asked_link(states, inbound, now)
    if isinstance(link, Decision):
        return link
    draft = Draft(inbound, now)
    command = opportunities.WithdrawSignup(**_signup(inbound, Volunteer(link.person, "host")))
    draft.command(OPPORTUNITIES_COMMANDS, command)
    draft.step(link.person, "signup_given_back", link.host, str(command.signup_id), **_place(inbound))
    return draft.decision()


def _asked_link(states: States, inbound: Inbound, now: datetime) -> Link | Decision:
    """The link under which the sender asks; where there is none, the wait or the refusal that follows."""
    data: _Asked = inbound.data
    code = sender(inbound)
    volunteer = volunteer_of(states, code, data.volunteer_ref)
    if volunteer is None:
        return unlinked(states, inbound, now, data.host)
    if volunteer.role == "home" and data.host == code:
        # Posts of the linkage are for visitors. A home reports its own sign-ups and does not ask for them.
        return refuse(inbound, now, "at_home", "/host")
    if volunteer.role == "host" and data.host != code:
        return refuse(inbound, now, "not_yours", "/host")
    return states.get(Link, (volunteer.person, data.host)) or unlinked(states, inbound, now, data.host)


def signup_reported(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A linked volunteer is busy at home in a window, which counts in the other registries too."""
    data: signups.SignupReported = inbound.data
    volunteer = volunteer_of(states, sender(inbound), data.volunteer_ref)
    if volunteer is None:
        return unlinked(states, inbound, now)
    if volunteer.role == "host":
        return refuse(inbound, now, "not_yours", "/volunteer_ref")
    draft = Draft(inbound, now)
    command = opportunities.ReportSignup(
        **_signup(inbound, volunteer), starts_at=data.starts_at, ends_at=data.ends_at, state=data.state
    )
    draft.command(OPPORTUNITIES_COMMANDS, command)
    draft.step(volunteer.person, "signup_reported", data.host, str(command.signup_id), **_place(inbound))
    return draft.decision()


def is_given_back(states: States, inbound: Inbound) -> bool:
    """Whether the report says that she is no longer busy at home."""
    data: signups.SignupReported = inbound.data
    return data.state == "withdrawn"


def is_lowered(states: States, inbound: Inbound) -> bool:
    """Whether this version of a record has no more minutes than the version before it."""
    data: service.ServiceAttested = inbound.data
    earlier = states.get(ServiceState, (sender(inbound), data.record_ref))
    return data.revoked or (earlier is not None and data.minutes <= earlier.minutes)


def presence_recorded(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A check-in or check-out at the sender."""
    data: _Presence = inbound.data
    volunteer = volunteer_of(states, sender(inbound), data.volunteer_ref)
    if volunteer is None:
        return unlinked(states, inbound, now)
    if _is_broken(states, inbound, volunteer):
        return refuse(inbound, now, "link_broken")
    draft = Draft(inbound, now)
    arrived = isinstance(data, service.CheckedIn)
    command = (attendance.RecordCheckIn if arrived else attendance.RecordCheckOut)(
        person=volunteer.person,
        host=sender(inbound),
        signup_id=_signup_id(inbound, volunteer),
        project_ref=data.project_ref,
        shift_ref=data.shift_ref,
        at=data.at,
        method=data.method,
        origin=origin(inbound),
    )
    draft.command(ATTENDANCE_COMMANDS, command)
    what: What = "checked_in" if arrived else "checked_out"
    draft.step(volunteer.person, what, sender(inbound), str(command.signup_id), seen_at=data.at.isoformat())
    return draft.decision()


def service_attested(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A version of a service record. Under a broken link a new record is refused, and a correction is taken."""
    data: service.ServiceAttested = inbound.data
    code = sender(inbound)
    volunteer = volunteer_of(states, code, data.volunteer_ref)
    if volunteer is None:
        return unlinked(states, inbound, now)
    earlier = states.get(ServiceState, (code, data.record_ref))
    if earlier is None and _is_broken(states, inbound, volunteer):
        return refuse(inbound, now, "link_broken")
    link = home_link(states, volunteer.person, code)
    draft = Draft(inbound, now)
    command = attendance.AttestService(
        person=volunteer.person,
        host=code,
        signup_id=_signup_id(inbound, volunteer),
        record=data,  # the field's type is the record alone, so the ref that ``data`` has besides is not written
        home=None if link is None else link.home,
        origin=origin(inbound),
    )
    draft.command(ATTENDANCE_COMMANDS, command)
    draft.step(volunteer.person, "service_attested", code, data.record_ref, version=data.version, minutes=data.minutes)
    return draft.decision()


def service_reviewed(states: States, inbound: Inbound, now: datetime, policy: Policy) -> Decision:
    """A person decided about a held version. Under a broken link too: the record was taken before."""
    data: service.ServiceReviewed = inbound.data
    code = sender(inbound)
    volunteer = volunteer_of(states, code, data.volunteer_ref)
    if volunteer is None:
        return unlinked(states, inbound, now)
    draft = Draft(inbound, now)
    command = attendance.ReviewService(
        person=volunteer.person,
        host=code,
        signup_id=_signup_id(inbound, volunteer),
        record_ref=data.record_ref,
        version=data.version,
        reviewer=data.reviewer,
        tier=data.tier,
        outcome=data.outcome,
        reason=data.reason,
        evidence_digest=data.evidence_digest,
        origin=origin(inbound),
    )
    draft.command(ATTENDANCE_COMMANDS, command)
    detail = {"version": data.version, "tier": data.tier, "outcome": data.outcome, "reason": data.reason}
    draft.step(volunteer.person, "service_reviewed", code, data.record_ref, **detail)
    return draft.decision()


def _is_broken(states: States, inbound: Inbound, volunteer: Volunteer) -> bool:
    """Whether her link with the sending host rested when this happened. At home there is no link that could rest."""
    link = states.get(Link, (volunteer.person, sender(inbound)))
    return volunteer.role == "host" and link is not None and link.broken_at(inbound.time)


def _signup(inbound: Inbound, volunteer: Volunteer) -> dict[str, Any]:
    data: _Asked | signups.SignupReported = inbound.data
    return {
        "host": data.host,
        "project_ref": data.project_ref,
        "shift_ref": data.shift_ref,
        "signup_id": signup_id(volunteer.person, data.host, data.project_ref, data.shift_ref),
        "person": volunteer.person,
        "asker": sender(inbound),
        "signup_ref": data.signup_ref,
        "origin": origin(inbound),
    }


def _signup_id(inbound: Inbound, volunteer: Volunteer) -> Any:
    data: _Presence | service.ServiceAttested | service.ServiceReviewed = inbound.data
    return signup_id(volunteer.person, sender(inbound), data.project_ref, data.shift_ref)


def _place(inbound: Inbound) -> dict[str, str]:
    data: _Asked | signups.SignupReported = inbound.data
    return {"project_ref": data.project_ref, "shift_ref": data.shift_ref, "asker": sender(inbound)}
