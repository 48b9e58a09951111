"""Link requests under way: later messages of both refs wait until identity has answered the last request."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from contracts.messages.identity import RequestLink
from services.bridge.border.names import account_name
from services.bridge.draft import Draft
from services.bridge.states import LinkUnderWay
from services.chassis.decisions import States

__all__ = ["LONGEST", "answered", "asked", "under_way_since"]

LONGEST: Final = timedelta(days=1)
"""A request counts for at most a day, and no message waits longer for requests.

Identity answers a request within 5 × ``await_facts`` of reading it. The rest of the day is for an identity that is
down. The bound is also there for an answer that is lost: its request does not count for ever.
"""

# A host can name a stranger's home_ref, and then messages of her home wait longer. Such a request applies nothing and
# loses nothing. It delays refusals by 5 × ``await_facts``, and by a day at most, however many requests follow.


def asked(draft: Draft, states: States, request: RequestLink) -> None:
    """Count one more request at its two refs. A message that waits already sees the request when its own time is up,
    and then waits on."""
    for registry, ref in ((request.host, request.host_ref), (request.home, request.home_ref)):
        before = states.get(LinkUnderWay, (registry, ref, request.host))
        requests = before.requests if before is not None else 0
        draft.change(LinkUnderWay(registry, ref, request.host, requests + 1, draft.now))


def answered(draft: Draft, states: States, host: str, account: tuple[str, str], asked_as: str | None) -> None:
    """Count one request of this host less, at the two refs of the request: the home account and the host's ref
    ``asked_as``. Identity answers each of the other requests by itself.

    After the last answer the ref is made known as a fact, so that messages wait no longer, whether there is a link or
    not. The ref may be one under which she asked although she has another account at the host: no link will ever name
    it. A link that answers no request (``asked_as`` is None) changes no count.
    """
    if asked_as is None:
        return
    for registry, ref in ((host, asked_as), account):
        before = states.get(LinkUnderWay, (registry, ref, host))
        if before is not None and before.requests > 1:
            draft.change(replace(before, requests=before.requests - 1))
            continue
        if before is not None:
            draft.forget(before)
        draft.fact(account_name(registry, ref))


def under_way_since(states: States, registry: str, ref: str, hosts: tuple[str, ...]) -> datetime | None:
    """When the border admitted the newest request under way that could link this ref with one of ``hosts`` (with any
    host where none is named); None where there is no such request."""
    rows = states.group(LinkUnderWay, "account", (registry, ref))
    return max((row.newest_at for row in rows if not hosts or row.host in hosts), default=None)
