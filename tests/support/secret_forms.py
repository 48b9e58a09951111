"""A client without a browser that keeps cookies and knows its forms' secret, as a forger would."""

from __future__ import annotations

import re
from types import TracebackType

import httpx

__all__ = ["SecretForms"]


class SecretForms:
    """For ``async with``; ``csrf`` is the secret of the page opened last."""

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.http = httpx.AsyncClient(base_url=url, transport=transport, trust_env=False)
        self.csrf = ""

    async def __aenter__(self) -> SecretForms:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def open(self, path: str) -> httpx.Response:
        """Look at a page."""
        answer = await self.http.get(path)
        if found := re.search(r'name="csrf" value="([^"]+)"', answer.text):
            self.csrf = found[1]
        return answer

    async def send(self, path: str, **form: str) -> httpx.Response:
        """Send a form, with its secret unless another one is given."""
        return await self.http.post(path, data={"csrf": self.csrf} | form)
