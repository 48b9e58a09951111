"""Whether the books agree record by record. Sums over a direction could agree although two records differ: 60 minutes
too many of one volunteer and 60 too few of another leave the sum as it was. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

__all__ = ["Key", "Said", "differences"]

Key: TypeAlias = tuple[str, str]
"""host, record_ref"""
_MOST = 5
"""So many differences are said one by one; of the others the number is said."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the bridge says of a record of another registry's volunteer, in minutes. ``state``: of its last transfer."""

    home: str
    total: int
    posted: int
    state: str | None


def differences(
    said: Mapping[Key, Said], transfers: Mapping[UUID, Key], served: Mapping[Key, int], booked: Mapping[UUID, int]
) -> list[str]:
    """Every record of which the books differ, each with its figures; none where all agree.

    ``transfers``: the record of each transfer. ``served``: confirmed minutes of visitors in the hosts' books.
    ``booked``: minutes in the homes' books, by transfer.
    """
    at_home: Counter[Key] = Counter()
    found: list[str] = []
    for transfer, minutes in booked.items():
        if (key := transfers.get(transfer)) is None:
            found.append(f"{minutes} minutes are booked under transfer {transfer}, which the bridge does not know")
        else:
            at_home[key] += minutes
    for key in sorted({*said, *served, *at_home}):
        found += _of_record(key, said.get(key), served.get(key, 0), at_home[key])
    return found if len(found) <= _MOST else [*found[:_MOST], f"{len(found) - _MOST} more records differ"]


def _of_record(key: Key, said: Said | None, served: int, booked: int) -> Iterable[str]:
    host, name = key[0], f"record {key[1]} of {key[0]}"
    if said is None:
        if served or booked:
            yield f"{name}: the bridge does not know it, {host} counts {served} minutes, and {booked} are booked"
        return
    if served != said.total:
        yield f"{name}: confirmed {said.total} is not what {host} counts, {served}"
    if booked != said.posted:
        yield f"{name}: credited {said.posted} is not what {said.home} booked, {booked}"
    if said.total < said.posted and said.state != "refused":
        yield f"{name}: {said.posted - said.total} minutes are not taken back at {said.home} ({said.state})"
    elif said.total > said.posted and said.state not in ("withheld", "refused"):
        yield f"{name}: {said.total - said.posted} minutes are missing at {said.home} ({said.state})"
