"""The journey of a volunteer, step by step: on which topic each step is said, and what is decided there.

The messages of a step stand with their topics (``Leg`` in ``topics.py``). The table of the README is made from both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from contracts import topics
from contracts.messages import Message
from contracts.topics import TopicEntry

__all__ = ["JOURNEY", "Said", "Step", "said"]


@dataclass(frozen=True, slots=True)
class Step:
    """A row of the journey: the topic on which it is said, and what is decided. Messages of the step on other topics
    travel inside the linkage."""

    number: int
    topic: TopicEntry
    decides: str


class Said(NamedTuple):
    """Messages of a step that one sender says on one topic."""

    sender: str
    topic: TopicEntry
    messages: tuple[type[Message], ...]


def said(step: Step) -> Iterator[Said]:
    """All messages of this step, in the order in which they follow from each other."""
    for entry in (*topics.INBOUND, *topics.INNER, topics.DELIVERIES, topics.REFUSALS):
        for leg in entry.legs:
            if leg.step == step.number:
                yield Said(leg.sender or entry.writer, entry, leg.messages)


JOURNEY: Final = (
    Step(
        1,
        topics.VOLUNTEERS,
        'the volunteer tapped "serve in the other city" in her own app: this is the consent',
    ),
    Step(
        2,
        topics.VOLUNTEERS,
        "she brought the code along (≥ 128 random bits); whoever holds it controls both accounts (rule 80). The border "
        "hashes it and never hands it on. What follows of either ref waits until the request is answered",
    ),
    Step(
        3,
        topics.IDENTITY_EVENTS,
        "offer and request in either order; code, expiry, age band, guardian. Both registries are told; the host makes "
        "the full account: one-click registration",
    ),
    Step(
        4,
        topics.VOLUNTEERS,
        "the border applies a word on consent in the transaction that admits it; identity follows; both registries are "
        "told. A break counts from the time of its message; each side lifts its own",
    ),
    Step(
        5,
        topics.OPPORTUNITIES,
        "each carries the whole state and a version; the window of a shift never moves. One project is one ordered "
        "stream. Search is a read API of opportunities: one-click search",
    ),
    Step(
        6,
        topics.SIGNUPS,
        "capacity, clash across registries, age, guardian, window; judged at the message's time. The id is made from "
        "person and shift, so both apps at once are one sign-up",
    ),
    Step(
        7,
        topics.OPPORTUNITIES_EVENTS,
        "delivered to the home and the shift's host, once where they are the same: one-click sign-up. Attendance keeps "
        "the right to serve from here",
    ),
    Step(
        8,
        topics.ATTENDANCE,
        "confirmed, held (no_signup, no_evidence, outside_shift, no_check_in, no_check_out, beyond_presence, "
        "too_short, too_late, needs_review, review_rejected, duplicate, overlap, travel, over_cap) or revoked, the "
        "whole record each time, so a later version heals a lost one. The host is told, and does not count a held "
        "record. A person of the host who did not attest it decides about a held version",
    ),
    Step(
        9,
        topics.DELIVERIES,
        "with consent at the moment of sending: sent, which is written to the outbox; else withheld. One transfer of a "
        "record is under way at a time: a later version is queued meanwhile. Without a receipt an idempotent home gets "
        "it again, a queryable one is asked",
    ),
    Step(
        10,
        topics.RECEIPTS,
        "credited, refused (with retry: back to queued, with backoff) or uncertain. The host is told too: hours by "
        "themselves",
    ),
    Step(
        11,
        topics.REFUSALS,
        "everything that the border turns away, back to its sender with message id, reason and pointer",
    ),
    Step(
        14,
        topics.OPERATIONS_EVENTS,
        "what an operator did to a service's database, in the transaction of the act. Kept, so that a database that is "
        "restored can be told what was done since its backup",
    ),
)
"""Rows 1-11, and 14: operators' acts. Row 12, daily reconciliation, and row 13, swaps and absence, have no messages
yet."""
