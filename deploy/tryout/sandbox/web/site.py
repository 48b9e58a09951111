"""The pages of one sandbox registry: the frame, the visitor, and all that the pages use."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg
from fastapi import FastAPI, Request, Response
from starlette.datastructures import FormData

from deploy.tryout.sandbox.database import Pool
from deploy.tryout.sandbox.settings import Seat
from deploy.tryout.sandbox.web import views
from deploy.tryout.sandbox.web.accounts import Account, Session, session_of
from deploy.tryout.sandbox.web.arrivals import STANDS
from deploy.tryout.sandbox.web.desk import Desk
from deploy.tryout.sandbox.web.linkage import Linkage
from deploy.tryout.sandbox.web.words import Words
from deploy.web import frame
from deploy.web.tries import Tries
from deploy.web.trouble import Forbidden, NotFound, SignInFirst
from deploy.web.words import LANGUAGES

__all__ = ["Neighbour", "Site", "Visit"]

_TEMPLATES: Final = Path(__file__).parent / "templates"
_CODES_OF_ONE: Final = 30
"""How many codes of one address may be bad, or under examination. A whole school may have one address."""
_CODES_OF_ALL: Final = 600
_LOOKS_AT_ONCE: Final = 4
"""How many codes the linkage is asked about at the same time. It answers few questions at once, and others ask too."""
_ACCENTS: Final = ("gz", "sz")


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another registry: its city, and the address of its pages."""

    city: tuple[str, str]
    url: str


@dataclass
class Visit(frame.Visit[Words, Session]):
    """One request to a registry's pages."""

    site: Site

    @property
    def account(self) -> Account:
        """The account that signed in. Raises ``SignInFirst``."""
        if self.session is None or self.session.account is None:
            raise SignInFirst
        return self.session.account

    def of_kind(self, *kinds: str) -> Account:
        """The account, if it is of one of these kinds."""
        if self.account.kind not in kinds:
            raise Forbidden("not_yours")
        return self.account

    async def own_shift(self) -> dict[str, Any]:
        """Our shift that the address names. Raises ``NotFound`` if there is none."""
        path = self.request.path_params
        found = await views.shift_of(self.site.pool, path["project_ref"], path["shift_ref"])
        if found is None:
            raise NotFound("no_shift")
        return found

    def too_many(self, tries: Tries) -> Response:
        """Come again later (RFC 6585 §4)."""
        response = self.page("message.html", 429, key="too_many_tries")
        response.headers["Retry-After"] = str(tries.seconds)
        return response

    def page(self, template: str, status: int = 200, **given: Any) -> Response:
        """An HTML page."""
        return self.site.page(self, template, status, given)


class Site(frame.Frame[Visit]):
    """All pages of a registry. While ``is_down`` they say only that."""

    outages = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)

    def __init__(
        self,
        app: FastAPI,
        seat: Seat,
        names: tuple[str, str],
        city: tuple[str, str],
        neighbours: Mapping[str, Neighbour],
        passcode: str,
        is_down: Callable[[], bool],
    ) -> None:
        every = {seat.code: city} | {code: one.city for code, one in neighbours.items()}
        super().__init__(
            app,
            _TEMPLATES,
            {language: Words(language, every) for language in LANGUAGES},
            f"session_{seat.code}",  # browsers do not distinguish the ports of one machine
            [one.url for one in neighbours.values()],
        )
        self._arrival = f"arrival_{seat.code}"
        self.seat, self.names, self.neighbours = seat, names, neighbours
        self.tries = Tries(10)
        self.strangers, self.everybody = Tries(_CODES_OF_ONE), Tries(_CODES_OF_ALL)
        """Bad codes, by address, and over all addresses."""
        self.looking = asyncio.Semaphore(_LOOKS_AT_ONCE)
        self._passcode, self._is_down = passcode, is_down
        self.pool: Pool
        self.desk: Desk
        self.linkage: Linkage

    def opened(self, pool: Pool, desk: Desk, linkage: Linkage) -> None:
        """The application has started."""
        self.pool, self.desk, self.linkage = pool, desk, linkage

    def begin(self, request: Request, words: Words, form: FormData) -> Visit:
        """The visit of a stranger."""
        return Visit(request, words, form, self)

    async def recognise(self, visit: Visit, token: str | None) -> None:
        """The session of this cookie."""
        if self._is_down():
            raise OSError("down, as asked")
        visit.session = await session_of(self.pool, token)

    def keep_arrival(self, visit: Visit, token: str, response: Response) -> None:
        """Remember the arrival in this browser. Not in the session's cookie: a page that sends her here must not be
        able to sign her out."""
        secure = visit.request.url.scheme == "https"
        response.set_cookie(
            self._arrival, token, path="/visit", httponly=True, secure=secure, samesite="lax",
            max_age=int(STANDS.total_seconds()),
        )  # fmt: skip

    def arrived_with(self, request: Request) -> str | None:
        """The cookie that ``keep_arrival`` set."""
        return request.cookies.get(self._arrival)

    def common(self, visit: Visit) -> dict[str, Any]:
        """The registry, its neighbours, and the account that signed in."""
        account = None if visit.session is None else visit.session.account
        return {
            "seat": self.seat,
            "brand": visit.words.either(self.names),
            "accent": self.seat.code if self.seat.code in _ACCENTS else _ACCENTS[0],
            "neighbours": self.neighbours,
            "account": account,
            "signed_in": account is not None,
        }

    def is_passcode(self, given: str) -> bool:
        """Whether this is the passcode."""
        return hmac.compare_digest(given.encode(), self._passcode.encode())
