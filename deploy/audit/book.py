"""The snapshot, indexed once: messages by type, by id, by cause; people; service records with their decisions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from contracts.ids import transfer_id
from contracts.messages import Message, attendance, bridge, deliveries, identity, receipts, service
from contracts.messages.service import ServiceRecord
from contracts.topics import registry_source, service_source
from deploy.audit.own_ids import by_the_registrys_ids, said_as
from deploy.audit.world import Line, Row, Topics, World, code_of

__all__ = ["Book", "Record", "RecordKey"]

RecordKey: TypeAlias = tuple[str, str]
"""host, record_ref"""
T = TypeVar("T")
_BRIDGE = service_source("bridge")
_FACTS = (attendance.ServiceConfirmed, attendance.ServiceHeld, attendance.ServiceRevoked)


@dataclass(slots=True)
class Record:
    """A service record: attendance's events about it, in order."""

    host: str
    ref: str
    facts: list[Line] = field(default_factory=list)

    @property
    def person(self) -> UUID:
        """The person of the record."""
        person: UUID = self.facts[0].data.person
        return person

    @property
    def last(self) -> Line:
        """The last event, also if it is a hold."""
        return self.facts[-1]

    @property
    def settled(self) -> Line | None:
        """The last confirmation or revocation."""
        return next((x for x in reversed(self.facts) if not isinstance(x.data, attendance.ServiceHeld)), None)

    @property
    def total(self) -> int:
        """Minutes of the last confirmed version; 0 when revoked, or before the first."""
        return 0 if self.settled is None else self.settled.data.minutes


class Book:
    """Reads a World, and never changes it. ``drained``: nothing may be on its way any more. Lines name a registry's
    message as their cause by the registry's own id, also on inner topics (``own_ids``)."""

    def __init__(self, world: World, *, drained: bool = True, day_cap: int = 480, canaries: Iterable[str] = ()) -> None:
        self.recorded = world
        self.said_as = said_as(world)
        self.world = by_the_registrys_ids(world, self.said_as)
        self.drained = drained
        self.day_cap = day_cap
        self.canaries = tuple(canaries)
        self.topics = Topics(world.registries)
        self._once: dict[Callable[[Book], Any], Any] = {}
        self.by_type: defaultdict[type[Message], list[Line]] = defaultdict(list)
        self.caused: defaultdict[str, list[Line]] = defaultdict(list)
        self.first: dict[tuple[str, str], Line] = {}
        """The first message of each (source, id) that is in the contract."""
        # The logs do not say which of two topics was read first. A message that was set aside for its used id came
        # second.
        later = {place for place, why in self.aside.items() if "reused_id" in why.values()}
        every = self.world.lines
        lines = [line for name in sorted(every) for line in every[name] if line.event is not None]
        for line in sorted(lines, key=lambda line: line.place in later):
            self._enter(line)

    def _enter(self, line: Line) -> None:
        event = line.event
        assert event is not None
        if self.first.setdefault((event.source, event.id), line) is line:
            self.by_type[type(event.data)].append(line)
            if event.causation is not None:
                self.caused[event.causation].append(line)

    def of(self, *kinds: type[Message]) -> Iterator[Line]:
        """First sightings of messages of these types, in order within a partition."""
        for kind in kinds:
            yield from self.by_type.get(kind, ())

    def effects(self, cause: Line, *kinds: type[Message]) -> list[Line]:
        """Messages of these types that name this message as their cause."""
        return self.effects_of(cause.id, *kinds)

    def effects_of(self, cause: str, *kinds: type[Message]) -> list[Line]:
        """Messages of these types that name this id as their cause."""
        return [line for line in self.caused.get(cause, ()) if isinstance(line.data, kinds)]

    def once(self, make: Callable[[Book], T]) -> T:
        """What ``make`` makes of this book: several invariants need it, and the first of them has it made."""
        if make not in self._once:
            self._once[make] = make(self)
        made: T = self._once[make]
        return made

    def cause(self, line: Line, *services: str) -> Line | None:
        """The border's message that a message names as its cause, or the message of one of these ``services``: its own
        timer. None if the cause is no message of theirs."""
        assert line.event is not None
        named = line.event.causation or ""
        causes = (self.first.get((source, named)) for source in (*map(service_source, services), _BRIDGE))
        return next((cause for cause in causes if cause is not None), None)

    @cached_property
    def by_id(self) -> dict[str, Line]:
        """Messages by id, if no two senders use the same id."""
        many = Counter(id_ for _, id_ in self.first)
        return {id_: line for (_, id_), line in self.first.items() if many[id_] == 1}

    def rows(self, database: str, table: str) -> list[Row]:
        """Rows of a service's table."""
        return self.world.tables[database][table]

    @cached_property
    def at_place(self) -> dict[tuple[str, int, int], Line]:
        """Every message by topic, partition and offset."""
        return {line.place: line for lines in self.world.lines.values() for line in lines}

    def published(self, *topics: str) -> Iterator[Line]:
        """First sightings of these topics."""
        for name in topics:
            for line in self.world.lines[name]:
                if line.event is not None and self.first[line.event.source, line.event.id] is line:
                    yield line

    @cached_property
    def aside(self) -> dict[tuple[str, int, int], dict[str, str]]:
        """Places of messages that are set aside, or that an operator discarded: service → reason."""
        found: defaultdict[tuple[str, int, int], dict[str, str]] = defaultdict(dict)
        for name, tables in self.world.tables.items():
            for row in (*tables.get("discarded", ()), *tables["set_aside"]):
                found[row["topic"], row["partition"], row["offset"]][name] = row["reason"]
        return dict(found)

    def stands_aside(self, line: Line, service: str | None = None) -> bool:
        """Whether this service, or any service, has set it aside."""
        found = self.aside.get(line.place, {})
        return bool(found) if service is None else service in found

    @cached_property
    def inboxes(self) -> dict[str, set[tuple[str, str]]]:
        """(source, id) by service."""
        return {
            name: {(row["source"], row["id"]) for row in tables["inbox"]} for name, tables in self.world.tables.items()
        }

    @cached_property
    def person_of(self) -> dict[tuple[str, str], UUID]:
        """(registry, ref) → person, as identity said it."""
        found = {}
        for line in self.of(identity.LinkEstablished):
            found[line.data.host, line.data.host_ref] = line.data.person
            found[line.data.home, line.data.home_ref] = line.data.person
        return found

    @cached_property
    def links(self) -> dict[tuple[UUID, str], identity.LinkEstablished]:
        """(person, host) → the link, as identity told it first."""
        found: dict[tuple[UUID, str], identity.LinkEstablished] = {}
        for line in self.of(identity.LinkEstablished):
            found.setdefault((line.data.person, line.data.host), line.data)
        return found

    @cached_property
    def any_link(self) -> dict[UUID, identity.LinkEstablished]:
        """Person → one of her links: each names her home."""
        return {person: link for (person, _), link in reversed(self.links.items())}

    @cached_property
    def home_of(self) -> dict[UUID, tuple[str, str]]:
        """Person → (home, home_ref)."""
        return {line.data.person: (line.data.home, line.data.home_ref) for line in self.of(identity.LinkEstablished)}

    @cached_property
    def records(self) -> dict[RecordKey, Record]:
        """Service records by host and ref."""
        found: dict[RecordKey, Record] = {}
        for line in self.facts:
            key = (line.data.host, line.data.record.record_ref)
            found.setdefault(key, Record(*key)).facts.append(line)
        return found

    @cached_property
    def facts(self) -> list[Line]:
        """Attendance's decisions about service records, in order for each person."""
        return [line for line in self.published("attendance.events.v1") if isinstance(line.data, _FACTS)]

    @cached_property
    def attested(self) -> dict[tuple[str, str, int], list[Line]]:
        """(host, record_ref, version) → the host's own message about it."""
        found: defaultdict[tuple[str, str, int], list[Line]] = defaultdict(list)
        for line in self.of(service.ServiceAttested):
            found[code_of(line.topic), line.data.record_ref, line.data.version].append(line)
        return dict(found)

    @cached_property
    def version_of(self) -> dict[UUID, tuple[str, str, int]]:
        """Transfer → the version of a record that a host attested."""
        return {transfer_id(*key): key for key in self.attested}

    @cached_property
    def settled_records(self) -> dict[UUID, ServiceRecord]:
        """Transfer → the version of a record that was confirmed or revoked, whole."""
        return {
            transfer_id(line.data.host, line.data.record.record_ref, line.data.record.version): line.data.record
            for line in self.facts
            if not isinstance(line.data, attendance.ServiceHeld)
        }

    def record_of(self, credit: deliveries.CreditPosted) -> ServiceRecord | None:
        """The record of a credit; where minutes are taken back without it, the version that was confirmed or
        revoked."""
        return credit.record or self.settled_records.get(credit.transfer_id)

    @cached_property
    def transfers(self) -> dict[UUID, list[Line]]:
        """Transfer → its changes, in order."""
        found: defaultdict[UUID, list[Line]] = defaultdict(list)
        for line in self.of(bridge.TransferChanged):
            found[line.data.transfer_id].append(line)
        return dict(found)

    @cached_property
    def latest(self) -> dict[RecordKey, Line]:
        """Record → the state of its latest transfer."""
        found: dict[RecordKey, Line] = {}
        for changes in self.transfers.values():
            last = changes[-1]
            key = (last.data.host, last.data.record_ref)
            if key not in found or found[key].data.version < last.data.version:
                found[key] = last
        return found

    @cached_property
    def unseen(self) -> list[str]:
        """The registries whose own books were not shown: their words on the log are taken for their books."""
        return [code for code in self.world.registries if code not in self.world.served]

    def _told_booked(self) -> dict[UUID, tuple[str, Row]]:
        """Transfer → what an unseen home booked, by its first receipt, or where it gave none by an operator's word."""
        found: dict[UUID, tuple[str, Row]] = {}
        for line in self.of(receipts.CreditAccepted):
            home, said = code_of(line.topic), line.data
            if home in self.unseen and said.transfer_id in self.transfers:
                row = {"transfer_id": said.transfer_id, "volunteer_ref": said.volunteer_ref, "minutes": said.delta}
                found.setdefault(said.transfer_id, (home, row))
        for transfer, changes in self.transfers.items():
            last = changes[-1].data
            if last.state == "credited" and last.home in self.unseen:
                row = {"transfer_id": transfer, "person": last.person, "minutes": last.delta}
                found.setdefault(transfer, (last.home, row))
        return found

    @cached_property
    def postings(self) -> dict[UUID, list[tuple[str, Row]]]:
        """Transfer → postings, each with the home that has it in its ledger."""
        found: defaultdict[UUID, list[tuple[str, Row]]] = defaultdict(list)
        seen = [(home, row) for home, rows in self.world.credits.items() for row in rows]
        for home, row in (*seen, *self._told_booked().values()):
            found[row["transfer_id"]].append((home, row))
        return dict(found)

    @cached_property
    def posted(self) -> dict[RecordKey, dict[int, int]]:
        """Record → version → minutes that its home posted under that version's transfer."""
        found: defaultdict[RecordKey, dict[int, int]] = defaultdict(dict)
        for transfer, rows in self.postings.items():
            if transfer in self.version_of:
                host, ref, version = self.version_of[transfer]
                found[host, ref][version] = sum(row["minutes"] for _, row in rows)
        return dict(found)

    @cached_property
    def served(self) -> dict[RecordKey, Row]:
        """The host's own row for each record."""
        return {(host, row["record_ref"]): row for host, rows in self.world.served.items() for row in rows}

    def origin(self, command: Any) -> tuple[str, str]:
        """The registry message that a command came from, as (source, id); an id that no registry gave, where the border
        has kept none."""
        own = command.origin.message
        return (registry_source(command.origin.registry), self.said_as.get(own, str(own)))
