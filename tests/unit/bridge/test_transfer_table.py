"""The table of transfers in the bridge's README is what the rules do: each state, each event, each kind of ledger.

``python -m tests.unit.bridge.test_transfer_table`` prints the table.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final, get_args

from contracts.messages.bridge import SettleTransfer
from contracts.messages.deliveries import CreditPosted, CreditQueried, TransferState
from contracts.registry import Capability
from services.bridge import crossings
from tests.support.bridge import World, linked, of_kind
from tests.support.bridge_messages import HOME, HOST

CAPABILITIES: Final[tuple[Capability, ...]] = get_args(Capability)
LATER: Final = timedelta(minutes=6)
"""Longer than any time after which a queued transfer is tried again, and than the first time limit of a receipt."""


def sent(world: World) -> None:
    world.confirm(1, 60)


def queued(world: World) -> None:
    sent(world)
    world.refuse(1, retry=True)


def withheld(world: World) -> None:
    world.withdraw(1)
    world.confirm(1, 60)


def withheld_after_sending(world: World) -> None:
    queued(world)
    world.withdraw(7)
    world.pass_time(LATER)


def away(state: str, *, sent_before: bool) -> Callable[[World], None]:
    """The home's file says paused or closed, or is gone: before the transfer is made, or after it was sent."""

    def begin(world: World) -> None:
        if sent_before:
            sent(world)
        if state == "left":
            world.remove(HOME)
        else:
            world.configure(HOME, state)
        if not sent_before:
            sent(world)

    return begin


def uncertain(world: World) -> None:
    """The home says that nobody knows."""
    sent(world)
    world.cannot_say(1)


def conflicting(world: World) -> None:
    """The home says that it booked other minutes."""
    sent(world)
    world.accept(1, 59)


def credited(world: World) -> None:
    sent(world)
    world.accept(1)


def refused(world: World) -> None:
    sent(world)
    world.refuse(1)


def by_hand(outcome: str) -> Callable[[World], object]:
    def settle(world: World) -> object:
        return world.hear(
            SettleTransfer(host=HOST, record_ref="R1", transfer_id=world.transfer().id, outcome=outcome)  # type: ignore[arg-type]
        )

    return settle


STATES: Final[Mapping[str, Callable[[World], None]]] = {
    "queued, refused for now": queued,
    "queued, the home is paused": away("paused", sent_before=False),
    "queued, the home is closed": away("closed", sent_before=False),
    "queued, the home has left": away("left", sent_before=False),
    "withheld, never sent": withheld,
    "withheld, sent before": withheld_after_sending,
    "sent": sent,
    "sent, the home is paused": away("paused", sent_before=True),
    "sent, the home is closed": away("closed", sent_before=True),
    "sent, the home has left": away("left", sent_before=True),
    "uncertain, nobody knows": uncertain,
    "uncertain, other minutes": conflicting,
    "credited": credited,
    "refused": refused,
}
EVENTS: Final[Mapping[str, Callable[[World], object]]] = {
    "accepted": lambda world: world.accept(1, 60),
    "accepted, other minutes": lambda world: world.accept(1, 59),
    "refused": lambda world: world.refuse(1),
    "refused, retry": lambda world: world.refuse(1, retry=True),
    "unknown": lambda world: world.cannot_say(1),
    "its timer": lambda world: world.pass_time(LATER),
    "home active again, its timer": lambda world: world.pass_time(LATER),
    "consent withdrawn": lambda world: world.withdraw(7),
    "consent withdrawn, its timer": lambda world: (world.withdraw(7), world.pass_time(LATER)),
    "consent given again": lambda world: world.give(8),
    "by hand: credited": by_hand("credited"),
    "by hand: refused": by_hand("refused"),
}


AGAIN: Final = "home active again, its timer"
NOT_OF_THE_HOME: Final = (AGAIN, "its timer", "by hand: credited", "by hand: refused")
"""What can happen while nothing of the home is read: it is paused, or has left."""


def can_happen(state: str, event: str) -> bool:
    """Whether this event can find a transfer in this state."""
    if ", the home " not in state:
        return event != AGAIN
    return event in NOT_OF_THE_HOME or state.endswith("closed")


def cell(capability: Capability, state: str, event: str) -> str:
    """What becomes of it, and what goes to the home or back."""
    world = linked(capability)
    seat = world.policy.registries[HOME]
    STATES[state](world)
    if event == AGAIN:
        world.put_back(seat)
    before, sends, refusals = world.transfer(), len(world.sent), len(world.refused("sz"))
    EVENTS[event](world)
    after = world.transfer()
    told = world.sent[sends:]
    done = [*(["posted"] if of_kind(told, CreditPosted) else []), *(["asked"] if of_kind(told, CreditQueried) else [])]
    done += [f"home is told `{reason}`" for reason in world.refused("sz")[refusals:]]
    stays = (before.state, before.reason) == (after.state, after.reason)
    state = "–" if stays else after.state + (f" (`{after.reason}`)" if after.reason else "")
    return ", ".join([*([] if stays and done else [state]), *done])


def table() -> str:
    """In Markdown. Where all kinds of ledgers do the same, one cell says it."""
    lines = [f"| it is | and then | {' | '.join(CAPABILITIES)} |", "|---" * (2 + len(CAPABILITIES)) + "|"]
    for state, event in itertools.product(STATES, EVENTS):
        if not can_happen(state, event):
            continue
        cells = [cell(capability, state, event) for capability in CAPABILITIES]
        if set(cells) != {"–"}:
            said = [cells[0], *(["="] * (len(cells) - 1))] if len(set(cells)) == 1 else cells
            lines.append(f"| {state} | {event} | {' | '.join(said)} |")
    return "\n".join(lines)


def test_the_table_of_transfers_is_what_the_rules_do() -> None:
    readme = (Path(crossings.__file__).parent / "README.md").read_text()
    found = re.search(r"<!-- transfers -->\n(.*?)\n<!-- end -->", readme, re.DOTALL)
    assert found is not None
    assert found[1] == table()


def test_every_state_but_two_that_no_event_finds_alone_is_in_the_table() -> None:
    """A version that waits goes when the version before it is answered, and superseded is an end."""
    assert {state.partition(",")[0] for state in STATES} == set(get_args(TransferState)) - {"superseded"}


if __name__ == "__main__":
    print(table())
