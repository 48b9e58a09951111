"""What must hold once everything has come to rest: nothing is left over, all books agree, everybody was answered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from contracts.messages import signups, volunteers
from contracts.messages.opportunities import (
    SignupConfirmed,
    SignupNoted,
    SignupPromoted,
    SignupWithdrawn,
    WithdrawSignup,
)
from contracts.messages.service import ServiceAttested
from contracts.topics import OPPORTUNITIES_COMMANDS, OPPORTUNITIES_EVENTS
from services.attendance import states as attendance
from services.bridge import states as bridge
from services.identity import states as identity
from services.opportunities import states as opportunities
from tests.simulation.registry import Broken, Registry
from tests.support.linkage import Linkage

__all__ = ["at_rest"]

_ENTITLED = ("confirmed", "promoted", "noted")
_GIVES_A_RIGHT = (SignupConfirmed, SignupPromoted, SignupNoted)


def at_rest(
    linkage: Linkage, registries: Mapping[str, Registry], rows: Callable[[str, type[Any]], list[Any]], cap: int
) -> None:
    """Look at everything. Raises ``Broken``."""
    end = _End(linkage, registries, rows, cap)
    for check in (
        end.nothing_left, end.links, end.consents, end.link_answers, end.records, end.held, end.minutes, end.signups,
        end.ends,
        end.answers, end.refusals, end.reused, end.replayed,
    ):  # fmt: skip
        for what in check():
            raise Broken(what)


class _End:
    """Each check gives what is wrong."""

    def __init__(
        self,
        linkage: Linkage,
        registries: Mapping[str, Registry],
        rows: Callable[[str, type[Any]], list[Any]],
        cap: int,
    ) -> None:
        self.cap = cap
        self.linkage = linkage
        self.registries = registries
        self.rows = rows
        self.now = linkage.now
        self.border = {(row.person, row.host): row for row in rows("bridge", bridge.Link)}
        self.consent = {(row.home, row.home_ref, row.host): row for row in rows("bridge", bridge.ConsentState)}
        self.standings = {row.key: row for row in rows("attendance", attendance.Standing)}

    def nothing_left(self) -> Iterator[str]:
        for name, member in self.linkage.members.items():
            base: Any = member.base
            if left := [row for row in base.asides.values() if row.reason != "reused_id"]:
                yield f"{name} has set aside {[(row.reason, row.subject) for row in left]}"
            if base.timers:
                yield f"{name} has timers left: {sorted(base.timers)}"
            if base.parked:
                yield f"{name} has parked {sorted(base.parked)}"

    def replayed(self) -> Iterator[str]:
        """What a service said before it was restored, it decided again."""
        for name, member in self.linkage.members.items():
            base: Any = member.base
            if left := [(row["topic"], row["id"]) for row in base.life.since.values() if not row["again"]]:
                yield f"{name} was restored, and never again decided {left}"

    def reused(self) -> Iterator[str]:
        """Of two messages under one id the first counts, and of each other one its sender was told."""
        for registry in self.registries.values():
            if registry.reused != registry.told_reused:
                yield f"{registry.code} used ids again, {registry.reused}, and was told so of {registry.told_reused}"

    def links(self) -> Iterator[str]:
        made = {(row.person, row.host): row for row in self.rows("identity", identity.Link)}
        if self.border.keys() != made.keys():
            yield f"the bridge has links that identity has not, or the other way round: {self.border.keys() ^ made}"
        refs = [(row.host, row.host_ref) for row in made.values()]
        if len(refs) != len(set(refs)):
            yield "an account of a host is linked to two persons"
        for key, link in made.items():
            mine = self.border[key]
            if (mine.state == "active", mine.link_version) != (link.active, link.version):
                yield f"identity has {link}, the bridge {mine}"
            for code, ref in ((mine.home, mine.home_ref), (mine.host, mine.host_ref)):
                heard = self.registries[code].links.get((ref, mine.host if code == mine.home else mine.home))
                if heard is None or (heard.state in ("established", "restored"), heard.link_version) != (
                    link.active,
                    link.version,
                ):
                    yield f"{code} was told {heard} of {ref}, and the link is {link}"

    def consents(self) -> Iterator[str]:
        kept = {(row.person, row.host): row for row in self.rows("identity", identity.ConsentState)}
        for key, link in self.border.items():
            mine, other = self.consent.get((link.home, link.home_ref, link.host)), kept.get(key)
            if mine is None or other is None or (mine.state, mine.version) != (other.state, other.version):
                yield f"consent of {link.home_ref} is {mine} at the bridge, {other} in identity"

    def link_answers(self) -> Iterator[str]:
        """Each request has one answer, and yes only to whoever brought a code of an offer that had not expired."""
        offers = {said.code_hash: said for registry in self.registries.values() for said in registry.offers}
        for registry in self.registries.values():
            for id, said in registry.said.items():
                if not isinstance(said.message, volunteers.LinkRequested) or id in registry.refusals:
                    continue
                answer = registry.answers.get(id)
                if answer is None:
                    yield f"{id}, a request of {registry.code} for a link, has no answer"
                elif answer.state == "established":
                    offer = offers.get(said.hash_of_code)
                    if offer is None or offer.volunteer_ref != said.message.home_ref:
                        yield f"{id} was linked by a code that nobody was given"
                    elif said.at >= offer.expires_at and registry.first_answer(said.hash_of_code) == id:
                        yield f"{id} was linked by a code that had expired"

    def records(self) -> Iterator[str]:
        """The newest version of each record that was not refused is the one that stands, and the host was told so."""
        for registry in self.registries.values():
            newest: dict[str, Any] = {}
            for id, said in registry.said.items():
                if isinstance(said.message, ServiceAttested) and id not in registry.refusals:
                    before = newest.get(said.message.record_ref)
                    if before is None or before.version < said.message.version:
                        newest[said.message.record_ref] = said.message
            for ref, message in newest.items():
                row = self.standings.get((registry.code, ref))
                told = registry.decided.get(ref)
                if row is None or row.version != message.version:
                    yield f"{registry.code} attested {ref} in version {message.version}, and {row} stands"
                elif told is None or told.version != message.version:
                    yield f"{registry.code} attested {ref} in version {message.version}, and was told {told}"
                elif message.revoked and row.counted_minutes is not None:
                    yield f"{ref} of {registry.code} is revoked and counts"
                elif (told.state == "held") != (row.held_for is not None):
                    yield f"{registry.code} was told {told}, and {row} stands"

    def held(self) -> Iterator[str]:
        """What counts has its evidence, and what is held could not count."""
        came: defaultdict[Any, list[Any]] = defaultdict(list)
        for stay in self.rows("attendance", attendance.Presence):
            came[stay.signup_id].append(stay)
        told = self.linkage.log.events(OPPORTUNITIES_EVENTS.name)
        had = {event.data.signup_id for event in told if isinstance(event.data, _GIVES_A_RIGHT)}
        signed = {row.id: row.state for row in self.rows("attendance", attendance.Signup)}
        kept = _ended_later(told)
        for row in self.standings.values():
            if row.counted_version is not None and not any(s.covers(row.counted_day) for s in came[row.counted_signup]):
                yield f"{row.key} counts, and she was never there"
            if row.counted_version is not None and row.counted_signup not in had:
                yield f"{row.key} counts, and she had no post"
            if row.held_for is not None and self._fits(row, signed, kept, came):
                yield f"{row.key} is held for {row.held_for}, and could count"

    def _fits(
        self, row: Any, signed: Mapping[Any, str], kept: Mapping[Any, datetime], came: Mapping[Any, list[Any]]
    ) -> bool:
        """Said a second time, in other words than the rules'. ``kept``: when sign-ups ended whose shift had begun."""
        entitled = signed.get(row.signup_id) in _ENTITLED or row.counted_signup == row.signup_id
        entitled |= row.signup_id in kept and row.record().started_at < kept[row.signup_id]
        hers = [other for other in self.standings.values() if other.person == row.person and other.key != row.key]
        others = [other for other in hers if other.counted_from is not None]
        today = [other for other in others if other.counted_day == row.day]
        record = row.record()
        return (
            entitled
            and any(stay.covers(row.day) for stay in came[row.signup_id])
            and all(o.counted_to <= record.started_at or record.ended_at <= o.counted_from for o in others)
            and all(other.counted_signup != row.signup_id for other in today)
            and sum(other.counted_minutes for other in today) + record.minutes <= self.cap
        )

    def minutes(self) -> Iterator[str]:
        """What attendance counts of a record is what the bridge has as total, and that is at home or told why not."""
        services = {row.record_key: row for row in self.rows("bridge", bridge.ServiceState)}
        transfers = {row.id: row for row in self.rows("bridge", bridge.Transfer)}
        stuck = {row.record_key: row for row in transfers.values() if row.state in ("uncertain", "withheld")}
        unsure = {row.record_key for row in transfers.values() if row.state == "uncertain" or row.in_the_way}
        if self.standings.keys() != services.keys():
            yield f"attendance and the bridge know other records: {self.standings.keys() ^ services.keys()}"
        for key, row in self.standings.items():
            service = services[key]
            latest = None if service.transfer_id is None else transfers[service.transfer_id]
            state = None if latest is None else latest.state
            booked = self.registries[service.home].sums[key]
            if service.total != (row.counted_minutes or 0):
                yield f"{key} counts {row.counted_minutes} minutes, the bridge has {service.total}"
            if key not in unsure and booked != service.posted:
                yield f"{service.home} has booked {booked} minutes of {key}, the bridge says {service.posted}"
            if state in ("sent", "queued") and key not in stuck:
                yield f"the transfer of {key} never ends: {latest}"
            if key not in unsure and state in (None, "credited") and booked != service.total:
                yield f"{key} is worth {service.total}, and {booked} are at home ({state})"
            if state == "withheld" and key not in unsure and booked > service.total:
                yield f"{booked - service.total} minutes of {key} are not taken back"
            if (held := stuck.get(key)) is not None and held.state == "withheld" and self._nothing_in_the_way(held):
                yield f"the transfer of {key} is withheld for nothing: {held}"

    def _nothing_in_the_way(self, transfer: Any) -> bool:
        link = self.border[transfer.person, transfer.host]
        consent = self.consent.get((link.home, link.home_ref, link.host))
        return link.state == "active" and consent is not None and consent.state == "given"

    def signups(self) -> Iterator[str]:
        """Both registries were told last how each sign-up stands, and no line is left behind its shift."""
        for row in self.rows("opportunities", opportunities.Signup):
            if row.state == "waitlisted" and row.starts_at < self.now:
                yield f"somebody still stands in the line of {row.shift}"
            if row.state in ("reported", "clashed"):
                continue
            for ask in row.asks:
                for code in {ask.asker, row.host}:
                    heard = self.registries[code].signups.get((str(row.signup_id), ask.signup_ref))
                    last = None if heard is None else {"promoted": "confirmed"}.get(heard.state, heard.state)
                    if last != row.state and not (last is None and row.state == "withdrawn"):
                        yield f"{code} was told {last} of {ask.signup_ref}, which is {row.state}"

    def ends(self) -> Iterator[str]:
        """No volunteer gave a post back once its shift had begun."""
        told = self.linkage.log.events(OPPORTUNITIES_EVENTS.name)
        ended = {event.causation: event.data for event in told if isinstance(event.data, SignupWithdrawn)}
        for event in self.linkage.log.events(OPPORTUNITIES_COMMANDS.name):
            gone = ended.get(event.id)
            begun = None if gone is None else gone.starts_at
            if isinstance(event.data, WithdrawSignup) and begun is not None and begun <= event.time:
                yield f"{event.data.signup_ref} was given back at {event.time}, and its shift began at {begun}"

    def answers(self) -> Iterator[str]:
        """Whoever asked for a post heard of it."""
        for registry in self.registries.values():
            for id, said in registry.said.items():
                asked = said.message
                if not isinstance(asked, signups.SignupRequested) or id in registry.refusals:
                    continue
                if asked.signup_ref not in registry.heard_of:
                    yield f"{registry.code} asked for {asked.signup_ref} and never heard of it"

    def refusals(self) -> Iterator[str]:
        """Nobody is refused for want of what was there when the message came."""
        for registry in self.registries.values():
            for id, reason in registry.refusals.items():
                said = registry.said[id]
                ref = getattr(said.message, "volunteer_ref", None)
                linked = registry.linked_at.get(str(ref))
                if reason == "not_linked" and linked is not None and linked <= said.at:
                    yield f"{id} of {registry.code} is refused as not linked, and {ref} was linked before"


def _ended_later(told: list[Any]) -> dict[Any, datetime]:
    """Sign-ups that had given a right and ended after their shift had begun, with the moment."""
    has: set[Any] = set()
    found: dict[Any, datetime] = {}
    for fact in (event.data for event in told):
        if isinstance(fact, _GIVES_A_RIGHT):
            has.add(fact.signup_id)
        elif isinstance(fact, SignupWithdrawn) and fact.signup_id in has:
            has.remove(fact.signup_id)
            assert fact.starts_at is not None
            assert fact.withdrawn_at is not None
            if fact.starts_at < fact.withdrawn_at:
                found[fact.signup_id] = max(fact.withdrawn_at, found.get(fact.signup_id, fact.withdrawn_at))
    return found
