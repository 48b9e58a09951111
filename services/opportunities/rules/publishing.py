"""A host publishes versions of projects and shifts. This module decides what they change, also for sign-ups."""

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
    """Keep a project's newer version. An older version changes nothing; the same version with other content is refused.

    A closed project takes no new sign-ups. Posts and places in line are kept, and the line is served.
    """
    draft, command = Draft(inbound, now), inbound.data
    before = states.get(Project, (command.host, command.project_ref))
    project = Project.of(command)
    if before is not None and project.version <= before.version:
        return _not_newer(draft, conflict=project.version == before.version and project != before)
    draft.change(project)
    return draft.decision()


def publish_shift(states: States, inbound: Inbound, now: datetime, policy: None) -> Decision:
    """Keep a shift's newer version. More posts go to the line; fewer posts end no sign-up; a cancellation ends all.

    The window is promised and never moves: a version that moves it is refused(window_fixed).
    """
    draft, command = Draft(inbound, now), inbound.data
    before = states.get(Shift, (command.host, command.project_ref, command.shift.shift_ref))
    shift = Shift.of(command, before)
    if before is not None:
        if shift.version <= before.version:
            return _not_newer(draft, conflict=shift.version == before.version and shift != before)
        if (shift.starts_at, shift.ends_at) != (before.starts_at, before.ends_at):
            return command_refused(draft, "window_fixed")
    draft.fact(shift_name(*shift.key))
    if shift.state == "cancelled":
        cancel(draft, states, shift)
    else:
        promote(draft, states, shift, ())
    return draft.decision()


def _not_newer(draft: Draft, *, conflict: bool) -> Decision:
    return command_refused(draft, "version_conflict") if conflict else draft.decision()
