"""A service on a test's own topics: its streams and its waits name them by their new names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from contracts.topics import TopicEntry
from services.chassis.decisions import Decide, Decision, Inbound, States
from services.chassis.service import Service
from tests.support.reacting import decided_by


def under_names(service: Service, names: Mapping[str, str], group: str) -> Service:
    """The same service; its last stream is ``group``, and the topics in ``names`` have the names given there."""

    def named(entry: TopicEntry) -> TopicEntry:
        return replace(entry, name=names.get(entry.name, entry.name))

    def waiting_there(decide: Decide) -> Decide:
        def decided(states: States, inbound: Inbound, now: datetime, policy: Any) -> Decision:
            decision = decide(states, inbound, now, policy)
            if (wait := decision.wait) is None:
                return decision
            channels = tuple(replace(channel, topic=named(channel.topic)) for channel in wait.brought_by)
            return replace(decision, wait=replace(wait, brought_by=channels))

        return decided

    *others, last = service.streams
    mine = replace(last, topics=tuple(named(entry) for entry in last.topics), group=group)
    return replace(decided_by(service, waiting_there), streams=(*others, mine))
