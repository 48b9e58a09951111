"""I9 nothing from nowhere: each posted minute, each decision and each command follows from a registry's own message."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from contracts.ids import signup_id, transfer_id
from contracts.messages import attendance, deliveries, identity, opportunities, receipts
from contracts.messages import bridge as ledger
from contracts.messages.base import Consent, Origin
from contracts.messages.service import ServiceAttested, ServiceRecord
from contracts.topics import registry_source
from deploy.audit.book import Book
from deploy.audit.rights import ends
from deploy.audit.translated import commands
from deploy.audit.violations import Violation, at, of_row
from deploy.audit.world import Line, code_of

__all__ = ["nothing_from_nowhere"]

_IDENTITY = (
    identity.LinkEstablished,
    identity.LinkRefused,
    identity.LinkBroken,
    identity.LinkRestored,
    identity.ConsentChanged,
    identity.CommandRefused,
)
_SIGNUPS = (
    opportunities.SignupConfirmed,
    opportunities.SignupWaitlisted,
    opportunities.SignupPromoted,
    opportunities.SignupRefused,
    opportunities.SignupWithdrawn,
    opportunities.SignupNoted,
)
_NAMED_BY_REFUSALS = ("origin", "host", "project_ref", "person", "signup_id")
_ASKED = ("host", "project_ref", "shift_ref", "person", "asker", "signup_ref", "origin")


def nothing_from_nowhere(book: Book) -> Iterator[Violation]:
    """I9: posting ← credit ← confirmed version ← attested version, all of the same person and minutes."""
    yield from _postings(book)
    yield from _credits(book)
    yield from _transfers(book)
    for record in book.records.values():
        for line in record.facts:
            yield from _fact(book, line)
    yield from _identity(book)
    yield from _refused_persons(book)
    yield from _signups(book)
    yield from ends(book)
    yield from _refusals(book)
    yield from _timers(book)
    yield from commands(book)


def _postings(book: Book) -> Iterator[Violation]:
    sent = {(code_of(x.topic), x.data.transfer_id, x.data.volunteer_ref) for x in book.of(deliveries.CreditPosted)}
    for transfer, rows in book.postings.items():
        for home, row in rows:
            if (home, transfer, row["volunteer_ref"]) not in sent:
                posted = f"{home} posted {row['minutes']} minutes to {row['volunteer_ref']} under transfer {transfer}"
                what = f"{posted}, but the linkage never sent this credit"
                yield of_row(book, "I9", what, row, registry=home)


def _credits(book: Book) -> Iterator[Violation]:
    for line in book.of(deliveries.CreditPosted):
        credit = line.data
        record = book.record_of(credit)
        if record is None:
            yield at(book, "I9", line, "minutes are taken back under no version that was confirmed or revoked")
            continue
        key = (credit.host, record.record_ref, record.version)
        person = book.person_of.get((code_of(line.topic), credit.volunteer_ref))
        if credit.transfer_id != transfer_id(*key):
            yield at(book, "I9", line, "the transfer id does not follow from the record and its version")
        elif (said := _source(book, key, record)) is None:
            yield at(book, "I9", line, f"{credit.host} attested no version with the content of this credit")
        elif person is None or book.person_of.get((credit.host, said.volunteer_ref)) != person:
            yield at(
                book, "I9", line, f"{credit.host} attested this record for another person than {credit.volunteer_ref}"
            )
        elif credit.total != _worth(record):
            worth = _worth(record)
            what = f"the credit has a total of {credit.total} minutes, but the record is worth {worth} minutes"
            yield at(book, "I9", line, what)
        elif (change := _sending(book, line)) is None:
            yield at(book, "I9", line, "the bridge never reported this transfer as sent")
        elif credit.delta != change.data.delta:
            what = f"the credit has {credit.delta} minutes, but its transfer was sent with {change.data.delta} minutes"
            yield at(book, "I9", line, what)


def _sending(book: Book, line: Line) -> Line | None:
    """The change to ``sent`` to which this credit belongs: that of the same decision, or the last change before a
    repeat."""
    assert line.event is not None
    sent = [x for x in book.transfers.get(line.data.transfer_id, ()) if x.data.state == "sent"]
    same = (x for x in sent if x.event is not None and x.event.causation == line.event.causation)
    return next(same, None) or next((x for x in reversed(sent) if x.moment < line.moment), None)


def _transfers(book: Book) -> Iterator[Violation]:
    """A transfer belongs to a version that was confirmed or revoked, and has the minutes that are left to post. A
    home's receipt ends it."""
    worth = {
        (record.host, record.ref, line.data.record.version): line
        for record in book.records.values()
        for line in record.facts
        if not isinstance(line.data, attendance.ServiceHeld)
    }
    posted: defaultdict[tuple[str, str], int] = defaultdict(int)
    for line in book.published("bridge.events.v1"):
        change, key = line.data, (line.data.host, line.data.record_ref)
        fact = worth.get((*key, change.version))
        if change.transfer_id != transfer_id(*key, change.version):
            yield at(book, "I9", line, "the transfer id does not follow from the record and its version")
        elif change.home != book.home_of.get(change.person, ("", ""))[0]:
            yield at(book, "I9", line, f"the transfer goes to {change.home}, which is not the home of this person")
        elif fact is None or (fact.data.person, fact.data.minutes) != (change.person, change.total):
            decided = f"attendance neither confirmed nor revoked version {change.version}"
            yield at(book, "I9", line, f"{decided} of this record with {change.total} minutes for this person")
        elif change.state == "sent" and change.delta != change.total - posted[key]:
            credited = f"{posted[key]} of {change.total} minutes are credited already"
            what = f"the transfer sends {change.delta} minutes, but {credited}"
            yield at(book, "I9", line, what)
        elif change.state in ("credited", "refused") and not _said_so(book, line):
            yield at(book, "I9", line, f"the transfer is {change.state}, but no receipt of {change.home} says so")
        if change.state == "credited":
            posted[key] += change.delta


def _said_so(book: Book, line: Line) -> bool:
    """Whether the receipt that a change names as its cause says so. If nothing is to be posted, there is no receipt."""
    assert line.event is not None
    change = line.data
    if change.reason == "nothing_to_post":
        return bool(change.state == "credited" and change.total == change.delta == 0)
    if change.reason == "settled_by_operator":
        order = book.cause(line)
        settled = None if order is None else order.data
        return isinstance(settled, ledger.SettleTransfer) and settled.outcome == change.state
    cause = book.first.get((registry_source(change.home), line.event.causation or ""))
    home_ref = book.home_of.get(change.person, ("", ""))[1]
    about = (getattr(cause.data, name, None) for name in ("transfer_id", "volunteer_ref")) if cause is not None else ()
    if cause is None or tuple(about) != (change.transfer_id, home_ref):
        return False
    if change.state == "credited":
        return isinstance(cause.data, receipts.CreditAccepted) and cause.data.delta == change.delta
    return isinstance(cause.data, receipts.CreditRefused) and cause.data.reason == change.reason


def _fact(book: Book, line: Line) -> Iterator[Violation]:
    fact = line.data
    said = _source(book, (fact.host, fact.record.record_ref, fact.record.version), fact.record)
    if said is None:
        yield at(book, "I9", line, f"{fact.host} attested no version with the content of this decision")
    elif book.person_of.get((fact.host, said.volunteer_ref)) != fact.person:
        yield at(book, "I9", line, f"{fact.host} attested this record for {said.volunteer_ref}, who is another person")
    elif fact.signup_id != signup_id(fact.person, fact.host, fact.record.project_ref, fact.record.shift_ref):
        yield at(book, "I9", line, "the sign-up id does not follow from this person and shift")


def _source(book: Book, key: tuple[str, str, int], record: ServiceRecord) -> ServiceAttested | None:
    """The host's message about this version, if it says the same."""
    for line in book.attested.get(key, ()):
        if _same(line.data, record):
            found: ServiceAttested = line.data
            return found
    return None


def _same(said: ServiceAttested, record: ServiceRecord) -> bool:
    return all(getattr(said, name) == getattr(record, name) for name in ServiceRecord.model_fields)


def _worth(record: ServiceRecord) -> int:
    return 0 if record.revoked else record.minutes


def _identity(book: Book) -> Iterator[Violation]:
    """An event of identity follows from a command about the same account and host, with the consent that the home
    gave."""
    said: defaultdict[tuple[str, str, str], list[Consent]] = defaultdict(list)
    for line in book.of(identity.OfferLink, identity.RecordConsent):
        if line.data.consent is not None:
            said[line.data.home, line.data.home_ref, line.data.host].append(line.data.consent)
    asked = {(x.data.host, x.data.host_ref, x.data.origin) for x in book.of(identity.RequestLink)}
    persons: dict[UUID, tuple[str, str]] = {}
    accounts: dict[tuple[str, str], UUID] = {}
    for line in book.of(*_IDENTITY):
        fact, key = line.data, (line.data.home, line.data.home_ref, line.data.host)
        cause = book.cause(line, "identity")
        consent = getattr(fact, "consent", None)
        person, home = fact.person, key[:2]
        if cause is None or (cause.data.home, cause.data.home_ref, cause.data.host) != key:
            account = f"{fact.home_ref} of {fact.home}"
            yield at(book, "I9", line, f"no command about {account} and the host {fact.host} led to this event")
        elif isinstance(fact, identity.LinkRefused) and (fact.host, fact.host_ref, fact.origin) not in asked:
            yield at(book, "I9", line, f"{fact.host} never sent the request that this event answers")
        elif isinstance(fact, identity.LinkRefused):
            continue  # whom it may speak of: _refused_persons
        elif persons.setdefault(person, home) != home or accounts.setdefault(home, person) != person:
            yield at(book, "I9", line, f"the person of this event is not {fact.home_ref} of {fact.home}")
        elif isinstance(fact, identity.LinkEstablished) and not _answers(fact, asked):
            yield at(book, "I9", line, f"{fact.host} never sent the request that this event answers")
        elif consent is not None and consent not in said[key]:
            yield at(book, "I9", line, f"{fact.home} never gave this consent")
        elif isinstance(fact, identity.LinkBroken | identity.LinkRestored) and not _rests_with(fact, cause.data):
            yield at(book, "I9", line, f"{fact.by} never sent a message that breaks or restores this link")


def _answers(fact: identity.LinkEstablished, asked: set[tuple[str, str, Origin]]) -> bool:
    """Whether a link answers no request, or the request that it names, under the ref of that request."""
    said = (fact.asked_as, fact.origin)
    return said == (None, None) or (fact.host, *said) in asked


def _refused_persons(book: Book) -> Iterator[Violation]:
    """A refusal is about the person of whom the home has spoken. If no home has spoken of the number, it is about
    nobody."""
    persons = {(row["home"], row["home_ref"]): row["person"] for row in book.rows("identity", "account")}
    spoken: dict[tuple[str, str], int] = {}
    for line in book.published("identity.commands.v1"):
        asks = isinstance(line.data, identity.RequestLink | identity.ExpireLinkRequest)
        if not asks and not book.stands_aside(line, "identity"):
            spoken.setdefault((line.data.home, line.data.home_ref), line.offset)
    somebody = set(persons.values())
    for line in book.of(identity.LinkRefused):
        home, cause = (line.data.home, line.data.home_ref), book.cause(line, "identity")
        if cause is None:
            continue
        known = spoken.get(home, cause.offset + 1) <= cause.offset
        if line.data.person != persons.get(home, line.data.person) if known else line.data.person in somebody:
            yield at(book, "I9", line, f"the person of this refusal is not {line.data.home_ref} of {line.data.home}")


def _rests_with(fact: Any, command: Any) -> bool:
    """The side that breaks or restores a link has said so. When one side ends its break, the other side's break may
    still stand."""
    if isinstance(fact, identity.LinkBroken) and isinstance(command, identity.RestoreLink):
        return fact.by in {fact.home, fact.host} - {command.by}
    wanted = identity.BreakLink if isinstance(fact, identity.LinkBroken) else identity.RestoreLink
    return isinstance(command, wanted) and fact.by == command.by


def _timers(book: Book) -> Iterator[Violation]:
    """The border's timers are about transfers and sendings that exist."""
    sendings = Counter(x.data.transfer_id for x in book.of(deliveries.CreditPosted, deliveries.CreditQueried))
    for line in book.of(ledger.CheckReceipt, ledger.RetryTransfer):
        timer, changes = line.data, book.transfers.get(line.data.transfer_id, ())
        about = {(x.data.host, x.data.record_ref) for x in changes}
        if (timer.host, timer.record_ref) not in about or timer.attempt > sendings[timer.transfer_id]:
            yield at(
                book, "I9", line, f"the timer is about attempt {timer.attempt}, but no transfer of this record has it"
            )


def _refusals(book: Book) -> Iterator[Violation]:
    """A refusal names the command that the service could not follow."""
    for line in book.of(identity.CommandRefused, opportunities.CommandRefused, attendance.CommandRefused):
        cause = book.cause(line)
        names = [name for name in _NAMED_BY_REFUSALS if hasattr(line.data, name)]
        if isinstance(line.data, identity.CommandRefused):
            names.remove("person")  # identity's commands name none
        if cause is None or any(getattr(cause.data, name, None) != getattr(line.data, name) for name in names):
            yield at(book, "I9", line, "the refusal names another command than the command that led to it")


def _signups(book: Book) -> Iterator[Violation]:
    """A decision about a sign-up names a request: that of its command, or an earlier request for this sign-up."""
    asked: defaultdict[UUID, list[Any]] = defaultdict(list)
    for line in book.of(opportunities.RequestSignup, opportunities.WithdrawSignup, opportunities.ReportSignup):
        asked[line.data.signup_id].append(line.data)
    for line in book.of(*_SIGNUPS):
        fact, cause = line.data, book.cause(line)
        own = cause is not None and getattr(cause.data, "signup_id", None) == fact.signup_id
        # An end or a change is told to all who asked; an answer is told to the asker alone.
        to_all = isinstance(fact, opportunities.SignupWithdrawn | opportunities.SignupNoted)
        commands = [cause.data] if own and cause is not None and not to_all else asked[fact.signup_id]
        if not any(all(getattr(fact, name) == getattr(one, name) for name in _ASKED) for one in commands):
            yield at(book, "I9", line, "no registry asked for this sign-up with the content of this decision")
