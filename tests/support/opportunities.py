"""Opportunities in tests: commands in one line each, and the service alone in memory."""

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
from contracts.topics import OPPORTUNITIES_COMMANDS, OPPORTUNITIES_EVENTS, service_source
from services.chassis.decisions import Inbound
from services.opportunities.states import ACTIVE, Outcome, Shift, Signup
from tests.support.linkage import at_once
from tests.support.one_service import OneService

M = TypeVar("M", bound=Message)
R = TypeVar("R")

DAY = datetime(2026, 7, 4, tzinfo=UTC)
"""Midnight of the day on which everything happens; sign-up is open on the day before."""
BEFORE = DAY - timedelta(hours=1)
_numbers = count(1)


def hour(number: float) -> datetime:
    """A moment on the day."""
    return DAY + timedelta(hours=number)


def origin(registry: str = "sz") -> Origin:
    """A registry's message that a command came from."""
    return Origin(registry=registry, message=UUID(int=next(_numbers)))


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
    at_least: int | None = None,
) -> RequestSignup:
    """One click."""
    return RequestSignup(
        **_signup(person, to, of, host, asker, ref),
        age_band=age,
        guardian_approved=guardian,
        link_version=1,
        consent_version=1,
        at_least=at_least,
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


def inbound(command: Message) -> Inbound:
    """The command as a decision sees it."""
    return Inbound(event(command), OPPORTUNITIES_COMMANDS.name, uuid4(), BEFORE)


class World(OneService):
    """Opportunities alone in memory: it is told of one command after another, and each moves on all that it can.

    The clock stands still until ``time_is`` sets it, whatever time a command bears.
    """

    def __init__(self) -> None:
        super().__init__("opportunities", BEFORE)
        self.commands: dict[str, Message] = {}
        """All that it was told of, by id."""

    def told(self, command: Message, at: datetime = BEFORE) -> list[Message]:
        """Let it decide a command that bears this time; gives what is sent because of it."""
        return [sent.data for sent in self.events(command, at)]

    def all_told(self, *commands: Message) -> list[Message]:
        """Let it decide several, one by one; gives what all of them sent."""
        return [message for command in commands for message in self.told(command)]

    def time_is(self, moment: datetime) -> list[Message]:
        """Set the clock; gives what is sent because of it."""
        return [sent.data for sent in self.events_by(moment)]

    def events(self, command: Message, at: datetime = BEFORE) -> list[Event]:
        """As ``told``, with envelopes: they say which command caused them."""
        sender = "opportunities" if isinstance(command, CloseWaitlist) else "bridge"
        self.commands[self.linkage.hear(sender, OPPORTUNITIES_COMMANDS, command, time=at)] = command
        return self._settled()

    def events_by(self, moment: datetime) -> list[Event]:
        """As ``time_is``, with envelopes."""
        self.linkage.clock.moment = moment
        return self._settled()

    def _settled(self) -> list[Event]:
        log = self.linkage.log
        already = len(log.records)
        at_once(self.linkage.settle())
        assert {row.reason for row in self.aside} <= {"waiting", "behind"}
        return log.events(OPPORTUNITIES_EVENTS.name, already)

    @property
    def outcomes(self) -> list[Outcome]:
        """All of them, in order."""
        return self.rows(Outcome)

    def shift(self, ref: str = "s1", of: str = "p1", host: str = "gz") -> Shift:
        """A shift that must be there."""
        [found] = [row for row in self.rows(Shift) if row.key == (host, of, ref)]
        return found

    def signups(self, kind: Sequence[str] = ACTIVE) -> list[Signup]:
        """Sign-ups in these states."""
        return [row for row in self.rows(Signup) if row.state in kind]


def only(kind: type[M], messages: Sequence[Message]) -> M:
    """The one message that was sent, of this type."""
    assert len(messages) == 1, messages
    (message,) = messages
    assert isinstance(message, kind), message
    return message
