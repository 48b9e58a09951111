"""The pages of a sandbox registry: the linkage as its volunteers and organisers see it, inside their own city's app.

They are loaded only if the registry has a passcode for them: most sandboxes serve machines alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI

from deploy.tryout.sandbox.database import Pool
from deploy.tryout.sandbox.settings import SandboxSettings, Seat

if TYPE_CHECKING:
    from deploy.tryout.sandbox.web.site import Site
    from deploy.tryout.sandbox.web.voice import Voice

__all__ = ["opened", "pages_on"]

_SECONDS: Final = 3.0
"""For an answer of the linkage, while somebody looks at a page."""


def pages_on(app: FastAPI, settings: SandboxSettings, seat: Seat, is_down: Callable[[], bool]) -> Site | None:
    """Put the pages on this application; None without a passcode. While ``is_down`` the pages say only that."""
    if settings.passcode is None:
        return None
    from deploy.tryout.sandbox.web.entrance import entrance
    from deploy.tryout.sandbox.web.organiser import organiser_pages
    from deploy.tryout.sandbox.web.site import Neighbour, Site
    from deploy.tryout.sandbox.web.volunteer import volunteer_pages
    from deploy.tryout.sandbox.web.words import CITIES

    def city(code: str) -> tuple[str, str]:
        return CITIES.get(settings.division(code), settings.names(code))

    neighbours = {code: Neighbour(city(code), url.rstrip("/")) for code, url in settings.neighbours.items()}
    passcode = settings.passcode.get_secret_value()
    site = Site(app, seat, settings.names(seat.code), city(seat.code), neighbours, passcode, is_down)
    for enter in (entrance, volunteer_pages, organiser_pages):
        enter(site)
    return site


@contextlib.asynccontextmanager
async def opened(site: Site | None, settings: SandboxSettings, pool: Pool, voice: Voice) -> AsyncIterator[None]:
    """The pages with all that they use: books, voice, and the linkage's read APIs."""
    if site is None:
        yield
        return
    from deploy.asking import asking
    from deploy.tryout.sandbox.web.accounts import enter_people
    from deploy.tryout.sandbox.web.desk import Desk
    from deploy.tryout.sandbox.web.linkage import Linkage

    people = (settings.people or Path(__file__).parents[1] / "people") / f"{settings.registry}.yaml"
    if people.exists():
        await enter_people(pool, people)
    token = "" if settings.token is None else settings.token.get_secret_value()
    async with asking(_SECONDS, token) as client:
        linkage = Linkage(
            client,
            settings.opportunities_url.rstrip("/"),
            settings.bridge_url.rstrip("/"),
            settings.identity_url.rstrip("/"),
        )
        site.opened(pool, Desk(settings.registry, pool, voice), linkage)
        yield
