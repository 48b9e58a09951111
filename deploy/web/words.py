"""Texts in one language, from YAML files of ``key: [Chinese, English]``, and moments as people say them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from contracts.messages.service import SHANGHAI

__all__ = ["LANGUAGES", "SHARED", "Language", "Words", "texts"]

Language = Literal["zh", "en"]
LANGUAGES: Final = ("zh", "en")
SHARED: Final = Path(__file__).parent / "words.yaml"
"""Texts of the frame that all pages have."""

_WEEKDAYS: Final = ("一二三四五六日", ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))


@cache
def texts(*files: Path) -> Mapping[str, Sequence[str]]:
    """All texts of these files; a key stands in one of them only."""
    found: dict[str, Sequence[str]] = {}
    for file in files:
        more = yaml.safe_load(file.read_text(encoding="utf-8"))
        if twice := found.keys() & more.keys():
            raise ValueError(f"{file}: {', '.join(sorted(twice))} stands in another file already")
        found |= more
    return found


class Words:
    """Texts in one language."""

    def __init__(self, language: Language, texts: Mapping[str, Sequence[str]]) -> None:
        self.language = language
        self._at = LANGUAGES.index(language)
        self._texts = texts

    def __call__(self, key: str, **given: Any) -> str:
        """The text of this key, with its gaps filled."""
        return self._texts[key][self._at].format(**given)

    def has(self, key: str) -> bool:
        """Whether there is a text of this key."""
        return key in self._texts

    def either(self, texts: Sequence[str]) -> str:
        """The one of these two that is in this language."""
        return texts[self._at]

    def reason(self, word: str | None) -> str:
        """A reason in plain words; a new one is told as it is."""
        if not word:
            return ""
        key = f"reason_{word}"
        return self(key) if self.has(key) else self("reason_other", word=word)

    def duration(self, minutes: int) -> str:
        """Minutes as people say them."""
        if abs(minutes) < 60:
            return self("minutes", n=minutes)
        return self("hours_minutes", h=minutes // 60, m=minutes % 60)

    def moment(self, at: datetime | str | None) -> str:
        """Day and time in Shanghai."""
        if at is None:
            return "—"
        local = (datetime.fromisoformat(at) if isinstance(at, str) else at).astimezone(SHANGHAI)
        if self.language == "zh":
            return f"{local.month}月{local.day}日 周{_WEEKDAYS[0][local.weekday()]} {local:%H:%M}"
        return f"{_WEEKDAYS[1][local.weekday()]} {local:%d %b, %H:%M}"

    def clock(self, at: datetime | str) -> str:
        """The time of day in Shanghai."""
        return f"{(datetime.fromisoformat(at) if isinstance(at, str) else at).astimezone(SHANGHAI):%H:%M}"
