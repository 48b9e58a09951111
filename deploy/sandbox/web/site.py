"""The frame of all pages: templates, language, sessions, and what keeps strangers out."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import asyncpg
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import FormData

from deploy.sandbox.database import Pool
from deploy.sandbox.settings import Seat
from deploy.sandbox.web import views
from deploy.sandbox.web.accounts import Account, Session, session_of
from deploy.sandbox.web.codes import Tries
from deploy.sandbox.web.desk import Desk, NotPossible
from deploy.sandbox.web.linkage import Linkage, NotReached
from deploy.sandbox.web.words import LANGUAGES, Language, Words

__all__ = ["Forbidden", "Neighbour", "NotFound", "Site", "Visit", "go"]

_HERE: Final = Path(__file__).parent
_LANGUAGE: Final = "language"
_MOST_BYTES: Final = 64 * 1024


class Forbidden(Exception):
    """Whoever asks may not: 403, with a key of ``words``."""


class NotFound(Exception):
    """There is no such thing here: 404, with a key of ``words``."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another registry: its city, and where its pages are."""

    city: tuple[str, str]
    url: str


@dataclass
class Visit:
    """One request as the pages see it: who asks, in which language, with which form."""

    request: Request
    site: Site
    session: Session | None
    words: Words
    form: FormData = field(default_factory=FormData)

    @property
    def account(self) -> Account:
        """Whoever signed in; ``Forbidden`` for nobody."""
        if self.session is None or self.session.account is None:
            raise Forbidden("sign_in")
        return self.session.account

    def of_kind(self, *kinds: str) -> Account:
        """The account, if it is of one of these kinds."""
        if self.account.kind not in kinds:
            raise Forbidden("not_yours")
        return self.account

    @property
    def fragment(self) -> bool:
        """Whether htmx asks, which renews a part of a page."""
        return self.request.headers.get("hx-request") == "true"

    async def own_shift(self) -> dict[str, Any]:
        """The shift of ours that the address names; ``NotFound`` for none."""
        path = self.request.path_params
        found = await views.shift_of(self.site.pool, path["project_ref"], path["shift_ref"])
        if found is None:
            raise NotFound("no_shift")
        return found

    def text(self, name: str) -> str:
        """A field of the form, trimmed; empty where it is missing."""
        value = self.form.get(name, "")
        return value.strip()[:300] if isinstance(value, str) else ""

    def page(self, template: str, status: int = 200, **given: Any) -> Response:
        """An HTML page."""
        return self.site.page(self, template, status, given)


Handler = Callable[[Visit], Awaitable[Response]]


def go(to: str) -> Response:
    """After a form was taken: so that reload and the back button repeat nothing."""
    return RedirectResponse(to, status_code=303)


class Site:
    """Routes of pages on an app. Every form carries its session's secret; only ``public`` ones need none."""

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
        self.app, self.seat, self.names, self.neighbours, self.passcode = app, seat, names, neighbours, passcode
        self.is_down = is_down
        self.tries = Tries(10)
        self._cookie = f"session_{seat.code}"  # browsers do not tell the ports of one machine apart
        self.pool: Pool
        self.desk: Desk
        self.linkage: Linkage
        every = {seat.code: city} | {code: one.city for code, one in neighbours.items()}
        self._words = {language: Words(language, every) for language in LANGUAGES}
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._headers = _headers([one.url for one in neighbours.values()])
        app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")

    def opened(self, pool: Pool, desk: Desk, linkage: Linkage) -> None:
        """The application has started."""
        self.pool, self.desk, self.linkage = pool, desk, linkage

    def get(self, path: str, handler: Handler) -> None:
        """Serve a page."""

        async def serve(request: Request) -> Response:
            return await self._answer(request, handler, None)

        self.app.add_api_route(path, serve, methods=["GET"], include_in_schema=False)

    def post(self, path: str, handler: Handler, *, public: bool = False) -> None:
        """Take a form. ``public``: it comes from elsewhere and proves itself in another way."""

        async def serve(request: Request) -> Response:
            if int(request.headers.get("content-length") or 0) > _MOST_BYTES:
                return Response(status_code=413)
            return await self._answer(request, handler, await request.form(), public=public)

        self.app.add_api_route(path, serve, methods=["POST"], include_in_schema=False)

    async def _answer(
        self, request: Request, handler: Handler, form: FormData | None, *, public: bool = False
    ) -> Response:
        visit = Visit(request, self, None, self._words[_language(request)], form or FormData())
        try:
            if self.is_down():
                raise OSError("down, as asked")
            visit.session = await session_of(self.pool, request.cookies.get(self._cookie))
            if form is not None and not public:
                self._check_form(visit)
            response = await handler(visit)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            response = visit.page("message.html", 503, key="unavailable")
        except NotReached:
            response = visit.page("message.html", 503, key="not_reached")
        except NotFound as error:
            response = visit.page("message.html", 404, key=str(error))
        except NotPossible as error:
            response = visit.page("message.html", 409, key=str(error))
        except Forbidden as error:
            signed_out = str(error) == "sign_in" and form is None
            response = go("/sign-in") if signed_out else visit.page("message.html", 403, key=str(error))
        response.headers.update(self._headers)
        return response

    @staticmethod
    def _check_form(visit: Visit) -> None:
        secret = "" if visit.session is None else visit.session.csrf
        if not secret or not hmac.compare_digest(secret.encode(), visit.text("csrf").encode()):
            raise Forbidden("form_is_old")

    def page(self, visit: Visit, template: str, status: int, given: Mapping[str, Any]) -> HTMLResponse:
        """Render a template."""
        text = self._templates.get_template(template).render(
            t=visit.words,
            seat=self.seat,
            registry_name=visit.words.either(self.names),
            neighbours=self.neighbours,
            session=visit.session,
            account=None if visit.session is None else visit.session.account,
            path=visit.request.url.path,
            **given,
        )
        return HTMLResponse(text, status_code=status)

    def is_passcode(self, given: str) -> bool:
        """Whether this is what people sign in with."""
        return hmac.compare_digest(given.encode(), self.passcode.encode())

    def keep(self, visit: Visit, session: Session, response: Response) -> None:
        """Set the session's cookie."""
        secure = visit.request.url.scheme == "https"
        response.set_cookie(self._cookie, session.token, httponly=True, secure=secure, samesite="lax", max_age=43200)

    def forget(self, response: Response) -> None:
        """Take the session's cookie away."""
        response.delete_cookie(self._cookie)

    def speak(self, language: str, response: Response) -> None:
        """Remember the language that was chosen."""
        if language in LANGUAGES:
            response.set_cookie(_LANGUAGE, language, samesite="lax", max_age=365 * 86400)


def _language(request: Request) -> Language:
    chosen = request.cookies.get(_LANGUAGE)
    if chosen not in LANGUAGES:
        chosen = "en" if request.headers.get("accept-language", "zh").lower().startswith("en") else "zh"
    return cast(Language, chosen)


def _headers(elsewhere: list[str]) -> dict[str, str]:
    policy = (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        f"base-uri 'none'; frame-ancestors 'none'; form-action 'self' {' '.join(elsewhere)}"
    )
    return {
        "Content-Security-Policy": policy.strip(),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
