"""The texts of the operator's page."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from deploy.web import words
from deploy.web.words import SHARED, Language

__all__ = ["TEXTS", "Words"]

TEXTS: Final = Path(__file__).parent / "words.yaml"


class Words(words.Words):
    """All texts in one language."""

    def __init__(self, language: Language) -> None:
        super().__init__(language, words.texts(SHARED, TEXTS))

    def seconds(self, seconds: float | None) -> str:
        """A span of time, rounded to about two digits; a dash for None."""
        if seconds is None:
            return "—"
        if seconds < 10:
            return self("seconds", n=f"{seconds:.1f}")
        if seconds < 120:
            return self("seconds", n=round(seconds))
        if seconds < 2 * 86400:
            return self.duration(round(seconds / 60))
        return self("days", n=round(seconds / 86400))

    def age(self, since: str | None) -> str:
        """How long ago this moment was; a dash for None."""
        if since is None:
            return "—"
        return self.seconds(max(0.0, (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()))
