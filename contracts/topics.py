"""The catalogue of topics: one typed entry each. Nothing creates, reads or writes a topic not in here.

The partitioner is murmur2 over the UTF-8 key, as the Java client's default (``partitioner.py``): what stands elsewhere
is refused, for nobody could keep the order of its key. A partition count never changes; growth is a new topic version
after draining.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from contracts.limits import MAX_BATCH_BYTES
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
_KEPT: Final = None


@dataclass(frozen=True, slots=True)
class TopicEntry:
    """A topic. ``name`` may hold ``{registry}``; ``retention_ms`` of None keeps for ever.

    ``max_message_bytes`` is Kafka's ``max.message.bytes``: it bounds a batch as it travels. With ``log_time`` a record
    has the log's time of its arrival (``message.timestamp.type=LogAppendTime``): its writer has a clock of his own.
    """

    name: str
    key: str
    writer: str
    readers: tuple[str, ...]
    messages: tuple[type[Message], ...]
    meaning: str
    partitions: int = 8
    ordered: bool = True
    retention_ms: int | None = _KEPT
    personal_data: bool = False
    max_message_bytes: int = MAX_BATCH_BYTES
    log_time: bool = False

    def of(self, registry: str) -> TopicEntry:
        """The entry for one registry's seat."""
        return replace(self, name=self.name.format(registry=registry))


def _registry(suffix: str, key: str, inbound: bool, messages: tuple[type[Message], ...], meaning: str) -> TopicEntry:
    return TopicEntry(
        name=f"registry.{{registry}}.{suffix}.v1",
        key=key,
        writer="registry" if inbound else "bridge",
        readers=("bridge",) if inbound else ("registry",),
        messages=messages,
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
        volunteers.LinkOffered,
        volunteers.LinkRequested,
        volunteers.ConsentGiven,
        volunteers.ConsentWithdrawn,
        volunteers.LinkBroken,
        volunteers.LinkRestored,
    ),
    "linking and consent, as the registry says it of its own volunteers",
)
OPPORTUNITIES = _registry(
    "opportunities",
    "project_ref",
    True,
    (shifts.ProjectPublished, shifts.ShiftPublished),
    "projects and shifts of a host",
)
SIGNUPS = _registry(
    "signups",
    "volunteer_ref",
    True,
    (signups.SignupRequested, signups.SignupWithdrawn, signups.SignupReported),
    "sign-ups asked for at home or at the host, and windows taken at home",
)
ATTENDANCE = _registry(
    "attendance",
    "volunteer_ref",
    True,
    (service.CheckedIn, service.CheckedOut, service.ServiceAttested),
    "presence and service records as the host attests them",
)
RECEIPTS = _registry(
    "receipts",
    "volunteer_ref",
    True,
    (receipts.CreditAccepted, receipts.CreditRefused, receipts.CreditUnknown),
    "a home's answers to credits",
)
DELIVERIES = _registry(
    "deliveries",
    "volunteer_ref",
    False,
    (
        deliveries.LinkChanged,
        deliveries.ConsentChanged,
        deliveries.SignupChanged,
        deliveries.ServiceDecided,
        deliveries.CreditPosted,
        deliveries.CreditQueried,
        deliveries.CreditReported,
    ),
    "what the linkage tells a registry, in that registry's own refs",
)
REFUSALS = _registry(
    "refusals",
    "key of the refused message",
    False,
    (refusals.MessageRefused,),
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
        identity.OfferLink,
        identity.RequestLink,
        identity.ExpireLinkRequest,
        identity.RecordConsent,
        identity.BreakLink,
        identity.RestoreLink,
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
        identity.LinkEstablished,
        identity.LinkRefused,
        identity.LinkBroken,
        identity.LinkRestored,
        identity.ConsentChanged,
        identity.CommandRefused,
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
        opportunities.PublishProject,
        opportunities.PublishShift,
        opportunities.RequestSignup,
        opportunities.WithdrawSignup,
        opportunities.ReportSignup,
        opportunities.CloseWaitlist,
    ),
    "shifts and sign-ups with persons: one project is one ordered stream; opportunities' own timers",
)
OPPORTUNITIES_EVENTS = TopicEntry(
    "opportunities.events.v1",
    "host:project_ref",
    "opportunities",
    ("bridge", "attendance"),
    (
        opportunities.SignupConfirmed,
        opportunities.SignupWaitlisted,
        opportunities.SignupPromoted,
        opportunities.SignupRefused,
        opportunities.SignupWithdrawn,
        opportunities.SignupNoted,
        opportunities.CommandRefused,
    ),
    "how every sign-up stands",
)
ATTENDANCE_COMMANDS = TopicEntry(
    "attendance.commands.v1",
    "person",
    "bridge",
    ("attendance",),
    (attendance.RecordCheckIn, attendance.RecordCheckOut, attendance.AttestService),
    "presence and service records with persons",
)
ATTENDANCE_EVENTS = TopicEntry(
    "attendance.events.v1",
    "person",
    "attendance",
    ("bridge",),
    (attendance.ServiceConfirmed, attendance.ServiceHeld, attendance.ServiceRevoked, attendance.CommandRefused),
    "how the linkage stands to every service record, whole",
)
BRIDGE_COMMANDS = TopicEntry(
    "bridge.commands.v1",
    "host:record_ref",
    "bridge",
    ("bridge",),
    (bridge.CheckReceipt, bridge.RetryTransfer, bridge.SettleTransfer),
    "the bridge's own timers, and what operators settle",
)
BRIDGE_EVENTS = TopicEntry(
    "bridge.events.v1", "person", "bridge", (), (bridge.TransferChanged,), "every change of a transfer, for audit"
)
OPERATIONS_EVENTS = TopicEntry(
    "operations.events.v1",
    "service",
    "services",
    (),
    (operations.OperatorActed,),
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
    """The CloudEvents source of a registry: who must own the topic that it writes."""
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
