"""The table of transfers in the bridge's README is what the rules do: each state, each event, each kind of ledger.

``python -m tests.unit.bridge.test_transfer_table`` prints the table.
"""

from __future__ import annotations

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
from tests.support.bridge_messages import HOST

CAPABILITIES: Final[tuple[Capability, ...]] = get_args(Capability)
LATER: Final = timedelta(minutes=2)


def sent(world: World) -> None:
    world.confirm(1, 60)


def queued(world: World) -> None:
    sent(world)
    world.refuse(1, retry=True)


def withheld(world: World) -> None:
    world.withdraw(1)
    world.confirm(1, 60)


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
    "withheld, no consent": withheld,
    "sent": sent,
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
    "consent withdrawn": lambda world: world.withdraw(7),
    "consent withdrawn, its timer": lambda world: (world.withdraw(7), world.pass_time(LATER)),
    "consent given again": lambda world: world.give(8),
    "by hand: credited": by_hand("credited"),
    "by hand: refused": by_hand("refused"),
}


def cell(capability: Capability, begin: Callable[[World], None], event: Callable[[World], object]) -> str:
    """What becomes of it, and what goes to the home or back."""
    world = linked(capability)
    begin(world)
    before, sends, refusals = world.transfer(), len(world.sent), len(world.refused("sz"))
    event(world)
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
    for state, begin in STATES.items():
        for event, happens in EVENTS.items():
            cells = [cell(capability, begin, happens) for capability in CAPABILITIES]
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
