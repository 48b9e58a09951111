"""Opportunities in tests: commands in one line each, and a world in memory that decides them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Literal, TypeVar
from uuid import UUID, uuid4

from contracts.envelope import Event
from contracts.ids import signup_id
from contracts.messages import Message
from contracts.messages.base import AgeBand, Origin
from contracts.messages.opportunities import (
    CloseWaitlist,
    PublishProject,
    PublishShift,
    ReportSignup,
    RequestSignup,
    WithdrawSignup,
)
from contracts.messages.shifts import Campaign, Category, Place, ProjectPublished, ShiftPublished
from contracts.topics import OPPORTUNITIES_COMMANDS, service_source
from services.chassis.decisions import Decision, Inbound, States
from services.chassis.settings import Settings
from services.opportunities.service import build
from services.opportunities.states import Outcome, Shift, Signup
from tests.support.reacting import first_names

M = TypeVar("M", bound=Message)

DAY = datetime(2026, 7, 4, tzinfo=UTC)
"""Midnight of the day on which everything happens; sign-up is open on the day before."""
BEFORE = DAY - timedelta(hours=1)
_numbers = count(1)


def hour(number: float) -> datetime:
    """A moment on the day."""
    return DAY + timedelta(hours=number)


def origin(registry: str = "sz") -> Origin:
    """A registry's message that a command came from."""
    return Origin(registry=registry, message_id=f"m-{next(_numbers)}", message_type="t", key="v-1")


def project(
    ref: str = "p1",
    *,
    host: str = "gz",
    version: int = 1,
    title: str = "Green stations",
    category: Category = Category.ECOLOGY,
    campaign: str | None = None,
    state: Literal["open", "closed"] = "open",
) -> PublishProject:
    """A project; the campaign's title is its ref in capitals."""
    said = ProjectPublished(
        project_ref=ref,
        version=version,
        title=title,
        category=category,
        campaign=Campaign(ref=campaign, title=campaign.upper()) if campaign else None,
        organiser_ref="o-1",
        state=state,
    )
    return PublishProject(host=host, project_ref=ref, project=said, origin=origin(host))


def shift(
    ref: str = "s1",
    *,
    of: str = "p1",
    host: str = "gz",
    version: int = 1,
    window: tuple[float, float] = (9, 12),
    posts: int = 1,
    waitlist: int = 0,
    minimum_age: int = 0,
    state: Literal["open", "cancelled"] = "open",
    place: str = "Riverside",
    district: str = "440104",
    opens: datetime = DAY - timedelta(days=7),
    closes: datetime | None = None,
) -> PublishShift:
    """A shift; sign-up closes when it starts, unless said otherwise."""
    said = ShiftPublished(
        project_ref=of,
        shift_ref=ref,
        version=version,
        starts_at=hour(window[0]),
        ends_at=hour(window[1]),
        signup_opens_at=opens,
        signup_closes_at=closes or hour(window[0]),
        posts=posts,
        waitlist_posts=waitlist,
        minimum_age=minimum_age,
        place=Place(division_code=district, text=place),
        state=state,
    )
    return PublishShift(host=host, project_ref=of, shift=said, origin=origin(host))


def _signup(person: UUID, to: str, of: str, host: str, asker: str, ref: str | None) -> dict[str, Any]:
    return {
        "host": host,
        "project_ref": of,
        "signup_id": signup_id(person, host, of, to),
        "person": person,
        "shift_ref": to,
        "asker": asker,
        "signup_ref": ref or f"r-{person.hex[:12]}-{to}",
        "origin": origin(asker),
    }


def request(
    person: UUID,
    to: str = "s1",
    *,
    of: str = "p1",
    host: str = "gz",
    asker: str = "sz",
    ref: str | None = None,
    age: AgeBand = AgeBand.ADULT,
    guardian: bool = False,
) -> RequestSignup:
    """One click."""
    return RequestSignup(
        **_signup(person, to, of, host, asker, ref),
        age_band=age,
        guardian_approved=guardian,
        link_version=1,
        consent_version=1,
    )


def withdraw(
    person: UUID, to: str = "s1", *, of: str = "p1", host: str = "gz", asker: str = "sz", ref: str | None = None
) -> WithdrawSignup:
    """She gives it back."""
    return WithdrawSignup(**_signup(person, to, of, host, asker, ref))


def report(
    person: UUID,
    to: str = "h1",
    *,
    of: str = "ph",
    host: str = "sz",
    window: tuple[float, float] = (9, 12),
    state: Literal["active", "withdrawn"] = "active",
) -> ReportSignup:
    """Busy at home."""
    return ReportSignup(
        **_signup(person, to, of, host, host, None), starts_at=hour(window[0]), ends_at=hour(window[1]), state=state
    )


def close(to: str = "s1", *, of: str = "p1", host: str = "gz") -> CloseWaitlist:
    """The timer of a line."""
    return CloseWaitlist(host=host, project_ref=of, shift_ref=to, origin=origin())


def event(command: Message, at: datetime = BEFORE) -> Event:
    """The command as the bridge sends it, or the service itself."""
    sender = "opportunities" if isinstance(command, CloseWaitlist) else "bridge"
    return Event(id=str(uuid4()), source=service_source(sender), time=at, data=command)


def inbound(command: Message, at: datetime = BEFORE, *, waited_out: bool = False) -> Inbound:
    """The command as a decision sees it."""
    return Inbound(event(command, at), OPPORTUNITIES_COMMANDS.name, uuid4(), at, waited_out)


class World:
    """Everything loaded, nothing stored: decides one command after the other."""

    def __init__(self) -> None:
        self.service = build(Settings(profile="test"))
        self.states = States()
        self.outcomes: list[Outcome] = []
        for table in self.service.store.tables:
            table.declare(self.states)

    def decide(
        self, command: Message, at: datetime = BEFORE, *, waited_out: bool = False, now: datetime | None = None
    ) -> Decision:
        """Decide, and keep what changed. Everything named must be locked, as the chassis asserts."""
        message = inbound(command, at, waited_out=waited_out)
        locked = first_names(self.service.reaction(message), message)
        decision = self.service.decide(self.states, message, now or at)
        assert locked.issuperset(decision.facts)
        if decision.wait is not None:
            assert decision.wait.fact in locked
            return decision
        for row in decision.changes:
            self.states.put(row)
        self.outcomes += [row for row in decision.changes if isinstance(row, Outcome)]
        return decision

    def told(self, command: Message, at: datetime = BEFORE, *, waited_out: bool = False) -> list[Message]:
        """Decide, and give what is sent."""
        return [send.message for send in self.decide(command, at, waited_out=waited_out).sends]

    def all_told(self, *commands: Message) -> list[Message]:
        """Decide several; give what all of them sent."""
        return [message for command in commands for message in self.told(command)]

    def shift(self, ref: str = "s1", of: str = "p1", host: str = "gz") -> Shift:
        """A shift that must be there."""
        found = self.states.get(Shift, (host, of, ref))
        assert found is not None
        return found

    def signups(self, kind: Sequence[str] = ("confirmed", "waitlisted", "reported")) -> list[Signup]:
        """Sign-ups in these states."""
        return [row for row in self.states.changed(Signup) if row.state in kind]


def only(kind: type[M], messages: Sequence[Message]) -> M:
    """The one message that was sent, of this type."""
    assert len(messages) == 1, messages
    (message,) = messages
    assert isinstance(message, kind), message
    return message
