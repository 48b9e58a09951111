"""The person and the service record of a message, a key or a row, as far as the logs tell."""

from __future__ import annotations

from functools import cached_property
from typing import Any
from uuid import UUID

from contracts.messages import deliveries, identity, service
from contracts.messages.refusals import MessageRefused
from contracts.topics import registry_source
from deploy.audit.book import Book
from deploy.audit.world import Line, Row, code_of

__all__ = ["Who", "who"]

_OWN_KEYS = ("home", "home_ref")


class Who:
    """Finds names for verdicts. It decides nothing."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def person(self, line: Line) -> UUID | None:
        """The person of a message. If the message cannot be read, its key may tell the person."""
        if line.event is None:
            return self.person_of_key(line.topic, line.key)
        data = line.data
        if (person := getattr(data, "person", None)) is not None:
            found: UUID = person
            return found
        if isinstance(data, MessageRefused):
            about = self._refused(line)
            return None if about is None else self.person(about)
        if hasattr(data, "volunteer_ref"):
            return self._by_ref.get((code_of(line.topic), data.volunteer_ref))
        if all(hasattr(data, name) for name in _OWN_KEYS):
            return self._by_ref.get((data.home, data.home_ref))
        return self._of_record(getattr(data, "host", None), getattr(data, "record_ref", None))

    def record(self, line: Line) -> str | None:
        """The service record of a message."""
        if line.event is None:
            return None
        data = line.data
        if isinstance(data, MessageRefused):
            about = self._refused(line)
            return None if about is None else self.record(about)
        inner = getattr(data, "record", data)
        return getattr(inner, "record_ref", None) or self._of_transfer(getattr(data, "transfer_id", None))

    def person_of_key(self, topic: str, key: bytes | None) -> UUID | None:
        """The person of a key: a registry's ref, home:ref, host:record_ref, or the person."""
        text = (key or b"").decode(errors="replace")
        if topic.startswith("registry."):
            return self._by_ref.get((code_of(topic), text))
        code, _, ref = text.partition(":")
        return self._by_text.get(text) or self._by_ref.get((code, ref)) or self._of_record(code, ref)

    def person_of_row(self, row: Row, registry: str | None = None) -> UUID | None:
        """The person of a row. ``registry``: the registry of its refs, if the row does not name it."""
        person: UUID | None = row.get("person")
        if person is not None:
            return person
        code = registry or row.get("registry") or row.get("home")
        ref = row.get("volunteer_ref") or row.get("ref") or row.get("home_ref")
        found = self._by_ref.get((code, ref)) if code and ref else None
        if found is None and (line := self.line_of(row, registry)) is not None:
            found = self.person(line)
        return found

    def record_of_row(self, row: Row) -> str | None:
        """The service record of a row."""
        return row.get("record_ref") or self._of_transfer(row.get("transfer_id"))

    def line_of(self, row: Row, registry: str | None = None) -> Line | None:
        """The message about the subject of a row: the credit, the attestation, or the sign-up."""
        if (transfer := row.get("transfer_id") or (row.get("id") if "delta" in row else None)) is not None:
            sent = self._credits.get((registry, transfer)) or self._credits.get((None, transfer))
            return sent or self._attested(self._book.version_of.get(transfer, (None, None))[:2])
        if (ref := row.get("record_ref")) is not None:
            return self._attested((registry or row.get("host"), ref))
        return self._signups.get(row.get("signup_id") or row.get("id"))

    def _attested(self, key: Any) -> Line | None:
        versions = self._attestations.get(key)
        return versions[0] if versions else None

    def _refused(self, line: Line) -> Line | None:
        return self._book.first.get((registry_source(code_of(line.topic)), line.data.message_id))

    def _of_record(self, host: str | None, ref: str | None) -> UUID | None:
        record = self._book.records.get((host, ref)) if host and ref else None
        return None if record is None else record.person

    def _of_transfer(self, transfer: UUID | None) -> str | None:
        return self._book.version_of.get(transfer, (None, None))[1] if transfer is not None else None

    @cached_property
    def _by_ref(self) -> dict[tuple[str, str], UUID]:
        """Persons by ref: those who are linked, and home refs whose requests were refused."""
        found = {
            (line.data.home, line.data.home_ref): line.data.person
            for line in self._book.of(identity.LinkRefused, identity.CommandRefused, identity.ConsentChanged)
        }
        return found | self._book.person_of

    @cached_property
    def _by_text(self) -> dict[str, UUID]:
        return {str(person): person for person in self._by_ref.values()}

    @cached_property
    def _credits(self) -> dict[tuple[str | None, UUID], Line]:
        found: dict[tuple[str | None, UUID], Line] = {}
        for line in self._book.of(deliveries.CreditPosted):
            found.setdefault((code_of(line.topic), line.data.transfer_id), line)
            found.setdefault((None, line.data.transfer_id), line)
        return found

    @cached_property
    def _attestations(self) -> dict[tuple[str, str], list[Line]]:
        found: dict[tuple[str, str], list[Line]] = {}
        for line in self._book.of(service.ServiceAttested):
            found.setdefault((code_of(line.topic), line.data.record_ref), []).append(line)
        return found

    @cached_property
    def _signups(self) -> dict[Any, Line]:
        found: dict[Any, Line] = {}
        for line in self._book.published("opportunities.events.v1"):
            if (signup := getattr(line.data, "signup_id", None)) is not None:
                found.setdefault(signup, line)
        return found


def who(book: Book) -> Who:
    """The names of this book. They are looked up once."""
    return book.once(Who)
