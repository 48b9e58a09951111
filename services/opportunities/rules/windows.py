"""A person's time: windows that her home reports, clashes, and reports that lost a clash and are decided again."""

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
from services.opportunities.rules.telling import (
    EVENT_OF_STATE,
    command_refused,
    signup_of,
    tell,
    tell_all,
    tell_end,
    with_ask,
)
from services.opportunities.states import Shift, Signup, Wish

__all__ = ["clashes", "decide_again", "report_signup"]

WISHES: Final = 50
"""How many windows of one person are kept that lost a clash."""


def report_signup(states: States, inbound: Inbound, now: datetime, policy: None) -> Decision:
    """Note that she is busy at home, or no longer. A report takes no post, and sign-ups elsewhere keep their windows.

    A window that clashes is refused and kept: it is noted as soon as the sign-up ends to which it lost. Until then a
    report that moves a window leaves the earlier window occupied. Of one person ``WISHES`` such windows are kept and no
    more, since each is looked at whenever she gives something back.
    """
    draft, command = Draft(inbound, now), inbound.data
    signup = states.get(Signup, command.signup_id)
    if command.state == "withdrawn":
        if signup is None or signup.state not in ("reported", "clashed"):
            return command_refused(draft, "no_signup")
        ended = signup.ended()
        draft.change(ended)
        tell_end(draft, signup, command)
        decide_again(draft, states, (ended,))
        return draft.decision()
    asked = None if signup is None or not signup.active else with_ask(signup, command)
    if signup is not None and signup.active and asked is None:
        return command_refused(draft, "already_signed_up")
    if signup is not None and asked is not None and signup.given:
        # The linkage gave her this sign-up: it occupies the window as a report would.
        if asked is not signup:
            draft.change(asked)
        tell(draft, EVENT_OF_STATE[signup.state], command, signup)
        return draft.decision()
    shift = states.get(Shift, (command.host, command.project_ref, command.shift_ref))
    if shift is not None and shift.state == "cancelled":
        # The cancellation travels on another topic of the home. If it had come after this report, it would have ended
        # it.
        tell(draft, messages.SignupRefused, command, command, reason="shift_cancelled")
        return draft.decision()
    hers = states.group(Signup, "person", command.person)
    if clashes(hers, command.signup_id, command.starts_at, command.ends_at):
        if (signup is None or signup.wish is None) and sum(row.wish is not None for row in hers) >= WISHES:
            return command_refused(draft, "too_many_reports")
        draft.change(_lost(command, asked or signup, inbound.time))
        tell(draft, messages.SignupRefused, command, command, reason="clash")
        return draft.decision()
    noted = signup_of(command, command, "reported", before=asked)
    draft.change(noted)
    tell_all(draft, messages.SignupNoted, noted, command)
    decide_again(draft, states, (noted,))
    return draft.decision()


def clashes(hers: Iterable[Signup], own: UUID, starts_at: datetime, ends_at: datetime) -> bool:
    """Whether another sign-up of hers, in any registry, occupies part of the window. Windows that touch do not
    clash."""
    return any(
        other.active and other.signup_id != own and other.starts_at < ends_at and starts_at < other.ends_at
        for other in hers
    )


def decide_again(draft: Draft, states: States, changed: Iterable[Signup]) -> None:
    """Decide again the reports of these persons that lost a clash, in the order in which they lost.

    ``changed``: the sign-ups, after the change, that ended or moved and so may have freed a window.
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
    """The reports that had lost and are noted now. A report that moves frees its earlier window, so the search begins
    anew. A report without an earlier window only takes time, so reports that were passed over before it still lose."""
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
    """Whether another window than its own occupies part of the wish. Windows in ``taken`` never overlap, so the search
    ends at the first window that ends before the wish begins."""
    before = bisect_left(taken, (wish.ends_at,)) - 1
    while before >= 0 and taken[before][1] > wish.starts_at:
        if taken[before][2] != wish.signup_id:
            return True
        before -= 1
    return False


def _lost(command: messages.ReportSignup, before: Signup | None, time: datetime) -> Signup:
    """The row of a report that lost: with the time at which it lost first, and with its earlier window, if it occupies
    one."""
    since = time if before is None or before.clashed_at is None else before.clashed_at
    if before is None or before.state != "reported":
        return signup_of(command, command, "clashed", clashed_at=since)
    lost = signup_of(command, command, "clashed", clashed_at=since, before=before)
    return replace(lost, state="reported", starts_at=before.starts_at, ends_at=before.ends_at)
