"""A person's time: what her home reports, what clashes, and the reports that lost and are decided again."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from contracts.messages import opportunities as messages
from services.chassis.decisions import Decision, Inbound, States
from services.chassis.draft import Draft
from services.opportunities.rules.telling import STANDING, also_asked, command_refused, signup_of, tell, tell_all
from services.opportunities.states import Shift, Signup, Wish

__all__ = ["clashes", "report_signup", "settle"]

WISHES: Final = 50
"""Windows of one person that lost and are kept."""


def report_signup(states: States, inbound: Inbound, now: datetime, policy: None) -> Decision:
    """Note that she is busy at home, or no longer. Takes no post; what she holds elsewhere keeps its window.

    A window that clashes is refused and kept: it stands as soon as what it lost to ends. Until then a report that
    moves a window leaves the earlier one standing. Who has ``WISHES`` of them gets no further one kept: each is looked
    at whenever she gives something back.
    """
    draft, command = Draft(inbound, now), inbound.data
    held = states.get(Signup, command.signup_id)
    if command.state == "withdrawn":
        if held is None or held.state not in ("reported", "clashed"):
            return command_refused(draft, "no_signup")
        gone = held.ended()
        draft.change(gone)
        tell_all(draft, messages.SignupWithdrawn, held, command)
        settle(draft, states, (gone,))
        return draft.decision()
    kept = None if held is None or not held.active else also_asked(held, command)
    if held is not None and held.active and kept is None:
        return command_refused(draft, "already_signed_up")
    if held is not None and kept is not None and held.given:
        # She has it by the linkage: the window is occupied as reported.
        if kept is not held:
            draft.change(kept)
        tell(draft, STANDING[held.state], command, held)
        return draft.decision()
    shift = states.get(Shift, (command.host, command.project_ref, command.shift_ref))
    if shift is not None and shift.state == "cancelled":
        # The cancellation travels on another topic of home's: had it come second, it would have ended this report.
        tell(draft, messages.SignupRefused, command, command, reason="shift_cancelled")
        return draft.decision()
    hers = states.group(Signup, "person", command.person)
    if clashes(hers, command.signup_id, command.starts_at, command.ends_at):
        if (held is None or held.wish is None) and sum(row.wish is not None for row in hers) >= WISHES:
            return command_refused(draft, "too_many_reports")
        draft.change(_lost(command, kept or held, inbound.time))
        tell(draft, messages.SignupRefused, command, command, reason="clash")
        return draft.decision()
    noted = signup_of(command, command, "reported", held=kept)
    draft.change(noted)
    tell_all(draft, messages.SignupNoted, noted, command)
    settle(draft, states, (noted,))
    return draft.decision()


def clashes(hers: Iterable[Signup], own: UUID, starts_at: datetime, ends_at: datetime) -> bool:
    """Whether another sign-up of hers, in any registry, occupies part of the window; touching ends do not."""
    return any(
        other.active and other.signup_id != own and other.starts_at < ends_at and starts_at < other.ends_at
        for other in hers
    )


def settle(draft: Draft, states: States, changed: Iterable[Signup]) -> None:
    """Decide again the reports of these persons that lost, who lost first first.

    ``changed`` are the sign-ups, as they stand now, that ended or moved and so may have freed a window.
    """
    by_person: defaultdict[UUID, list[Signup]] = defaultdict(list)
    for signup in changed:
        by_person[signup.person].append(signup)
    noted: list[Signup] = []
    for person, rows in by_person.items():
        hers = {row.signup_id: row for row in states.group(Signup, "person", person)}
        hers.update((row.signup_id, row) for row in rows)
        noted += _first_come(hers)
    for signup in noted:
        draft.change(signup)
        tell_all(draft, messages.SignupNoted, signup)


def _first_come(hers: dict[UUID, Signup]) -> list[Signup]:
    """What stands now of what had lost. One that moves frees where it stood before, so the search begins anew; one that
    stood nowhere only takes, and what was passed over before it stays so."""
    wishes = sorted(wish for row in hers.values() if (wish := row.wish) is not None)
    taken = sorted((row.starts_at, row.ends_at, row.signup_id) for row in hers.values() if row.active)
    noted: list[Signup] = []
    at = 0
    while at < len(wishes):
        wish = wishes[at]
        if _is_taken(taken, wish):
            at += 1
            continue
        del wishes[at]
        before = hers[wish.signup_id]
        if before.active:
            taken.remove((before.starts_at, before.ends_at, before.signup_id))
            at = 0
        insort(taken, (wish.starts_at, wish.ends_at, wish.signup_id))
        hers[wish.signup_id] = before.noted(wish)
        noted.append(hers[wish.signup_id])
    return noted


def _is_taken(taken: list[tuple[datetime, datetime, UUID]], wish: Wish) -> bool:
    """Whether another window than its own holds part of it. What is taken never overlaps, so neighbours will do."""
    before = bisect_left(taken, (wish.ends_at,)) - 1
    while before >= 0 and taken[before][1] > wish.starts_at:
        if taken[before][2] != wish.signup_id:
            return True
        before -= 1
    return False


def _lost(command: messages.ReportSignup, held: Signup | None, time: datetime) -> Signup:
    """The report as it is kept: in the place that it lost first, beside the window that stands, if one does."""
    since = time if held is None or held.clashed_at is None else held.clashed_at
    stands = held if held is not None and held.state == "reported" else None
    lost = signup_of(command, command, "clashed", clashed_at=since, held=stands)
    if stands is None or held is None:
        return lost
    return replace(lost, state="reported", starts_at=held.starts_at, ends_at=held.ends_at)
