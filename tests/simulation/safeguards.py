"""Safeguards of the chassis and of rules, each with what stands in its place when it is taken away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from aiokafka import TopicPartition

from services.attendance import days as attendance_days
from services.attendance.states import Standing
from services.attendance.working_copy import WorkingCopy
from services.bridge.border import translation
from services.bridge.border.admission import refuse
from services.bridge.ledger import transfer
from services.bridge.links import consent, linking
from services.bridge.policy import Policy, Seat
from services.bridge.states import Link, Transfer
from services.chassis.batch import inbox
from services.chassis.decisions import Decision
from services.identity import case as identity
from services.opportunities.rules import leaving, posts, publishing, signups, windows
from services.opportunities.states import Shift
from tests.simulation.removing import Planted
from tests.support.memory_storage import InMemory

__all__ = ["SAFEGUARDS"]


async def _nothing(*_: Any, **__: Any) -> None:
    return None


def _none(*_: Any, **__: Any) -> None:
    return None


def _obstacle_stands(self: Any, _: Transfer) -> bool:
    return self._obstacle is not None


async def _known_by_nobody(db: Any, seen: Any, *, hopeful: bool) -> Any:
    return {}


async def _seen_by_nobody(db: Any, candidates: Any, enter: Any, *, hopeful: bool = False) -> Any:
    fresh: Any
    fresh, reused, repeats = await _SIGHTINGS(db, candidates, enter, hopeful=hopeful)
    known = {id(candidate) for candidate in (*fresh, *reused)}
    names = {(one.event.source, one.event.id) for one in fresh}
    again = [one for one in candidates if id(one) not in known and (one.event.source, one.event.id) in names]
    return sorted([*fresh, *again], key=candidates.index), reused, repeats


async def _nobody_parked(db: Any, names: Any) -> set[str]:
    return set()


async def _moved_by_anybody(db: Any, group: str, last: Any, expected: Any) -> None:
    for record in last:
        db.put(db.consumed, (group, TopicPartition(record.topic, record.partition)), record.last + 1)


async def _released_nobody(db: Any, facts: Any) -> int:
    return 0


class _Kept:
    """A transaction whose rows stand though it raised."""

    def __init__(self, db: Any) -> None:
        self.db = db

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, kind: Any, *_: Any) -> None:
        if kind is not None:
            self.db.rows.keep()
            self.db.put_back()
        self.db.keep()


def _without(reason: str) -> Callable[..., Any]:
    """Attendance does not hold a record for this reason."""

    def obstacle(self: Any, *arguments: Any) -> Any:
        found = _OBSTACLE(self, *arguments)
        return None if found == reason else found

    return obstacle


def _credited_without_note(self: Any, transfer: Any, reason: Any) -> None:
    self._stop(transfer, "credited", reason)
    self._advance()


def _at_once(states: Any, inbound: Any, now: Any, *_: Any) -> Decision:
    return refuse(inbound, now, "not_linked", "/volunteer_ref")


def _not_noticed(draft: Any, policy: Any, pair: Any, standing: Any) -> None:
    if standing.state == "given":
        _KEEP(draft, policy, pair, standing)


def _not_emptied(draft: Any, states: Any, shift: Any) -> None:
    draft.change(replace(shift, confirmed=0, waitlisted=0))


def _changed_only(draft: Any, states: Any, shift: Any, leaving: Any) -> None:
    draft.change(shift)


def _no_timer(self: Any, request: Any, until: Any) -> None:
    self.draft.change(request)


def _not_rested(self: Link, moment: Any, version: int) -> Link:
    return replace(self, link_version=version)


def _not_revoked(self: Standing) -> Standing:
    return replace(self, held_for=None)


_SIGHTINGS: Final = inbox.first_sightings
_OBSTACLE: Final = WorkingCopy.obstacle
_KEEP: Final = consent.keep
_true: Final = lambda *_, **__: True  # noqa: E731
_false: Final = lambda *_, **__: False  # noqa: E731


def _memory(name: str, instead: Any) -> tuple[tuple[Any, str, Any], ...]:
    return ((InMemory, name, staticmethod(instead)),)


SAFEGUARDS: Final = {
    # The chassis
    "no inbox": Planted("a message that comes twice counts twice", _memory("enter", _known_by_nobody)),
    "no inbox within a batch": Planted(
        "a message that stands twice in one batch counts twice", ((inbox, "first_sightings", _seen_by_nobody),)
    ),
    "no parking": Planted("a later message of a subject overtakes one that waits", _memory("park", _nothing)),
    "parked subjects not seen": Planted("the same, though they are parked", _memory("lock", _nobody_parked)),
    "no fence": Planted("an old instance applies what was applied", _memory("advance", _moved_by_anybody)),
    "facts release nobody": Planted(
        "what waits is not decided when its fact comes", _memory("make_ready", _released_nobody)
    ),
    "subjects stay parked": Planted("nothing opens a subject again", _memory("unpark", _nothing)),
    "applied rows stay set aside": Planted("what was decided again is decided once more", _memory("remove", _nothing)),
    "rows of a lost batch stand": Planted(
        "a transaction that is lost leaves its states", _memory("transaction", _Kept)
    ),
    "timers are not set": Planted("nobody is reminded of anything", _memory("set_timers", _nothing)),
    # The bridge
    "consent ignored": Planted(
        "credits are sent whatever stands of link and consent", ((transfer, "obstacle", _none),)
    ),
    "withdrawal not kept": Planted("consent that is taken back stands", ((consent, "keep", _not_noticed),)),
    "every home idempotent": Planted(
        "any ledger is sent a credit again", ((Policy, "seat", lambda self, code: Seat("active", "idempotent")),)
    ),
    "nothing in the way": Planted(
        "a version goes while an earlier one may be booked", ((Transfer, "in_the_way", property(_false)),)
    ),
    "unknown is never seen": Planted(
        "who cannot say is sent it again", ((transfer, "of_unknown", lambda *_: "never_seen"),)
    ),
    "credits not noted": Planted(
        "what is booked is not counted", ((transfer.RecordTransfers, "_credit", _credited_without_note),)
    ),
    "nothing goes on": Planted("what was withheld stays so", ((consent, "go_on", _none), (linking, "go_on", _none))),
    "no receipt awaited": Planted(
        "a receipt that is lost is never asked for", ((transfer.RecordTransfers, "_await_receipt", _none),)
    ),
    "no wait for links": Planted("who is not linked yet is refused at once", ((translation, "unlinked", _at_once),)),
    "breaks not kept": Planted("a link holds though it was broken", ((Link, "rest_from", _not_rested),)),
    # Attendance
    "no overlap": Planted("she serves twice at once", ((attendance_days.Counted, "overlaps", _false),)),
    "no check-in needed": Planted("she counts who never came", ((WorkingCopy, "obstacle", _without("no_check_in")),)),
    "no sign-up needed": Planted("she counts who had no post", ((WorkingCopy, "obstacle", _without("no_signup")),)),
    "held for ever": Planted("what is held is not looked at again", ((WorkingCopy, "_look_again", _none),)),
    "revocations forgotten": Planted("a revoked record counts", ((Standing, "revoked", _not_revoked),)),
    # Opportunities
    "clashes allowed": Planted("two posts at one time", ((signups, "clashes", _false),)),
    "windows at home allowed": Planted("a window of home beside a post", ((windows, "clashes", _false),)),
    "posts without end": Planted("a shift is never full", ((Shift, "free", property(lambda self: 1)),)),
    "nobody promoted": Planted(
        "a post that comes free goes to nobody",
        ((signups, "promote", _changed_only), (publishing, "promote", _changed_only)),
    ),
    "lost windows forgotten": Planted(
        "a window that lost never stands",
        tuple((where, "decide_again", _none) for where in (signups, windows, leaving)),
    ),
    "nobody leaves a cancelled shift": Planted("posts of a shift that is off", ((publishing, "cancel", _not_emptied),)),
    "lines never close": Planted("she stands in line for ever", ((posts, "end_of_line", _none),)),
    # Identity
    "any code": Planted("a guess is a code", ((identity, "_fits", _true),)),
    "accounts taken twice": Planted("an account is two persons'", ((identity.Case, "_taken", _false),)),
    "requests without an end": Planted("a request is never answered", ((identity.Case, "keep_pending", _no_timer),)),
    "minutes stay at home": Planted(
        "what takes minutes back waits for a consent that nobody gives",
        ((transfer.RecordTransfers, "_waits_for_consent", _obstacle_stands),),
    ),
}
