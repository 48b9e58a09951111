"""The catalogue of topics: one typed entry each, with its messages by step of the journey.

No other topic is created, read or written. ``journey.py`` says what is decided in each step. The partitioner is murmur2
over the UTF-8 key, the Java client's default (``partitioner.py``). A message in another partition is refused, since
nobody could keep the order of its key. A partition count never changes; growth is a new topic version after draining.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from contracts.messages import (
    Message,
    attendance,
    bridge,
    deliveries,
    identity,
    operations,
    opportunities,
    receipts,
    refusals,
    service,
    shifts,
    signups,
    volunteers,
)
from contracts.topic import Leg, TopicEntry

__all__ = [
    "ATTENDANCE_COMMANDS",
    "ATTENDANCE_EVENTS",
    "BRIDGE_COMMANDS",
    "BRIDGE_EVENTS",
    "DELIVERIES",
    "IDENTITY_COMMANDS",
    "IDENTITY_EVENTS",
    "INBOUND",
    "OPERATIONS_EVENTS",
    "OPPORTUNITIES_COMMANDS",
    "OPPORTUNITIES_EVENTS",
    "REFUSALS",
    "TEMPLATES",
    "VOLUNTEERS",
    "TopicEntry",
    "all_topics",
    "registry_source",
    "registry_topic_for",
    "service_source",
]

_FOURTEEN_DAYS: Final = 14 * 24 * 3600 * 1000


def _registry(suffix: str, key: str, inbound: bool, legs: tuple[Leg, ...], meaning: str) -> TopicEntry:
    return TopicEntry(
        name=f"registry.{{registry}}.{suffix}.v1",
        key=key,
        writer="registry" if inbound else "bridge",
        readers=("bridge",) if inbound else ("registry",),
        legs=legs,
        meaning=meaning,
        retention_ms=_FOURTEEN_DAYS,
        personal_data=suffix == "volunteers",
        log_time=True,
    )


VOLUNTEERS = _registry(
    "volunteers",
    "volunteer_ref",
    True,
    (
        Leg(1, (volunteers.LinkOffered,), "home"),
        Leg(2, (volunteers.LinkRequested,), "host"),
        Leg(4, (volunteers.ConsentGiven, volunteers.ConsentWithdrawn), "home"),
        Leg(4, (volunteers.LinkBroken, volunteers.LinkRestored), "home or host"),
    ),
    "linking and consent, as the registry says it of its own volunteers",
)
OPPORTUNITIES = _registry(
    "opportunities",
    "project_ref",
    True,
    (Leg(5, (shifts.ProjectPublished, shifts.ShiftPublished), "host"),),
    "projects and shifts of a host",
)
SIGNUPS = _registry(
    "signups",
    "volunteer_ref",
    True,
    (
        Leg(6, (signups.SignupRequested, signups.SignupWithdrawn), "home or host"),
        Leg(6, (signups.SignupReported,), "host = home"),
    ),
    "sign-ups asked for at home or at the host, and windows taken at home",
)
ATTENDANCE = _registry(
    "attendance",
    "volunteer_ref",
    True,
    (Leg(8, (service.CheckedIn, service.CheckedOut, service.ServiceAttested, service.ServiceReviewed), "host"),),
    "presence and service records as the host attests them, and what its reviewers decided",
)
RECEIPTS = _registry(
    "receipts",
    "volunteer_ref",
    True,
    (Leg(10, (receipts.CreditAccepted, receipts.CreditRefused, receipts.CreditUnknown), "home"),),
    "a home's answers to credits",
)
DELIVERIES = _registry(
    "deliveries",
    "volunteer_ref",
    False,
    (
        Leg(3, (deliveries.LinkChanged,)),
        Leg(4, (deliveries.ConsentChanged,)),
        Leg(7, (deliveries.SignupChanged,)),
        Leg(8, (deliveries.ServiceDecided,)),
        Leg(9, (deliveries.CreditPosted, deliveries.CreditQueried)),
        Leg(10, (deliveries.CreditReported,)),
    ),
    "what the linkage tells a registry, in that registry's own refs",
)
REFUSALS = _registry(
    "refusals",
    "key of the refused message",
    False,
    (Leg(11, (refusals.MessageRefused,)),),
    "what the border turned away, to its sender",
)

INBOUND: Final = (VOLUNTEERS, OPPORTUNITIES, SIGNUPS, ATTENDANCE, RECEIPTS)
"""What a registry writes, as templates."""

IDENTITY_COMMANDS = TopicEntry(
    "identity.commands.v1",
    "home:home_ref",
    "bridge",
    ("identity",),
    (
        Leg(1, (identity.OfferLink,)),
        Leg(2, (identity.RequestLink,)),
        Leg(2, (identity.ExpireLinkRequest,), "identity"),
        Leg(4, (identity.RecordConsent, identity.BreakLink, identity.RestoreLink)),
    ),
    "offers, requests, consent and breaks, translated; identity's own timers",
    retention_ms=_FOURTEEN_DAYS,
)
IDENTITY_EVENTS = TopicEntry(
    "identity.events.v1",
    "person",
    "identity",
    ("bridge",),
    (
        Leg(3, (identity.LinkEstablished, identity.LinkRefused)),
        Leg(4, (identity.LinkBroken, identity.LinkRestored, identity.ConsentChanged, identity.CommandRefused)),
    ),
    "who is one person, with refs",
    retention_ms=_FOURTEEN_DAYS,
)
OPPORTUNITIES_COMMANDS = TopicEntry(
    "opportunities.commands.v1",
    "host:project_ref",
    "bridge",
    ("opportunities",),
    (
        Leg(5, (opportunities.PublishProject, opportunities.PublishShift)),
        Leg(6, (opportunities.RequestSignup, opportunities.WithdrawSignup, opportunities.ReportSignup)),
        Leg(6, (opportunities.CloseWaitlist,), "opportunities"),
    ),
    "shifts and sign-ups with persons: one project is one ordered stream; opportunities' own timers",
)
OPPORTUNITIES_EVENTS = TopicEntry(
    "opportunities.events.v1",
    "host:project_ref",
    "opportunities",
    ("bridge", "attendance"),
    (
        Leg(
            7,
            (
                opportunities.SignupConfirmed,
                opportunities.SignupWaitlisted,
                opportunities.SignupPromoted,
                opportunities.SignupRefused,
                opportunities.SignupWithdrawn,
                opportunities.SignupNoted,
                opportunities.CommandRefused,
            ),
        ),
    ),
    "how every sign-up stands",
)
ATTENDANCE_COMMANDS = TopicEntry(
    "attendance.commands.v1",
    "person",
    "bridge",
    ("attendance",),
    (
        Leg(
            8,
            (
                attendance.RecordCheckIn,
                attendance.RecordCheckOut,
                attendance.AttestService,
                attendance.ReviewService,
            ),
        ),
    ),
    "presence and service records with persons",
)
ATTENDANCE_EVENTS = TopicEntry(
    "attendance.events.v1",
    "person",
    "attendance",
    ("bridge",),
    (
        Leg(
            8,
            (attendance.ServiceConfirmed, attendance.ServiceHeld, attendance.ServiceRevoked, attendance.CommandRefused),
        ),
    ),
    "how the linkage stands to every service record, whole",
)
BRIDGE_COMMANDS = TopicEntry(
    "bridge.commands.v1",
    "host:record_ref",
    "bridge",
    ("bridge",),
    (Leg(9, (bridge.CheckReceipt, bridge.RetryTransfer, bridge.SettleTransfer)),),
    "the bridge's own timers, and what operators settle",
)
BRIDGE_EVENTS = TopicEntry(
    "bridge.events.v1",
    "person",
    "bridge",
    (),
    (Leg(10, (bridge.TransferChanged,)),),
    "every change of a transfer, for audit",
)
OPERATIONS_EVENTS = TopicEntry(
    "operations.events.v1",
    "service",
    "services",
    (),
    (Leg(14, (operations.OperatorActed,)),),
    "what operators did to a service's database; `shuangcheng restore` reads it",
)

TEMPLATES: Final = (*INBOUND, DELIVERIES, REFUSALS)
INNER: Final = (
    IDENTITY_COMMANDS,
    IDENTITY_EVENTS,
    OPPORTUNITIES_COMMANDS,
    OPPORTUNITIES_EVENTS,
    ATTENDANCE_COMMANDS,
    ATTENDANCE_EVENTS,
    BRIDGE_COMMANDS,
    BRIDGE_EVENTS,
    OPERATIONS_EVENTS,
)


def all_topics(registries: Iterable[str]) -> list[TopicEntry]:
    """Every topic of a linkage of these registries: seven a registry, and the inner ones."""
    return [entry.of(code) for code in sorted(set(registries)) for entry in TEMPLATES] + list(INNER)


def registry_source(code: str) -> str:
    """The CloudEvents source of a registry, which must own the topic on which it publishes."""
    return f"urn:shuangcheng:registry:{code}"


def service_source(name: str) -> str:
    """The CloudEvents source of a service of the linkage."""
    return f"urn:shuangcheng:service:{name}"


def registry_topic_for(source: str, message: type[Message]) -> str | None:
    """The topic on which this source publishes this message, or None when a registry may not say it."""
    prefix, _, code = source.rpartition(":")
    if f"{prefix}:" != registry_source(""):
        return None
    return next((entry.of(code).name for entry in INBOUND if message in entry.messages), None)
