"""What a host publishes: versions of projects and shifts, and what they do to those who signed up."""

from __future__ import annotations

from datetime import datetime

from services.chassis.decisions import Decision, Inbound, States
from services.chassis.draft import Draft
from services.opportunities.rules.leaving import cancel
from services.opportunities.rules.posts import promote
from services.opportunities.rules.telling import command_refused
from services.opportunities.states import Project, Shift, shift_name

__all__ = ["publish_project", "publish_shift"]


def publish_project(states: States, inbound: Inbound, now: datetime, policy: None) -> Decision:
    """Keep a project's newer version. Versions that are known change nothing; other content is a conflict.

    A closed project takes nobody new; who has a post or stands in line keeps it, and the line is served.
    """
    draft, command = Draft(inbound, now), inbound.data
    known = states.get(Project, (command.host, command.project_ref))
    said = Project.of(command)
    if known is not None and said.version <= known.version:
        return _not_newer(draft, conflict=said.version == known.version and said != known)
    draft.change(said)
    return draft.decision()


def publish_shift(states: States, inbound: Inbound, now: datetime, policy: None) -> Decision:
    """Keep a shift's newer version: more posts go to those in line, fewer send nobody away, a cancellation everyone.

    The window is promised and never moves: refused(window_fixed).
    """
    draft, command = Draft(inbound, now), inbound.data
    known = states.get(Shift, (command.host, command.project_ref, command.shift.shift_ref))
    said = Shift.of(command, known)
    if known is not None:
        if said.version <= known.version:
            return _not_newer(draft, conflict=said.version == known.version and said != known)
        if (said.starts_at, said.ends_at) != (known.starts_at, known.ends_at):
            return command_refused(draft, "window_fixed")
    draft.fact(shift_name(*said.key))
    if said.state == "cancelled":
        cancel(draft, states, said)
    else:
        promote(draft, states, said, ())
    return draft.decision()


def _not_newer(draft: Draft, *, conflict: bool) -> Decision:
    return command_refused(draft, "version_conflict") if conflict else draft.decision()
