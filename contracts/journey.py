"""The journey, message by message: which topic entry carries each step, and what is decided there.

Rows are written against the topic entries, so a message that moves to another topic, or that no step tells of, is an
error here (``Leg`` and ``tests/contract/test_journey_table.py``). The table of the README is made from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contracts import topics
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
from contracts.topics import TopicEntry

__all__ = ["JOURNEY", "Leg", "Step"]


@dataclass(frozen=True, slots=True)
class Leg:
    """Messages of a step that travel on one topic. Raises ``ValueError`` for one that the topic does not carry."""

    sender: str
    topic: TopicEntry
    messages: tuple[type[Message], ...]

    def __post_init__(self) -> None:
        for message in self.messages:
            if message not in self.topic.messages:
                raise ValueError(f"{self.topic.name} does not carry {message.__name__}")


@dataclass(frozen=True, slots=True)
class Step:
    """A row of the journey: what is said, what the linkage passes on inside, and what is decided."""

    number: int
    says: tuple[Leg, ...]
    decides: str
    inside: tuple[Leg, ...] = ()


_LINK_COMMANDS: Final = topics.IDENTITY_COMMANDS
_POST_COMMANDS: Final = topics.OPPORTUNITIES_COMMANDS

JOURNEY: Final = (
    Step(
        1,
        (Leg("home", topics.VOLUNTEERS, (volunteers.LinkOffered,)),),
        'the volunteer tapped "serve in the other city" in her own app: this is the consent',
        (Leg("bridge", _LINK_COMMANDS, (identity.OfferLink,)),),
    ),
    Step(
        2,
        (Leg("host", topics.VOLUNTEERS, (volunteers.LinkRequested,)),),
        "she brought the code along (≥ 128 random bits); whoever holds it controls both accounts (rule 80). The border "
        "hashes it and never hands it on. What follows of either ref waits until the request is answered",
        (Leg("bridge", _LINK_COMMANDS, (identity.RequestLink, identity.ExpireLinkRequest)),),
    ),
    Step(
        3,
        (Leg("identity", topics.IDENTITY_EVENTS, (identity.LinkEstablished, identity.LinkRefused)),),
        "offer and request in either order; code, expiry, age band, guardian. Both registries are told; the host makes "
        "the full account: one-click registration",
        (Leg("bridge", topics.DELIVERIES, (deliveries.LinkChanged,)),),
    ),
    Step(
        4,
        (
            Leg("home", topics.VOLUNTEERS, (volunteers.ConsentGiven, volunteers.ConsentWithdrawn)),
            Leg("home or host", topics.VOLUNTEERS, (volunteers.LinkBroken, volunteers.LinkRestored)),
        ),
        "the border applies a word on consent in the transaction that admits it; identity follows; both registries are "
        "told. A break counts from the time of its message; each side lifts its own",
        (
            Leg("bridge", _LINK_COMMANDS, (identity.RecordConsent, identity.BreakLink, identity.RestoreLink)),
            Leg(
                "identity",
                topics.IDENTITY_EVENTS,
                (identity.ConsentChanged, identity.LinkBroken, identity.LinkRestored, identity.CommandRefused),
            ),
            Leg("bridge", topics.DELIVERIES, (deliveries.ConsentChanged,)),
        ),
    ),
    Step(
        5,
        (Leg("host", topics.OPPORTUNITIES, (shifts.ProjectPublished, shifts.ShiftPublished)),),
        "each carries the whole state and a version; the window of a shift never moves. One project is one ordered "
        "stream. Search is a read API of opportunities: one-click search",
        (Leg("bridge", _POST_COMMANDS, (opportunities.PublishProject, opportunities.PublishShift)),),
    ),
    Step(
        6,
        (
            Leg("home or host", topics.SIGNUPS, (signups.SignupRequested, signups.SignupWithdrawn)),
            Leg("host = home", topics.SIGNUPS, (signups.SignupReported,)),
        ),
        "capacity, clash across registries, age, guardian, window; judged at the message's time. The id is made from "
        "person and shift, so both apps at once are one sign-up",
        (
            Leg(
                "bridge",
                _POST_COMMANDS,
                (
                    opportunities.RequestSignup,
                    opportunities.WithdrawSignup,
                    opportunities.ReportSignup,
                    opportunities.CloseWaitlist,
                ),
            ),
        ),
    ),
    Step(
        7,
        (
            Leg(
                "opportunities",
                topics.OPPORTUNITIES_EVENTS,
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
        "delivered to the home and the shift's host, once where they are the same: one-click sign-up. Attendance keeps "
        "the right to serve from here",
        (Leg("bridge", topics.DELIVERIES, (deliveries.SignupChanged,)),),
    ),
    Step(
        8,
        (Leg("host", topics.ATTENDANCE, (service.CheckedIn, service.CheckedOut, service.ServiceAttested)),),
        "confirmed, held (no_signup, no_check_in, overlap, duplicate, over_cap) or revoked, the whole record each "
        "time, so a later version heals a lost one. The host is told, and does not count a held record",
        (
            Leg(
                "bridge",
                topics.ATTENDANCE_COMMANDS,
                (attendance.RecordCheckIn, attendance.RecordCheckOut, attendance.AttestService),
            ),
            Leg(
                "attendance",
                topics.ATTENDANCE_EVENTS,
                (
                    attendance.ServiceConfirmed,
                    attendance.ServiceHeld,
                    attendance.ServiceRevoked,
                    attendance.CommandRefused,
                ),
            ),
            Leg("bridge", topics.DELIVERIES, (deliveries.ServiceDecided,)),
        ),
    ),
    Step(
        9,
        (Leg("bridge", topics.DELIVERIES, (deliveries.CreditPosted, deliveries.CreditQueried)),),
        "with consent at the moment of sending: sent, which is written to the outbox; else withheld. One transfer of a "
        "record is under way at a time: a later version is queued meanwhile. Without a receipt an idempotent home gets "
        "it again, a queryable one is asked",
        (Leg("bridge", topics.BRIDGE_COMMANDS, (bridge.CheckReceipt, bridge.RetryTransfer, bridge.SettleTransfer)),),
    ),
    Step(
        10,
        (Leg("home", topics.RECEIPTS, (receipts.CreditAccepted, receipts.CreditRefused, receipts.CreditUnknown)),),
        "credited, refused (with retry: back to queued, with backoff) or uncertain. The host is told too: hours by "
        "themselves",
        (
            Leg("bridge", topics.BRIDGE_EVENTS, (bridge.TransferChanged,)),
            Leg("bridge", topics.DELIVERIES, (deliveries.CreditReported,)),
        ),
    ),
    Step(
        11,
        (Leg("bridge", topics.REFUSALS, (refusals.MessageRefused,)),),
        "everything that the border turns away, back to its sender with message id, reason and pointer",
    ),
    Step(
        14,
        (Leg("services", topics.OPERATIONS_EVENTS, (operations.OperatorActed,)),),
        "what an operator did to a service's database, in the transaction of the act. Kept, so that a database that is "
        "restored can be told what was done since its backup",
    ),
)
"""Rows 1-11, and 14: operators' acts. Row 12, daily reconciliation, and row 13, swaps and absence, have no messages
yet."""
