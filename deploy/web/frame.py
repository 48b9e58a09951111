"""The frame of all pages: templates, language, forms that nobody else can send, headers that let nothing else in."""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar, cast
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import FormData

from deploy.web.trouble import Forbidden, NotFound, SignInFirst, Trouble
from deploy.web.words import LANGUAGES, Language, Words

__all__ = ["Frame", "Visit", "go", "local"]

_HERE: Final = Path(__file__).parent
_LANGUAGE: Final = "language"
_MOST_BYTES: Final = 64 * 1024
_STAYS_SECONDS: Final = 43200


class Session(Protocol):
    """A browser that comes again."""

    @property
    def csrf(self) -> str:
        """The secret that its forms carry."""


W = TypeVar("W", bound=Words)
S = TypeVar("S", bound=Session)
V = TypeVar("V", bound="Visit[Any, Any]")


@dataclass
class Visit(Generic[W, S]):
    """One request as the pages see it: in which language, with which form, and of which session, once recognised."""

    request: Request
    words: W
    form: FormData
    session: S | None = field(default=None, kw_only=True)

    @property
    def csrf(self) -> str:
        """The secret that this session's forms carry; empty where there is no session."""
        return "" if self.session is None else self.session.csrf

    @property
    def fragment(self) -> bool:
        """Whether htmx asks, which renews a part of a page."""
        return self.request.headers.get("hx-request") == "true"

    @property
    def address(self) -> str:
        """Where the request came from, behind trusted proxies; of IPv6 the network, since a house has many numbers."""
        host = self.request.client.host if self.request.client else ""
        try:
            address = ip_address(host)
        except ValueError:
            return host
        return host if address.version == 4 else str(ip_network((address, 64), strict=False))

    def text(self, name: str) -> str:
        """A field of the form, trimmed; empty where it is missing."""
        value = self.form.get(name, "")
        return value.strip()[:300] if isinstance(value, str) else ""


def go(to: str) -> Response:
    """After a form was taken: so that reload and the back button repeat nothing."""
    return RedirectResponse(to, status_code=303)


def local(to: str) -> str:
    """The page of ours that this names, or the first one."""
    ours = to.startswith("/") and not to.startswith("//") and "\\" not in to and to.isprintable()
    return to if ours else "/"


class Frame(ABC, Generic[V]):
    """Routes of pages on an app. Every form carries its session's secret; only ``public`` ones need none."""

    outages: ClassVar[tuple[type[Exception], ...]] = (OSError,)
    """What says that the pages cannot work at present."""

    def __init__(
        self, app: FastAPI, templates: Path, words: Mapping[Language, Any], cookie: str, posts_to: Iterable[str] = ()
    ) -> None:
        self._app, self._words, self._cookie = app, words, cookie
        self._templates = Environment(
            loader=FileSystemLoader([templates, _HERE / "templates"]), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._headers = _headers(posts_to)
        app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")

    @abstractmethod
    def begin(self, request: Request, words: Any, form: FormData) -> V:
        """The visit, before anything is known of who asks."""

    @abstractmethod
    async def recognise(self, visit: V, token: str | None) -> None:
        """Enter the session that this cookie stands for. Raises ``Trouble`` and ``outages``."""

    @abstractmethod
    def common(self, visit: V) -> dict[str, Any]:
        """What every template of these pages is given."""

    def get(self, path: str, handler: Callable[[V], Awaitable[Response]]) -> None:
        """Serve a page."""

        async def serve(request: Request) -> Response:
            return await self._answer(request, handler, None)

        self._app.add_api_route(path, serve, methods=["GET"], include_in_schema=False)

    def post(self, path: str, handler: Callable[[V], Awaitable[Response]], *, public: bool = False) -> None:
        """Take a form. ``public``: it comes from elsewhere and proves itself in another way."""

        async def serve(request: Request) -> Response:
            if int(request.headers.get("content-length") or 0) > _MOST_BYTES:
                return Response(status_code=413)
            return await self._answer(request, handler, await request.form(), public=public)

        self._app.add_api_route(path, serve, methods=["POST"], include_in_schema=False)

    def nothing_else(self) -> None:
        """Every other address has a page that says that there is none."""

        async def unknown(visit: V) -> Response:
            raise NotFound("not_found")

        self.get("/{path:path}", unknown)

    async def _answer(
        self,
        request: Request,
        handler: Callable[[V], Awaitable[Response]],
        form: FormData | None,
        *,
        public: bool = False,
    ) -> Response:
        visit = self.begin(request, self._words[_language(request)], form or FormData())
        try:
            await self.recognise(visit, request.cookies.get(self._cookie))
            if form is not None and not public:
                _check_form(visit)
            response = await handler(visit)
        except SignInFirst as error:
            response = _to_sign_in(visit) if form is None else self._told(visit, error)
        except Trouble as error:
            response = self._told(visit, error)
        except self.outages:
            response = self.page(visit, "message.html", 503, {"key": "unavailable"})
        response.headers.update(self._headers)
        return response

    def _told(self, visit: V, error: Trouble) -> Response:
        return self.page(visit, "message.html", error.status, {"key": str(error)})

    def page(self, visit: V, template: str, status: int, given: Mapping[str, Any]) -> HTMLResponse:
        """Render a template."""
        path = visit.request.url.path
        # The language is changed on this page where it can be asked for again, and not where a form was sent to.
        here = path if visit.request.method == "GET" else "/"
        common = {"t": visit.words, "csrf": visit.csrf, "path": path, "here": here, "notes": ()} | self.common(visit)
        return HTMLResponse(self._templates.get_template(template).render(**common, **given), status_code=status)

    def keep(self, visit: V, token: str, response: Response) -> None:
        """Set the session's cookie."""
        secure = visit.request.url.scheme == "https"
        response.set_cookie(
            self._cookie, token, httponly=True, secure=secure, samesite="lax", max_age=_STAYS_SECONDS
        )  # fmt: skip

    def forget(self, response: Response) -> None:
        """Take the session's cookie away."""
        response.delete_cookie(self._cookie)

    async def speak(self, visit: V) -> Response:
        """The other language, on the page where it was asked for: the form of ``frame.html``."""
        response, language = go(local(visit.text("to"))), visit.text("language")
        if language in LANGUAGES:
            response.set_cookie(_LANGUAGE, language, samesite="lax", max_age=365 * 86400)
        return response


def _to_sign_in(visit: Visit[Any, Any]) -> Response:
    # A part of a page that is renewed must not become a sign-in page within the page.
    if visit.fragment:
        return Response(headers={"HX-Redirect": "/sign-in"})
    asked = visit.request.url
    to = asked.path + (f"?{asked.query}" if asked.query else "")
    return go("/sign-in" if to == "/" else f"/sign-in?to={quote(to, safe='/')}")


def _check_form(visit: Visit[Any, Any]) -> None:
    if not visit.csrf or not hmac.compare_digest(visit.csrf.encode(), visit.text("csrf").encode()):
        raise Forbidden("form_is_old")


def _language(request: Request) -> Language:
    chosen = request.cookies.get(_LANGUAGE)
    if chosen not in LANGUAGES:
        chosen = "en" if request.headers.get("accept-language", "zh").lower().startswith("en") else "zh"
    return cast(Language, chosen)


def _headers(posts_to: Iterable[str]) -> dict[str, str]:
    policy = (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        f"base-uri 'none'; frame-ancestors 'none'; form-action 'self' {' '.join(posts_to)}"
    )
    return {
        "Content-Security-Policy": policy.strip(),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
