"""Before an upgrade registries are paused, and what is under way between the services arrives; then they go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from deploy.asking import Asking, NoAnswer, Refused, asking
from deploy.operate.errors import EnvironmentProblem, LocalError
from deploy.operate.waiting import wait_until_done

__all__ = ["WHY", "Left", "drained", "left_of", "paused_by_us"]

WHY: Final = "drained for an upgrade"
"""The reason on record of pauses that ``upgrade drain`` makes. ``upgrade resume`` ends these alone: a registry that an
operator paused for another reason stays paused."""
_LOOK_SECONDS: Final = 1.0
_ANSWER_SECONDS: Final = 30.0
_LOOKS: Final = 4
"""So many looks in a row must find nothing: a message can be between the outbox of one service and the lag of another
while both are asked."""


class Left(NamedTuple):
    """What a service has still to do: messages of its groups that are not applied, and rows of its outbox."""

    service: str
    lag: int
    outbox: int

    def __str__(self) -> str:
        return f"{self.service}: {self.lag} to read, {self.outbox} to send"


def left_of(service: str, health: Mapping[str, Any]) -> Left:
    """What ``/health/ready`` says of it. Groups that read a paused registry do not count: nobody reads on in them.

    Raises LocalError where the service cannot tell, for example while its database does not answer.
    """
    groups = health.get("groups")
    lag = health.get("lag") if groups is None else sum(one["lag"] for one in groups.values() if not one["paused"])
    outbox = health.get("outbox_rows")
    if not isinstance(lag, int) or not isinstance(outbox, int):
        why = "; ".join(map(str, health.get("why") or [health.get("database", "it says no figures")]))
        raise LocalError(f"{service} does not tell what it has to do: {why}", todo="make it ready, then run this again")
    return Left(service, lag, outbox)


def paused_by_us(registries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The registries, of ``GET /registries``, that ``upgrade drain`` paused."""
    return [code for code, seat in registries.items() if (seat.get("paused") or {}).get("why") == WHY]


async def drained(urls: Mapping[str, str], progress: Callable[[str], None], *, seconds: float) -> None:
    """Wait until no service has anything to do.

    Raises LocalError when that takes longer, EnvironmentProblem when a service does not answer.
    """
    quiet, told = 0, ""

    async def left() -> str | None:
        nonlocal quiet, told
        found = await asyncio.gather(*(_asked(http, name, url) for name, url in urls.items()))
        text = ", ".join(str(one) for one in found if one.lag or one.outbox)
        quiet = 0 if text else quiet + 1
        if text and text != told:
            progress(text)
            told = text
        return None if quiet >= _LOOKS else text or "the services answer too slowly"

    def late(left: str) -> LocalError:
        return LocalError(
            f"not drained after {seconds:.0f} s: {left}",
            todo="see the logs of these services, then run this again; `shuangcheng upgrade resume` gives it up",
        )

    async with asking(_ANSWER_SECONDS) as http:
        await wait_until_done(left, late, seconds=seconds, every=_LOOK_SECONDS)


async def _asked(http: Asking, service: str, url: str) -> Left:
    try:
        health = await http.get(f"{url}/health/ready")
    except Refused as error:  # it is not ready, and says its figures all the same
        health = error.document
    except NoAnswer as error:
        raise EnvironmentProblem(
            f"{service} does not answer at {url}: {error}",
            todo=f"start it, or give its address with --at {service}=URL",
        ) from error
    if not isinstance(health, dict):
        raise EnvironmentProblem(f"what answers at {url} is no service of a linkage", todo=f"give --at {service}=URL")
    return left_of(service, health)
