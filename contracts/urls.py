"""Whether an HTTP client can ask at an address."""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["require_url"]


def require_url(text: str) -> None:
    """Raise ``ValueError`` for what no HTTP client can ask."""
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise ValueError("is no http://HOST:PORT, or https")
