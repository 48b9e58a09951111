"""The shape of a reason in the list: words for people and, for each place where it may stand, who must act and when.

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
    """A reason at one place: ``where`` it stands, whether that is ``final``, who ``acts``, and when it ``ends``."""

    where: str
    final: bool
    acts: Party
    ends: str

    def by(self, party: Party) -> Stand:
        """The same place, where another party must act."""
        return replace(self, acts=party)

    def until(self, ends: str) -> Stand:
        """The same place, with another end."""
        return replace(self, ends=ends)

    def open(self) -> Stand:
        """The same place, where the reason may fall away by itself."""
        return replace(self, final=False)


BAD: Final = Stand("message not in the contract", True, "sender", "at once")
"""Told in MessageRefused. Its bytes are set aside; an operator may release or discard them."""
MESSAGE: Final = Stand("message refused", True, "sender", "at once")
"""MessageRefused: the message took no effect, and never will under this id."""
LINK: Final = Stand("link refused", True, "volunteer", "at once")
"""LinkChanged, state refused: final for this LinkRequested."""
BROKEN: Final = Stand("link broken", False, "registries", "when whoever broke it restores it; no deadline")
"""LinkBroken and LinkChanged, state broken."""
SIGNUP: Final = Stand("sign-up refused", True, "volunteer", "at once")
"""SignupChanged, state refused: final for this request."""
ENDED: Final = Stand("sign-up withdrawn", True, "nobody", "at once")
"""SignupChanged, state withdrawn, where nobody gave the post back."""
HELD: Final = Stand("record held", False, "host", "when the reason falls away, at once; no deadline")
"""ServiceDecided, state held: the minutes do not count yet."""
CORRECTED: Final = Stand("record corrected", True, "nobody", "at once")
"""``reason_code`` of a record's later version."""
QUEUED: Final = Stand("transfer queued", False, "linkage", "tried again after 1 s, later after 5 min at most")
WITHHELD: Final = Stand("transfer withheld", False, "volunteer", "when consent is given again, at once; no deadline")
UNCERTAIN: Final = Stand("transfer uncertain", False, "operator", "when the home answers, or an operator settles it")
CREDITED: Final = Stand("transfer credited", True, "nobody", "at once")
REFUSED: Final = Stand("transfer refused", True, "home", "a later version of the record carries the minutes")
SET_ASIDE: Final = Stand("message set aside", False, "operator", "when an operator releases or discards it")
"""Operators alone see it; its sender is told nothing yet."""


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
