"""What must hold after every step, and what must hold once everything has come to rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise
from typing import Any
from uuid import UUID

from aiokafka import TopicPartition

from contracts.envelope import Event, decode
from contracts.messages import attendance as told
from contracts.messages import volunteers
from contracts.messages.deliveries import CreditPosted, CreditQueried, LinkChanged
from contracts.partitioner import partition_for
from contracts.topics import ATTENDANCE_EVENTS, DELIVERIES, VOLUNTEERS
from services.attendance.states import PersonDay, Standing
from services.bridge import states as bridge
from services.chassis.batch.outbox import OutboxRow
from services.chassis.log.records import unpack_headers
from services.opportunities import states as opportunities
from tests.simulation.at_rest import at_rest
from tests.simulation.registry import Broken, Registry
from tests.support.linkage import Linkage, Member

__all__ = ["Watch"]


class Watch:
    """Looks at rows, outboxes and the log as they change. Raises ``Broken``."""

    def __init__(self, linkage: Linkage, registries: Mapping[str, Registry], cap: int) -> None:
        self.cap = cap
        self.linkage = linkage
        self.registries = registries
        self._last: dict[str, int] = {}
        self._bodies: dict[tuple[str, str], tuple[str, bytes]] = {}
        self._versions: dict[tuple[str, str], int] = {}
        self._line: dict[UUID, tuple[Any, Any]] = {}
        """Who stood in which line after the last batch, and where."""
        self._active: set[tuple[str, str, str]] = set()
        """Links that held after the border's last batch."""
        self._aside: set[int] = set()
        self._consents: dict[str, _Consents] = {code: _Consents(linkage, code) for code in registries}

    def ended(self) -> None:
        """Everything has come to rest."""
        at_rest(self.linkage, self.registries, self.rows, self.cap)

    def rows(self, name: str, kind: type[Any]) -> list[Any]:
        base: Any = self.linkage.members[name].base
        return list(base.rows.all_of(kind))

    def restored(self, member: Member) -> None:
        """All that came since the dump was replayed. Nobody heard what the other life had decided and not sent yet: it
        is decided again, and may be decided otherwise."""
        name = member.service.name
        self._last[name] = 0
        heard = {(str(headers["ce_source"]), str(headers["ce_id"])) for record in self.linkage.log.records
                 for headers in [dict(record.headers)]}  # fmt: skip
        self._bodies = {name: said for name, said in self._bodies.items() if name in heard}
        fresh = self._fresh(member)
        for row in fresh:
            self._said_once(row)
        match name:
            case "opportunities":
                self._line.clear()
                self._posts_and_time()
            case "attendance":
                self._days()
                self._versions.clear()
                # Rows that were published before the restoration, or before a death, are published again: the first
                # time counts.
                told_so_far = [*self.linkage.log.events(ATTENDANCE_EVENTS.name), *_facts(fresh)]
                for event in {event.id: event for event in told_so_far}.values():
                    self._record_version(event.data)
            case "bridge":
                self._books()
                self._active, self._aside = self._held(), self._waiting(member)
            case _:
                pass

    def applied(self, member: Member, group: str) -> None:
        """A batch was committed."""
        name = member.service.name
        fresh = self._fresh(member)
        for row in fresh:
            self._said_once(row)
        match name:
            case "opportunities":
                self._posts_and_time()
            case "attendance":
                self._days()
                for event in _facts(fresh):
                    self._record_version(event.data)
            case "bridge":
                self._books()
                self._nothing_to_paused(fresh)
                waiting = self._waiting(member)
                # What comes in again may be a giving with the withdrawal behind it, and a credit goes out between them.
                if group == "bridge" or (group == "re-entry" and waiting == self._aside):
                    self._consented(member, fresh)
                self._active, self._aside = self._held(), waiting
            case _:
                pass

    def _fresh(self, member: Member) -> list[OutboxRow]:
        base: Any = member.base
        last = self._last.get(member.service.name, 0)
        fresh = [row for id, (_, row) in base.outbox.items() if id > last]
        if base.outbox:
            self._last[member.service.name] = max(last, *base.outbox)
        return fresh

    def _said_once(self, row: OutboxRow) -> None:
        headers = dict(unpack_headers(row.headers))
        name = (str(headers["ce_source"]), str(headers["ce_id"]))
        said = row.topic, row.value
        if self._bodies.setdefault(name, said) != said:
            raise Broken(f"another body under the id {name[1]}: {row.value!r} after {self._bodies[name]!r}")

    # -- opportunities --------------------------------------------------------------------------------------------

    def _posts_and_time(self) -> None:
        busy: defaultdict[UUID, list[Any]] = defaultdict(list)
        given: defaultdict[Any, int] = defaultdict(int)
        line: defaultdict[Any, list[int | None]] = defaultdict(list)
        for row in self.rows("opportunities", opportunities.Signup):
            if row.active:
                busy[row.person].append(row)
            if row.state == "confirmed":
                given[row.shift] += 1
            elif row.state == "waitlisted":
                line[row.shift].append(row.position)
        for person, rows in busy.items():
            for one, other in pairwise(sorted(rows, key=lambda row: row.starts_at)):
                if other.starts_at < one.ends_at:
                    raise Broken(f"{person} is to be in two places: {one.shift} and {other.shift}")
        now = self.linkage.members["opportunities"].clock.now()
        self._line_order()
        self._lost_windows(busy)
        for shift in self.rows("opportunities", opportunities.Shift):
            if shift.state == "open" and shift.free and shift.waitlisted and now < shift.starts_at:
                raise Broken(f"{shift.key} has a free post, and somebody stands in line")
            places = line[shift.key]
            if (shift.confirmed, shift.waitlisted) != (given[shift.key], len(places)):
                raise Broken(f"{shift.key} counts {shift.confirmed} and {shift.waitlisted}, and has {given[shift.key]}")
            if shift.confirmed > shift.capacity:
                raise Broken(f"{shift.key} has {shift.confirmed} for {shift.capacity} posts")
            if len(places) != len(set(places)) or None in places:
                raise Broken(f"two stand in one place in the line of {shift.key}")
            if shift.state == "cancelled" and (given[shift.key] or places):
                raise Broken(f"{shift.key} is cancelled, and somebody stands in it")

    def _line_order(self) -> None:
        """Nobody gets a post before whoever stands before her in line."""
        rows = {row.signup_id: row for row in self.rows("opportunities", opportunities.Signup)}
        for id, (shift, position) in self._line.items():
            if rows[id].state != "confirmed":
                continue
            passed = [other for other, (where, place) in self._line.items()
                      if where == shift and place < position and rows[other].state == "waitlisted"]  # fmt: skip
            if passed:
                raise Broken(f"in the line of {shift} somebody was passed over")
        self._line = {id: (row.shift, row.position) for id, row in rows.items() if row.state == "waitlisted"}

    def _lost_windows(self, busy: Mapping[UUID, list[Any]]) -> None:
        """A window of home that lost is in the way of something that stands."""
        for row in self.rows("opportunities", opportunities.Signup):
            if (wish := row.wish) is None:
                continue
            if not any(other.signup_id != row.signup_id and other.starts_at < wish.ends_at
                       and wish.starts_at < other.ends_at for other in busy[row.person]):  # fmt: skip
                raise Broken(f"nothing takes the window of {row.shift} that home reported")

    # -- attendance -----------------------------------------------------------------------------------------------

    def _days(self) -> None:
        counted: defaultdict[Any, list[Any]] = defaultdict(list)
        for row in self.rows("attendance", Standing):
            if row.counted_from is not None:
                counted[row.person].append(row)
        minutes: defaultdict[Any, int] = defaultdict(int)
        for person, rows in counted.items():
            for one, other in pairwise(sorted(rows, key=lambda row: row.counted_from)):
                if one.counted_to > other.counted_from:
                    raise Broken(f"{person} serves twice at once: {one.key} and {other.key}")
            for row in rows:
                minutes[person, row.counted_day] += row.counted_minutes or 0
            served = [(row.counted_signup, row.counted_day) for row in rows]
            if len(served) != len(set(served)):
                raise Broken(f"two records of {person} count for one shift: {[row.key for row in rows]}")
        added: defaultdict[Any, int] = defaultdict(int)
        for row in self.rows("attendance", PersonDay):
            added[row.person, row.day] += row.added
        if {key: sum for key, sum in added.items() if sum} != {key: sum for key, sum in minutes.items() if sum}:
            raise Broken(f"days add up to {dict(added)}, records to {dict(minutes)}")
        if above := [key for key, sum in minutes.items() if sum > self.cap]:
            raise Broken(f"more than {self.cap} minutes count on {above}")

    def _record_version(self, fact: Any) -> None:
        if isinstance(fact, told.CommandRefused):
            return
        key = fact.host, fact.record.record_ref
        if fact.record.version < self._versions.get(key, 0):
            raise Broken(f"version {fact.record.version} of {key} is told after {self._versions[key]}")
        self._versions[key] = fact.record.version

    # -- the border -----------------------------------------------------------------------------------------------

    def _books(self) -> None:
        """No home is asked for two transfers of one record at once, and what it booked is known before the next."""
        under_way: defaultdict[Any, list[bridge.Transfer]] = defaultdict(list)
        for transfer in self.rows("bridge", bridge.Transfer):
            if transfer.in_the_way:
                under_way[transfer.record_key].append(transfer)
        for key, transfers in under_way.items():
            if len(transfers) > 1:
                raise Broken(f"two transfers of {key} are under way")
        for service in self.rows("bridge", bridge.ServiceState):
            if not 0 <= service.posted <= 1440:
                raise Broken(f"{service.record_key} has {service.posted} minutes posted")

    def _nothing_to_paused(self, fresh: list[OutboxRow]) -> None:
        """A registry is sent no credit, and is asked about none, until its pause has ended."""
        paused = {DELIVERIES.of(row.registry).name for row in self.rows("bridge", bridge.Pause)}
        for row in fresh:
            if row.topic in paused:
                message = decode(row.value, unpack_headers(row.headers)).data
                if isinstance(message, CreditPosted | CreditQueried):
                    raise Broken(f"{row.topic} is paused, and {type(message).__name__} is sent")

    def _consented(self, member: Member, fresh: list[OutboxRow]) -> None:
        """No credit is sent while consent is taken back, and none over a link that held neither before this batch nor
        in it: a batch may restore a link, send its credits and break it again."""
        held = self._active | self._held()
        for row in fresh:
            if row.topic != DELIVERIES.of(code := row.topic.split(".")[1]).name:
                continue
            data = decode(row.value, unpack_headers(row.headers)).data
            if isinstance(data, LinkChanged) and data.state in ("established", "restored"):
                held.add((code, data.volunteer_ref, data.registry))
            if not isinstance(data, CreditPosted) or data.record is None:
                continue  # without a record it takes minutes back, and the home learns nothing else
            if self._consents[code].taken_back(member, data.volunteer_ref, data.host):
                raise Broken(f"a credit of {data.volunteer_ref} is sent though she has taken her consent back")
            if (code, data.volunteer_ref, data.host) not in held:
                raise Broken(f"a credit of {data.volunteer_ref} is sent over a link that does not hold")

    @staticmethod
    def _waiting(member: Member) -> set[int]:
        """What registries said of their volunteers and is set aside."""
        base: Any = member.base
        return {seq for seq, row in base.asides.items() if ".volunteers." in row.record.topic}

    def _held(self) -> set[tuple[str, str, str]]:
        """Links that hold, by home, ref and host."""
        return {(row.home, row.home_ref, row.host) for row in self.rows("bridge", bridge.Link) if row.state == "active"}


class _Consents:
    """What a home has said of consent, as far as the border has applied it; read anew only where something came."""

    def __init__(self, linkage: Linkage, code: str) -> None:
        self._linkage = linkage
        self._topic = VOLUNTEERS.of(code)
        self._group = f"bridge.{code}"

    def taken_back(self, member: Member, ref: str, host: str) -> bool:
        """Whether the last word is a withdrawal."""
        place = TopicPartition(self._topic.name, partition_for(ref, self._topic.partitions))
        base: Any = member.base
        waiting = {(row.record.topic, row.record.partition, row.record.offset) for row in base.asides.values()}
        taken, seen = False, set()
        for record in self._linkage.log.partitions[place][: member.lanes[self._group].next[place]]:
            if record.key != ref.encode():
                continue
            event = decode(record.value, record.headers)
            if event.id in seen:
                continue
            seen.add(event.id)  # also of one that is set aside: its repeat is nobody's word
            if (record.topic, record.partition, record.offset) in waiting:
                continue
            match event.data:
                case volunteers.ConsentWithdrawn(registry=other) if other == host:
                    taken = True
                case volunteers.ConsentGiven(registry=other) if other == host:
                    taken = False
                case volunteers.LinkOffered(for_registry=other) if other == host:
                    taken = False
                case _:
                    pass
        return taken


def _facts(rows: list[OutboxRow]) -> list[Event]:
    """What attendance is about to tell, in order."""
    return [decode(row.value, unpack_headers(row.headers)) for row in rows if row.topic == ATTENDANCE_EVENTS.name]
