"""Messages that registries must get about sign-ups, service, credits, and commands that inner services could not
follow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from contracts.messages import attendance, deliveries, identity, opportunities, refusals
from contracts.messages import bridge as ledger
from contracts.messages.deliveries import SignupState
from deploy.audit.book import Book
from deploy.audit.due import Due, deliveries_of, refusals_of
from deploy.audit.sharing import Sharing
from deploy.audit.world import Line

__all__ = ["SERVICE_STATES", "SIGNUP_STATES", "refused", "reports", "services", "signups"]

SIGNUP_STATES: Final[dict[type[Any], SignupState]] = {
    opportunities.SignupConfirmed: "confirmed",
    opportunities.SignupWaitlisted: "waitlisted",
    opportunities.SignupPromoted: "promoted",
    opportunities.SignupRefused: "refused",
    opportunities.SignupWithdrawn: "withdrawn",
    opportunities.SignupNoted: "reported",
}
SERVICE_STATES: Final[dict[type[Any], Any]] = {
    attendance.ServiceConfirmed: "confirmed",
    attendance.ServiceHeld: "held",
    attendance.ServiceRevoked: "revoked",
}
_REPORTED: Final = ("credited", "refused", "withheld", "uncertain")


def signups(book: Book) -> Iterator[Due]:
    """The shift's host is told every sign-up. Her home is told if it asked, or while it shares with this host (rules
    38-40).

    If both are one registry, it is told once.
    """
    for line in book.of(*SIGNUP_STATES):
        fact = line.data
        link = _link(book, fact.person, fact.host)
        if link is None or book.stands_aside(line, "bridge"):
            continue
        yield Due(deliveries_of(fact.host), line.id, _signup(fact, _ref_at(link, fact.host)), line)
        if link.home != fact.host and (fact.asker == link.home or _shared(book, link, line)):
            yield Due(deliveries_of(link.home), line.id, _signup(fact, link.home_ref), line)


def _link(book: Book, person: UUID, host: str) -> identity.LinkEstablished | None:
    """Her link with this host. If the host is her home, any link of hers, since each names her home."""
    link = book.links.get((person, host))
    if link is None and book.home_of.get(person, ("", ""))[0] == host:
        link = book.any_link[person]
    return link


def _ref_at(link: identity.LinkEstablished, code: str) -> str:
    return link.home_ref if code == link.home else link.host_ref


def _shared(book: Book, link: identity.LinkEstablished, line: Line) -> bool:
    """Whether the home shared with the host when they were told. Both are told at once, so either message has the
    moment."""
    told = book.effects(line, deliveries.SignupChanged)
    return bool(told) and Sharing.of(book).open(link, told[0])


def _signup(fact: Any, ref: str) -> deliveries.SignupChanged:
    return deliveries.SignupChanged(
        volunteer_ref=ref,
        signup_id=fact.signup_id,
        signup_ref=fact.signup_ref,
        asker=fact.asker,
        host=fact.host,
        project_ref=fact.project_ref,
        shift_ref=fact.shift_ref,
        state=SIGNUP_STATES[type(fact)],
        reason=getattr(fact, "reason", None),
        starts_at=fact.starts_at,
        ends_at=fact.ends_at,
    )


def services(book: Book) -> Iterator[Due]:
    """The host is told each decision about its record, until this version or a higher version is confirmed or
    revoked."""
    for record in book.records.values():
        settled = 0
        for line in record.facts:
            fact = line.data
            link = _link(book, fact.person, fact.host)
            if book.stands_aside(line, "bridge") or link is None or fact.record.version <= settled:
                continue
            if not isinstance(fact, attendance.ServiceHeld):
                settled = fact.record.version
            said = deliveries.ServiceDecided(
                volunteer_ref=_ref_at(link, fact.host),
                record_ref=fact.record.record_ref,
                version=fact.record.version,
                state=SERVICE_STATES[type(fact)],
                reason=getattr(fact, "reason", None),
                minutes=fact.minutes,
            )
            yield Due(deliveries_of(fact.host), line.id, said, line)


def reports(book: Book) -> Iterator[Due]:
    """The host is told the state of its record's transfer whenever the transfer ends or stops."""
    for line in book.of(ledger.TransferChanged):
        change, link = line.data, book.links.get((line.data.person, line.data.host))
        if change.state in _REPORTED and link is not None:
            assert line.event is not None
            said = deliveries.CreditReported(
                volunteer_ref=link.host_ref,
                record_ref=change.record_ref,
                version=change.version,
                home=change.home,
                transfer_id=change.transfer_id,
                state=change.state,
                total=change.total,
                reason=change.reason,
            )
            yield Due(deliveries_of(change.host), line.event.causation, said, line)


def refused(book: Book) -> Iterator[Due]:
    """A command that an inner service could not follow is refused to the registry whose message it was."""
    for line in book.of(identity.CommandRefused, opportunities.CommandRefused, attendance.CommandRefused):
        message = book.first.get(book.origin(line.data))
        if message is not None and message.event is not None and not book.stands_aside(line, "bridge"):
            said = refusals.MessageRefused(
                message_id=message.id,
                message_type=message.event.type,
                reason=line.data.reason,
                refused_key=message.event.key,
            )
            yield Due(refusals_of(line.data.origin.registry), line.id, said, line)
