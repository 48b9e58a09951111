"""Link requests under way: what follows of either ref waits until identity has answered the last."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from contracts.messages.base import Origin
from contracts.messages.identity import RequestLink
from services.bridge.rules.draft import Draft
from services.bridge.rules.names import account_name
from services.bridge.states import LinkUnderWay
from services.chassis.decisions import States

__all__ = ["LONGEST", "answered", "asked", "under_way_since"]

LONGEST: Final = timedelta(days=1)
"""So long at most a request counts, and a message waits behind requests.

Identity answers each request by 5 × ``await_facts`` after it hears of it. The rest of the day is for the time that
identity is down; and if an answer were lost, its request would not count for ever.
"""

# A host can name a stranger's home_ref, and then messages of her home wait longer. Such a request applies nothing and
# loses nothing. It delays refusals: by 5 × ``await_facts``, and by a day at most, however many requests follow.


def asked(draft: Draft, states: States, request: RequestLink) -> None:
    """One more request for these two refs. Whoever waits already looks again when its time is up, and waits on."""
    for registry, ref in ((request.host, request.host_ref), (request.home, request.home_ref)):
        before = states.get(LinkUnderWay, (registry, ref, request.host))
        requests = before.requests if before is not None else 0
        draft.change(LinkUnderWay(registry, ref, request.host, requests + 1, draft.now))


def answered(draft: Draft, states: States, host: str, account: tuple[str, str], asked: Origin | None) -> None:
    """One request less of this host, at the two refs of the request ``asked``: the account at home and the host's ref.

    Identity answers each of the other requests by itself.

    After the last answer the ref is made known as a fact, so messages wait no longer, whether there is a link or not.
    That holds, too, for a ref under which she asked although she has another account at the host: no link will ever
    name that ref. A link that answers no request takes no request away.
    """
    if asked is None:
        return
    for registry, ref in ((host, asked.key), account):
        before = states.get(LinkUnderWay, (registry, ref, host))
        if before is not None and before.requests > 1:
            draft.change(replace(before, requests=before.requests - 1))
            continue
        if before is not None:
            draft.forget(before)
        draft.fact(account_name(registry, ref))


def under_way_since(states: States, registry: str, ref: str, hosts: tuple[str, ...]) -> datetime | None:
    """When the newest request under way was admitted that could link this ref with one of ``hosts`` (none: with any);
    None when there is none."""
    rows = states.group(LinkUnderWay, "account", (registry, ref))
    return max((row.newest_at for row in rows if not hosts or row.host in hosts), default=None)
