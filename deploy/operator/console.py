"""The frame of the operator's page: sessions, and questions to services with the operator's token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from starlette.datastructures import FormData

from deploy.operator.linkage import Linkage
from deploy.operator.sessions import Session, Sessions
from deploy.operator.words import Words
from deploy.web import frame
from deploy.web.trouble import SignInFirst
from deploy.web.words import LANGUAGES

__all__ = ["Console", "Visit"]

_TEMPLATES: Final = Path(__file__).parent / "templates"


@dataclass
class Visit(frame.Visit[Words, Session]):
    """One request to the operator's page."""

    console: Console

    def signed_in(self) -> Session:
        """The session of the operator. Raises ``SignInFirst``."""
        if self.session is None or self.session.bearer is None:
            raise SignInFirst
        return self.session

    async def ask(self, service: str, path: str, **parameters: Any) -> dict[str, Any]:
        """A question to a service in the operator's name."""
        linkage = self.console.linkage
        return await self._as_operator(lambda bearer: linkage.ask(bearer, service, path, **parameters))

    async def tell(self, service: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """An order to a service in the operator's name."""
        return await self._as_operator(lambda bearer: self.console.linkage.tell(bearer, service, path, body))

    async def _as_operator(self, asked: Callable[[str], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        session = self.signed_in()
        try:
            return await asked(session.bearer or "")
        except SignInFirst:
            self.console.sessions.end(session)  # her token is one no longer
            raise

    def note(self, text: str, kind: str = "") -> None:
        """Show this note on the next page, since a form is answered by a redirection."""
        self.signed_in().notes.append((kind, text))

    def page(self, template: str, status: int = 200, **given: Any) -> Response:
        """An HTML page."""
        return self.console.page(self, template, status, given)


class Console(frame.Frame[Visit]):
    """All pages of the operator."""

    linkage: Linkage

    def __init__(self, app: FastAPI) -> None:
        super().__init__(app, _TEMPLATES, {language: Words(language) for language in LANGUAGES}, "session_operator")
        self.sessions = Sessions()

    def begin(self, request: Request, words: Words, form: FormData) -> Visit:
        """A visit without a session."""
        return Visit(request, words, form, self)

    async def recognise(self, visit: Visit, token: str | None) -> None:
        """The visit with the session of this cookie."""
        visit.session = self.sessions.find(token)

    def common(self, visit: Visit) -> dict[str, Any]:
        """Whether an operator signed in, and the notes to show once."""
        session = visit.session
        signed_in = session is not None and session.bearer is not None
        notes: list[tuple[str, str]] = []
        if session is not None and not visit.fragment:
            notes, session.notes = session.notes, []
        return {"brand": visit.words("brand"), "accent": "operator", "signed_in": signed_in, "notes": notes}
