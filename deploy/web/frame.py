"""The frame of all pages: templates, language, forms that nobody else can send, headers that let nothing else in."""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, NamedTuple, Protocol, TypeVar, cast
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from deploy.web.bounds import MOST_BYTES, allow
from deploy.web.trouble import Forbidden, SignInFirst, Trouble
from deploy.web.words import LANGUAGES, Language, Words

__all__ = ["Frame", "Size", "Visit", "go", "local"]

_HERE: Final = Path(__file__).parent
_LANGUAGE: Final = "language"
_STAYS_SECONDS: Final = 43200


class Size(NamedTuple):
    """How large a form may be."""

    most_bytes: int
    most_fields: int


_USUAL: Final = Size(MOST_BYTES, 1000)
_FORM: Final = "application/x-www-form-urlencoded"
_REFUSALS: Final = {400: "not_read", 404: "not_found", 405: "not_asked_so", 408: "too_slow", 413: "too_large"}


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
        static = StaticFiles(directory=_HERE / "static")
        app.mount("/static", static, name="static")
        self._pages: set[Any] = {static}
        """What serves people, of all that the application serves."""
        app.add_exception_handler(HTTPException, self._refused)
        app.add_exception_handler(Exception, self._failed)

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
            return await self._answer(request, handler)

        self._pages.add(serve)
        self._app.add_api_route(path, serve, methods=["GET"], include_in_schema=False)

    def post(
        self, path: str, handler: Callable[[V], Awaitable[Response]], *, public: bool = False, size: Size = _USUAL
    ) -> None:
        """Take a form of this size at most. ``public``: it comes from elsewhere and proves itself in another way."""

        async def take(visit: V) -> Response:
            if not public:
                _check_sender(visit)
            visit.form = await _form(visit.request, size)
            if not public:
                _check_form(visit)
            return await handler(visit)

        async def serve(request: Request) -> Response:
            return await self._answer(request, take)

        self._pages.add(serve)
        self._app.add_api_route(path, serve, methods=["POST"], include_in_schema=False)

    async def _refused(self, request: Request, error: Exception) -> Response:
        """What the application refuses before a page is asked, or while a form is read, is told on a page too."""
        assert isinstance(error, HTTPException)
        endpoint, status = request.scope.get("endpoint"), error.status_code
        if endpoint is not None and endpoint not in self._pages:
            return await http_exception_handler(request, error)  # what machines ask is answered in their own way

        async def tell(visit: V) -> Response:
            return self.page(visit, "message.html", status, {"key": _REFUSALS.get(status, _REFUSALS[400])})

        response = await self._answer(request, tell)
        response.headers.update(error.headers or {})
        return response

    async def _failed(self, request: Request, _: Exception) -> Response:
        """A fault of ours; the error itself goes on, to the log."""
        visit = self.begin(request, self._words[_language(request)], FormData())
        response = self.page(visit, "message.html", 500, {"key": "unavailable"})
        response.headers.update(self._headers)
        return response

    async def _answer(self, request: Request, handler: Callable[[V], Awaitable[Response]]) -> Response:
        visit = self.begin(request, self._words[_language(request)], FormData())
        try:
            await self.recognise(visit, request.cookies.get(self._cookie))
            response = await handler(visit)
        except SignInFirst as error:
            response = _to_sign_in(visit) if request.method == "GET" else self._told(visit, error)
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


async def _form(request: Request, size: Size) -> FormData:
    """The form, which is of the one kind that our pages send. Raises ``HTTPException``."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise HTTPException(415)
    allow(request, size.most_bytes)
    try:
        form = await request.form(max_fields=size.most_fields, max_part_size=size.most_bytes)
    except HTTPException as error:
        # Starlette says 400 of too many fields, in words for a machine.
        raise HTTPException(413 if error.status_code == 400 else error.status_code) from None
    if any("\0" in name or "\0" in str(value) for name, value in form.multi_items()):
        raise HTTPException(400)
    return form


def _check_sender(visit: Visit[Any, Any]) -> None:
    """What can be known before the form is read: whether there is a session, and whether one of our pages sent it."""
    if not visit.csrf:
        raise Forbidden("form_is_old")
    if visit.request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("form_from_elsewhere")


def _check_form(visit: Visit[Any, Any]) -> None:
    if not hmac.compare_digest(visit.csrf.encode(), visit.text("csrf").encode()):
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
