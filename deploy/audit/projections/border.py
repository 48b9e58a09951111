"""The bridge's tables of people: accounts, links, consent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from contracts.messages import identity
from deploy.audit.book import Book
from deploy.audit.projections.expected import Expected
from deploy.audit.world import Line

__all__ = ["border"]

_RESTS_KEPT: Final = 16
"""How many rests of one link are kept."""


def border(book: Book) -> Iterator[Expected]:
    """All of them."""
    account = Expected("bridge", "account", ("registry", "ref"))
    link = Expected("bridge", "link", ("person", "host"))
    for line in book.published("identity.events.v1"):
        if book.stands_aside(line, "bridge"):
            continue
        fact = line.data
        if isinstance(fact, identity.LinkEstablished):
            account.put(line, fact.host, fact.host_ref, person=fact.person, role="host")
            account.put(line, fact.home, fact.home_ref, person=fact.person, role="home")
        if isinstance(fact, identity.LinkEstablished | identity.LinkBroken | identity.LinkRestored):
            _link_told(link, line)
    yield from (account, link, _consent(book), _under_way(book))


def _link_told(link: Expected, line: Line) -> None:
    """A version older than the version that stands changes nothing. A break and its end count from their own times."""
    fact, key = line.data, (line.data.person, line.data.host)
    if fact.link_version < (link.column(key, "link_version") or 0):
        return
    assert line.event is not None
    now, since, rests = line.event.time, link.column(key, "since"), link.column(key, "rests") or []
    rested = link.column(key, "state") == "broken"
    columns = {"host_ref": fact.host_ref, "home": fact.home, "home_ref": fact.home_ref}
    if isinstance(fact, identity.LinkEstablished):
        columns |= {"age_band": fact.age_band, "guardian_approved": fact.guardian_approved}
        since = since or now
    elif isinstance(fact, identity.LinkBroken):
        since = min(since, now) if rested and since is not None else now
    else:
        if rested and since is not None and since < now:
            rests = [*rests, [since, now]][-_RESTS_KEPT:]
        since = now
    state = "broken" if isinstance(fact, identity.LinkBroken) else "active"
    link.put(line, *key, **columns, link_version=fact.link_version, state=state, since=since, rests=rests)


def _under_way(book: Book) -> Expected:
    """Requests that identity has not answered yet, by either ref."""
    under_way = Expected("bridge", "link_under_way", ("registry", "ref", "host"))
    pending = {row["request_id"] for row in book.rows("identity", "request")}
    counts: Counter[tuple[str, str, str]] = Counter()
    for line in book.of(identity.RequestLink):
        asked = line.data
        for registry, ref in ((asked.host, asked.host_ref), (asked.home, asked.home_ref)):
            key = (registry, ref, asked.host)
            counts[key] += line.id in pending
            if counts[key]:
                under_way.put(line, *key, requests=counts[key])
    return under_way


def _consent(book: Book) -> Expected:
    """A withdrawal always counts, under the highest version heard. A giving counts only under a higher version."""
    consent = Expected("bridge", "consent", ("home", "home_ref", "host"))
    for line in book.published("identity.commands.v1"):
        command, given = line.data, getattr(line.data, "consent", None)
        if isinstance(command, identity.OfferLink):
            if command.consent is None:
                continue
            version, state = command.consent.version, "given"
        elif isinstance(command, identity.RecordConsent):
            version, state = command.version, command.state
        else:
            continue
        key = (command.home, command.home_ref, command.host)
        known = consent.rows.get(key)
        highest = 0 if known is None else known[0]["version"]
        if state == "withdrawn" or version > highest:
            version = max(version, highest)
            until = given.valid_until if state == "given" and given is not None else None
            consent.put(line, *key, version=version, state=state, valid_until=until)
    return consent
