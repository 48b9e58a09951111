"""I9 at the border: a command says what the registry's message said, about the person of its ref, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from contracts.ids import signup_id
from contracts.messages import Message, attendance, identity, opportunities, service, shifts, signups, volunteers
from contracts.messages.service import ServiceRecord
from deploy.audit.book import Book
from deploy.audit.sharing import Sharing
from deploy.audit.violations import Violation, at
from deploy.audit.world import Line, code_of

__all__ = ["COMMANDS", "COMMAND_OF", "commands"]

COMMANDS: Final = ("identity.commands.v1", "opportunities.commands.v1", "attendance.commands.v1")
_OF_SIGNUP: Final = ("host", "project_ref", "shift_ref", "signup_ref")


def commands(book: Book) -> Iterator[Violation]:
    """Compare each command with the message that it names as its origin."""
    for line in book.published(*COMMANDS):
        command = line.data
        said = book.first.get(book.origin(command))
        if said is None or said.topic not in book.topics.inbound:
            origin = f"message {book.origin(command)[1]} of {command.origin.registry}"
            yield at(book, "I9", line, f"the command names {origin} as its origin, but no topic has this message")
        elif isinstance(command, identity.ExpireLinkRequest):
            yield from _timer(book, line)
        elif isinstance(command, opportunities.CloseWaitlist):
            yield from _end_of_line(book, line)
        else:
            yield from _command(book, line, said)


def _time_told(line: Line, said: Line) -> datetime:
    """The time of a command. If its message's time lies ahead of the arrival, the command has the arrival, and the
    message's time counts.

    The log's stamp is in whole milliseconds, and a log that says nothing of arrivals has the sender's own.
    """
    assert line.event is not None
    assert said.event is not None
    arrived = datetime.fromtimestamp(said.timestamp / 1000, UTC)
    early = arrived <= line.event.time < said.event.time
    return said.event.time if early else line.event.time


def _command(book: Book, line: Line, said: Line) -> Iterator[Violation]:
    command, translate = line.data, _TRANSLATIONS.get(type(said.data))
    if translate is None or type(command) is not COMMAND_OF[type(said.data)]:
        yield at(book, "I9", line, f"a {type(command).__name__} does not follow from a {type(said.data).__name__}")
        return
    code = code_of(said.topic)
    person = book.person_of.get((code, getattr(said.data, "volunteer_ref", "")))
    if hasattr(command, "person") and command.person != person:
        about = f"the registry's message is about {said.data.volunteer_ref}"
        yield at(book, "I9", line, f"{about}, but the command is about another person")
        return
    wanted = translate(book, code, said.data, line)
    differs = [name for name, value in wanted.items() if getattr(command, name) != value]
    if differs:
        yield at(book, "I9", line, f"the command differs from the registry's message in {', '.join(differs)}")
    assert line.event is not None
    assert said.event is not None
    if _time_told(line, said) != said.event.time:
        yield at(book, "I9", line, "the command differs from its origin in time")


def _timer(book: Book, line: Line) -> Iterator[Violation]:
    """The timer of a request that has no answer."""
    request = book.cause(line)
    if request is None or (request.id, request.data.origin) != (line.data.request_id, line.data.origin):
        yield at(book, "I9", line, "the timer belongs to no request to link")


def _end_of_line(book: Book, line: Line) -> Iterator[Violation]:
    """The timer of a line that somebody has joined."""
    request, close = book.cause(line), line.data
    joined = request is not None and any(
        (told.data.key, told.data.shift_ref) == (close.key, close.shift_ref)
        for told in book.effects(request, opportunities.SignupWaitlisted)
    )
    if request is None or not joined or request.data.origin != close.origin:
        yield at(book, "I9", line, "the timer closes a line, but its cause put nobody into this line")


def _offer(book: Book, code: str, said: volunteers.LinkOffered, line: Line) -> dict[str, Any]:
    names = ("code_hash", "age_band", "guardian_approved", "consent", "expires_at")
    return _home(code, said, said.for_registry) | {name: getattr(said, name) for name in names}


def _home(code: str, said: Any, host: str) -> dict[str, Any]:
    return {"home": code, "home_ref": said.volunteer_ref, "host": host}


def _request(book: Book, code: str, said: volunteers.LinkRequested, line: Line) -> dict[str, Any]:
    hashed = sha256(said.code.encode()).hexdigest()
    who = {"home": said.home, "home_ref": said.home_ref, "host": code, "host_ref": said.volunteer_ref}
    return who | {"code_hash": hashed}


def _given(book: Book, code: str, said: volunteers.ConsentGiven, line: Line) -> dict[str, Any]:
    about = {"state": "given", "version": said.consent.version, "consent": said.consent}
    return _home(code, said, said.registry) | about


def _withdrawn(book: Book, code: str, said: volunteers.ConsentWithdrawn, line: Line) -> dict[str, Any]:
    return _home(code, said, said.registry) | {"state": "withdrawn", "version": said.version, "consent": None}


def _rested(book: Book, code: str, said: Any, line: Line) -> dict[str, Any]:
    """Either side may break or restore. The command is about the home's ref."""
    person = book.person_of.get((code, said.volunteer_ref))
    home, home_ref = book.home_of.get(person, ("", "")) if person is not None else ("", "")
    reason = {"reason": said.reason} if isinstance(said, volunteers.LinkBroken) else {}
    sides = {"home": code, "host": said.registry} if home == code else {"home": said.registry, "host": code}
    return sides | {"home_ref": home_ref, "by": code} | reason


def _project(book: Book, code: str, said: Any, line: Line) -> dict[str, Any]:
    return {"host": code, "project_ref": said.project_ref, "project": said}


def _shift(book: Book, code: str, said: Any, line: Line) -> dict[str, Any]:
    return {"host": code, "project_ref": said.project_ref, "shift": said}


def _signup(book: Book, code: str, said: Any, line: Line) -> dict[str, Any]:
    id_ = signup_id(line.data.person, said.host, said.project_ref, said.shift_ref)
    return {name: getattr(said, name) for name in _OF_SIGNUP} | {"asker": code, "signup_id": id_}


def _asked(book: Book, code: str, said: Any, line: Line) -> dict[str, Any]:
    """A request with the border's versions of link and consent. Her age is I19's."""
    command, moment = line.data, line.moment
    sharing, home = Sharing.of(book), book.home_of.get(line.data.person, ("", ""))
    state, _ = sharing.link_state(command.person, command.host, moment)
    word = sharing.word((*home, command.host), moment)
    stamp = {"consent_version": 0 if word is None else word.version}
    stamp |= {} if state is None else {"link_version": state.line.data.link_version}
    return _signup(book, code, said, line) | stamp | {"at_least": said.at_least}


def _reported(book: Book, code: str, said: Any, line: Line) -> dict[str, Any]:
    return _signup(book, code, said, line) | {name: getattr(said, name) for name in ("starts_at", "ends_at", "state")}


def _at_host(code: str, said: Any, line: Line) -> dict[str, Any]:
    return {"host": code, "signup_id": signup_id(line.data.person, code, said.project_ref, said.shift_ref)}


def _presence(book: Book, code: str, said: Any, line: Line) -> dict[str, Any]:
    names = ("project_ref", "shift_ref", "at", "method")
    return _at_host(code, said, line) | {name: getattr(said, name) for name in names}


def _attested(book: Book, code: str, said: service.ServiceAttested, line: Line) -> dict[str, Any]:
    record = ServiceRecord.model_validate(said.model_dump(exclude={"volunteer_ref"}))
    home, _ = book.home_of.get(line.data.person, (code, ""))
    # Commands from before the border told the home have none.
    return _at_host(code, said, line) | {"record": record, "home": line.data.home and home}


def _reviewed(book: Book, code: str, said: service.ServiceReviewed, line: Line) -> dict[str, Any]:
    names = ("record_ref", "version", "reviewer", "tier", "outcome", "reason", "evidence_digest")
    return _at_host(code, said, line) | {name: getattr(said, name) for name in names}


_Translate = Callable[[Book, str, Any, Line], dict[str, Any]]
_BORDER: Final[tuple[tuple[type[Message], type[Message], _Translate], ...]] = (
    (volunteers.LinkOffered, identity.OfferLink, _offer),
    (volunteers.LinkRequested, identity.RequestLink, _request),
    (volunteers.ConsentGiven, identity.RecordConsent, _given),
    (volunteers.ConsentWithdrawn, identity.RecordConsent, _withdrawn),
    (volunteers.LinkBroken, identity.BreakLink, _rested),
    (volunteers.LinkRestored, identity.RestoreLink, _rested),
    (service.CheckedIn, attendance.RecordCheckIn, _presence),
    (service.CheckedOut, attendance.RecordCheckOut, _presence),
    (service.ServiceAttested, attendance.AttestService, _attested),
    (service.ServiceReviewed, attendance.ReviewService, _reviewed),
    (signups.SignupRequested, opportunities.RequestSignup, _asked),
    (signups.SignupWithdrawn, opportunities.WithdrawSignup, _signup),
    (signups.SignupReported, opportunities.ReportSignup, _reported),
    (shifts.ProjectPublished, opportunities.PublishProject, _project),
    (shifts.ShiftPublished, opportunities.PublishShift, _shift),
)
_TRANSLATIONS: Final = {said: translate for said, _, translate in _BORDER}
COMMAND_OF: Final = {said: command for said, command, _ in _BORDER}
