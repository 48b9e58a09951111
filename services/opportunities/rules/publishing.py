"""What a host publishes: versions of projects and shifts, and what they do to those who signed up."""

from __future__ import annotations

from datetime import datetime

from contracts.messages import opportunities as messages
from services.chassis.decisions import Decision, Inbound, States
from services.opportunities.rules.leaving import cancel
from services.opportunities.rules.posts import promote
from services.opportunities.rules.telling import both, command_refused
from services.opportunities.states import Project, Shift, shift_name

__all__ = ["publish_project", "publish_shift"]


def publish_project(states: States, inbound: Inbound, now: datetime) -> Decision:
    """Keep a project's newer version. Versions that are known change nothing; other content is a conflict.

    A closed project takes nobody new; who has a post or stands in line keeps it, and the line is served.
    """
    command: messages.PublishProject = inbound.data
    known = states.get(Project, (command.host, command.project_ref))
    said = Project.of(command)
    if known is not None and said.version <= known.version:
        return _not_newer(command, conflict=said.version == known.version and said != known)
    return Decision(changes=(said,))


def publish_shift(states: States, inbound: Inbound, now: datetime) -> Decision:
    """Keep a shift's newer version: more posts go to those in line, fewer send nobody away, a cancellation everyone.

    The window is promised and never moves: refused(window_fixed).
    """
    command: messages.PublishShift = inbound.data
    known = states.get(Shift, (command.host, command.project_ref, command.shift.shift_ref))
    said = Shift.of(command, known)
    if known is not None:
        if said.version <= known.version:
            return _not_newer(command, conflict=said.version == known.version and said != known)
        if (said.starts_at, said.ends_at) != (known.starts_at, known.ends_at):
            return command_refused(command, "window_fixed")
    here = Decision(facts=(shift_name(*said.key),))
    if said.state == "cancelled":
        return both(here, cancel(states, inbound, said, now))
    return both(here, promote(states, inbound, said, (), now))


def _not_newer(command: messages.PublishProject | messages.PublishShift, *, conflict: bool) -> Decision:
    return command_refused(command, "version_conflict") if conflict else Decision()
