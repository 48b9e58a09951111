"""The shape of a reason in the list: words for people and, for each place where it may stand, who must act, when it is
told, and when it ends.

The list itself is ``reasons.py``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

from contracts.frozen import frozen

__all__ = [
    "BAD",
    "BROKEN",
    "CORRECTED",
    "CREDITED",
    "ENDED",
    "HELD",
    "LINK",
    "MESSAGE",
    "QUEUED",
    "REFUSED",
    "SET_ASIDE",
    "SIGNUP",
    "UNCERTAIN",
    "WITHHELD",
    "Party",
    "Reason",
    "Stand",
]

Party = Literal["nobody", "sender", "volunteer", "host", "home", "registries", "linkage", "operator"]
"""Who must act. ``sender``: the registry whose message it is; ``registries``: whichever of the two caused it."""


@frozen
class Stand:
    """A reason at one place: ``where`` it stands, whether it is ``final``, who ``acts``, when the reason is ``told``,
    and when it ``ends``. A final reason never ends."""

    where: str
    final: bool
    acts: Party
    told: str
    ends: str

    def by(self, party: Party) -> Stand:
        """The same place, where another party must act."""
        return replace(self, acts=party)

    def told_when(self, told: str) -> Stand:
        """The same place, where the reason is told at another moment."""
        return replace(self, told=told)

    def until(self, ends: str) -> Stand:
        """The same place, with another end."""
        return replace(self, ends=ends)


BAD: Final = Stand("message not in the contract", True, "sender", "at once", "never")
"""Told in MessageRefused. Its bytes are set aside; an operator may release or discard them."""
MESSAGE: Final = Stand("message refused", True, "sender", "at once", "never")
"""MessageRefused: the message took no effect, and never will under this id."""
LINK: Final = Stand("link refused", True, "volunteer", "at once", "never")
"""LinkChanged, state refused: final for this LinkRequested."""
BROKEN: Final = Stand("link broken", False, "registries", "at once", "when the side that broke the link restores it")
"""LinkBroken and LinkChanged, state broken."""
SIGNUP: Final = Stand("sign-up refused", True, "volunteer", "at once", "never")
"""SignupChanged, state refused: final for this request."""
ENDED: Final = Stand("sign-up withdrawn", True, "nobody", "at once", "never")
"""SignupChanged, state withdrawn, where nobody gave the post back."""
HELD: Final = Stand("record held", False, "host", "at once", "when its cause has ended")
"""ServiceDecided, state held: the minutes do not count yet."""
CORRECTED: Final = Stand("record corrected", True, "nobody", "at once", "never")
"""``reason_code`` of a record's later version."""
QUEUED: Final = Stand(
    "transfer queued", False, "linkage", "at once", "tried again after 1 s, later after 5 min at most"
)
WITHHELD: Final = Stand("transfer withheld", False, "volunteer", "at once", "when consent is given again")
UNCERTAIN: Final = Stand(
    "transfer uncertain", False, "operator", "at once", "when the home answers, or an operator settles it"
)
CREDITED: Final = Stand("transfer credited", True, "nobody", "at once", "never")
REFUSED: Final = Stand(
    "transfer refused", True, "home", "at once", "never; a later version of the record carries the minutes"
)
SET_ASIDE: Final = Stand(
    "message set aside", False, "operator", "to operators alone", "when an operator releases or discards it"
)
"""Its sender is told nothing yet."""


@frozen
class Reason:
    """A reason of the list: its ``code`` on the wire, and what it means in Chinese and in English.

    ``registrys``: a registry's own word. No service of the linkage writes it; the linkage hands it on.
    """

    code: str
    zh: str
    en: str
    example: str
    stands: tuple[Stand, ...]
    registrys: bool = False
