"""Which consent stands after a giving or a withdrawal (rules 38-40): one rule for bridge, identity and registries."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

__all__ = ["Standing", "standing_after"]


class Standing(NamedTuple):
    """A home's giving or withdrawal for one host, or the consent that stands after all of them."""

    version: int
    state: Literal["given", "withdrawn"]
    valid_until: datetime | None = None
    """The end of a giving; None: until it is withdrawn."""


def standing_after(before: Standing | None, said: Standing) -> Standing | None:
    """The consent that stands after ``said``; None for a giving that is stale.

    A giving counts if its version is higher than every version seen before. A giving that repeats the consent that
    stands changes nothing. A withdrawal always counts, also under an old version: a home that went back to a copy of
    its database knows no newer version, and nothing may be shared against the will of a volunteer. A withdrawal leaves
    consent withdrawn at the highest version seen, so that no earlier giving can undo it.
    """
    if before is None:
        return said if said.state == "given" else Standing(said.version, "withdrawn")
    if said.state == "withdrawn":
        return Standing(max(before.version, said.version), "withdrawn")
    return said if said == before or said.version > before.version else None
