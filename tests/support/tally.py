"""A small service for tests of the chassis: it adds up ``delta`` per volunteer.

The volunteer's ref decides. For ``raise-…`` the decision raises while ``Tally.broken`` is set. For ``wait-<name>…`` the
message waits for the fact that a message for ``fact-<name>`` brings. The total of ``check-…`` may not sink below zero,
which only the database guards.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from contracts.envelope import Event, encode
from contracts.messages.receipts import CreditAccepted
from contracts.messages.refusals import MessageRefused
from contracts.topic import Leg, TopicEntry
from services.chassis.base.database import Batch
from services.chassis.decisions import Channel, Decision, Inbound, Send, States, Wait
from services.chassis.reactions import Reaction
from services.chassis.schedule import Job, Run
from services.chassis.service import Service, Stream, Undecodable
from services.chassis.tables import Table

SOURCE = "urn:shuangcheng:registry:tt"


@dataclass(frozen=True, slots=True)
class Total:
    """The total of one volunteer."""

    ref: str
    minutes: int
    seen: list[int]


class TallyStore:
    """The store: one table."""

    tables = (Table(Total, "total", key=("ref",)),)

    def needs(self) -> set[str]:
        """Refs of volunteers."""
        return set()

    async def load(self, batch: Batch, needs: set[str], states: States) -> None:
        """Load the totals of the volunteers of this batch, and of those whose facts it waits for."""
        await self.tables[0].load_keys(batch.connection, states, needs)


class Tally:
    """The service with its topics; names are unique to a test."""

    def __init__(self, suffix: str, migrations: Path, partitions: int = 4) -> None:
        self.inlet = TopicEntry(
            f"tally-in-{suffix}",
            "volunteer_ref",
            "registry",
            ("tally",),
            (Leg(0, (CreditAccepted,)),),
            "in",
            partitions,
        )
        self.outlet = TopicEntry(
            f"tally-out-{suffix}",
            "volunteer_ref",
            "tally",
            (),
            (Leg(0, (CreditAccepted, MessageRefused)),),
            "out",
            partitions,
        )
        self.broken = True
        self.says_twice_as_much = False
        """Whether the rule is another one: its message about a credit then has another body."""
        self.refused = 0
        """How many messages were refused because their time was up."""
        self.jobs: tuple[Job, ...] = ()
        self.migrations = migrations
        self.group = f"tally-{suffix}"

    def service(self) -> Service:
        """The description that the chassis runs."""
        return Service(
            name="tally",
            bearers=frozenset({"registry"}),
            streams=(Stream(self.group, (self.inlet,), frozenset({SOURCE})),),
            reactions={CreditAccepted: Reaction(self.decide, _subject, _locks, _needs)},
            store=TallyStore(),
            migrations=self.migrations,
            refuse=self.refuse,
            says=(self.outlet,),
            schedule=self.jobs,
        )

    def decide(self, states: States, inbound: Inbound, now: datetime, policy: None) -> Decision:
        """Add."""
        ref, delta = inbound.data.volunteer_ref, inbound.data.delta
        if ref.startswith("raise-") and self.broken and delta < 0:
            raise ValueError("as asked")
        fact = f"fact-{ref.split('-')[1]}" if ref.startswith("wait-") else ""
        if fact and states.get(Total, fact) is None:
            if inbound.waited_out:
                self.refused += 1
                refused = MessageRefused(message_id=inbound.event.id, reason="not_linked", refused_key=ref)
                return Decision(sends=(Send(self.outlet, refused),))
            return Decision(wait=Wait(f"fact:{fact}", brought_by=(Channel(self.inlet),)))
        total = states.get(Total, ref) or Total(ref, 0, [])
        total = replace(total, minutes=total.minutes + delta, seen=[*total.seen, delta])
        facts = (f"fact:{ref}",) if ref.startswith("fact-") else ()
        said = inbound.data
        if self.says_twice_as_much:
            said = said.model_copy(update={"delta": 2 * delta})
        return Decision(changes=(total,), sends=(Send(self.outlet, said),), facts=facts)

    async def bonus(self, run: Run) -> bool:
        """A job: each volunteer with a total gets one minute more, and a message about it."""
        refs = [row[0] for row in await run.db.fetch("SELECT ref FROM total WHERE ref LIKE 'bonus-%' ORDER BY ref")]
        await run.lock(f"volunteer:{ref}" for ref in refs)
        await run.db.execute(_BONUS, run.due, refs)
        for ref in refs:
            run.send(*self.words(ref, run.due))
        return False

    def words(self, ref: str, due: datetime) -> Sequence[Send]:
        """The message of the job to a volunteer who gets one minute more."""
        return (Send(self.outlet, _credit(ref, 1, due)),)

    def refuse(self, unreadable: Undecodable) -> Iterable[Send]:
        """Tell the sender."""
        message_id = unreadable.error.id or f"{unreadable.topic}/{unreadable.partition}/{unreadable.offset}"
        reason = unreadable.error.reason
        return [Send(self.outlet, MessageRefused(message_id=message_id, reason=reason, refused_key="-"))]


def _subject(inbound: Inbound) -> str:
    return f"volunteer:{inbound.data.volunteer_ref}"


def _needs(inbound: Inbound, needs: set[str]) -> None:
    ref = inbound.data.volunteer_ref
    needs.add(ref)
    if ref.startswith("wait-"):
        needs.add(f"fact-{ref.split('-')[1]}")


def _locks(inbound: Inbound) -> Iterable[str]:
    ref = inbound.data.volunteer_ref
    if ref.startswith("wait-"):
        return [f"fact:fact-{ref.split('-')[1]}"]
    return [f"fact:{ref}"] if ref.startswith("fact-") else []


_BONUS = """UPDATE total SET minutes = minutes + 1, seen = seen || to_jsonb(extract(epoch FROM $1::timestamptz)::bigint)
WHERE ref = ANY($2)"""
MIGRATION = """CREATE TABLE total (ref text PRIMARY KEY, minutes bigint NOT NULL, seen jsonb NOT NULL,
    CHECK (ref NOT LIKE 'check-%' OR minutes >= 0));"""


def credit(ref: str, delta: int, id: str | None = None, source: str = SOURCE) -> Event:
    """An event that the tally understands."""
    now = datetime.now(UTC)
    return Event(id or str(uuid.uuid4()), source, now, _credit(ref, delta, now))


def _credit(ref: str, delta: int, at: datetime) -> CreditAccepted:
    about = uuid.uuid5(uuid.NAMESPACE_URL, f"{ref} {at.timestamp()}")
    return CreditAccepted(transfer_id=about, volunteer_ref=ref, delta=delta, posted_at=at)


def as_record(event: Event) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """Key, value and headers as a producer sends them."""
    value, headers = encode(event)
    return event.key.encode(), value, headers
