"""What a word on consent leaves standing (rules 38-40): one rule for the border, for identity and for registries."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

__all__ = ["Standing", "standing_after"]


class Standing(NamedTuple):
    """A home's word on sharing with one host, or what stands of all its words."""

    version: int
    state: Literal["given", "withdrawn"]
    valid_until: datetime | None = None
    """Of a giving; None: until it is withdrawn."""


def standing_after(before: Standing | None, said: Standing) -> Standing | None:
    """What stands once ``said`` has come; None for a giving that is stale.

    A giving counts if its version is higher than every version seen before. A giving that says what stands already
    changes nothing. A withdrawal always counts, also under an old version: a home that went back to a copy of its
    database knows no newer one, and nothing may be shared against the word of a volunteer. It leaves consent withdrawn
    at the highest version seen, so that no giving of before can undo it.
    """
    if before is None:
        return said if said.state == "given" else Standing(said.version, "withdrawn")
    if said.state == "withdrawn":
        return Standing(max(before.version, said.version), "withdrawn")
    return said if said == before or said.version > before.version else None
