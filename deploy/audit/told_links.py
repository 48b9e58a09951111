"""Messages that both sides must get about links and consent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from uuid import UUID

from contracts.messages import deliveries, identity
from deploy.audit.book import Book
from deploy.audit.due import Due, deliveries_of
from deploy.audit.sharing import Sharing, Word
from deploy.audit.world import Line, code_of

__all__ = ["consents", "links", "renewals"]

_LINK_EVENTS = (identity.LinkEstablished, identity.LinkBroken, identity.LinkRestored)
_OF_HER = ("age_band", "guardian_approved")
"""What the host is told about her, while her home shares."""


def links(book: Book) -> Iterator[Due]:
    """Both sides are told each change of a link. The host alone is told a refused request."""
    linked: dict[tuple[UUID, str], identity.LinkEstablished] = {}
    newest: defaultdict[tuple[UUID, str], int] = defaultdict(int)
    for line in book.published("identity.events.v1"):
        fact, key = line.data, (line.data.person, line.data.host)
        if book.stands_aside(line, "bridge"):
            continue
        if isinstance(fact, identity.LinkRefused):
            said = deliveries.LinkChanged(
                volunteer_ref=fact.host_ref,
                registry=fact.home,
                state="refused",
                reason=fact.reason,
                answers=book.said_as.get(fact.origin.message),
            )
            yield Due(deliveries_of(fact.host), line.id, said, line)
        elif isinstance(fact, _LINK_EVENTS) and fact.link_version >= newest[key]:
            newest[key] = fact.link_version
            if isinstance(fact, identity.LinkEstablished):
                linked[key] = fact
            if key in linked:
                yield from _both(book, line, linked[key])


def _both(book: Book, line: Line, link: identity.LinkEstablished) -> Iterator[Due]:
    fact = line.data
    broken = isinstance(fact, identity.LinkBroken)
    state = "broken" if broken else "restored" if isinstance(fact, identity.LinkRestored) else "established"
    about = {"state": state, "reason": fact.reason if broken else None, "link_version": fact.link_version}
    to_home = deliveries.LinkChanged(volunteer_ref=fact.home_ref, registry=fact.host, **about)
    yield Due(deliveries_of(fact.home), line.id, to_home, line)
    origin = getattr(fact, "origin", None)
    answers = None if origin is None else book.said_as.get(origin.message)
    of_her = {name: getattr(link, name) for name in _OF_HER} if not broken and _shared(book, link, line) else {}
    to_host = deliveries.LinkChanged(
        volunteer_ref=fact.host_ref, registry=fact.home, answers=answers, **about, **of_her
    )
    yield Due(deliveries_of(fact.host), line.id, to_host, line)


def _shared(book: Book, link: identity.LinkEstablished, line: Line) -> bool:
    """Whether consent stood at the moment at which the host was told."""
    told = next((x for x in book.effects(line, deliveries.LinkChanged) if code_of(x.topic) == link.host), None)
    word = None if told is None else Sharing.of(book).word((link.home, link.home_ref, link.host), told.moment)
    return word is not None and told is not None and told.event is not None and word.covers(told.event.time)


def renewals(book: Book) -> Iterator[Due]:
    """When consent is there again while the link holds, the host is told the volunteer's age band and guardian's word
    anew."""
    sharing = Sharing.of(book)
    for (person, host), first in book.links.items():
        before: Word | None = None
        for word in sharing.words.get((first.home, first.home_ref, host), ()):
            state, established = sharing.link_state(person, host, word.heard)
            # Only the border's clock knows whether a consent has expired.
            unsure = word.valid_until is not None or (before is not None and not before.withdrawn)
            renewed = before is not None and not word.withdrawn and (before.withdrawn or before.valid_until is not None)
            if renewed and established is not None and state is not None and state.active:
                said = deliveries.LinkChanged(
                    volunteer_ref=first.host_ref,
                    registry=first.home,
                    state="established",
                    link_version=state.line.data.link_version,
                    age_band=established.age_band,
                    guardian_approved=established.guardian_approved,
                )
                yield Due(deliveries_of(host), book.origin(word.line.data)[1], said, word.line, unsure)
            before = word


def consents(book: Book) -> Iterator[Due]:
    """Both sides are told the consent that identity keeps, once there is a link."""
    linked: dict[tuple[UUID, str], identity.LinkEstablished] = {}
    for line in book.published("identity.events.v1"):
        fact = line.data
        if isinstance(fact, identity.LinkEstablished):
            linked[fact.person, fact.host] = fact
        elif isinstance(fact, identity.ConsentChanged) and not book.stands_aside(line, "bridge"):
            link = linked.get((fact.person, fact.host))
            if link is None:
                continue
            for code, ref, other in ((link.host, link.host_ref, link.home), (link.home, link.home_ref, link.host)):
                said = deliveries.ConsentChanged(
                    volunteer_ref=ref, registry=other, state=fact.state, version=fact.version
                )
                yield Due(deliveries_of(code), line.id, said, line)
