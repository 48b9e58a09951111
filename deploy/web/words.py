"""Texts in one language, from YAML files of ``key: [Chinese, English]`` and from the list of reasons, and moments as
people say them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from contracts.messages.service import SHANGHAI
from contracts.reasons import REASONS, words_of

__all__ = ["LANGUAGES", "SHARED", "Language", "Words", "texts"]

Language = Literal["zh", "en"]
LANGUAGES: Final = ("zh", "en")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""In C where it is there: it takes a tenth of the time, of which a start has little."""
SHARED: Final = Path(__file__).parent / "words.yaml"
"""Texts of the frame that all pages have."""

_WEEKDAYS: Final = ("一二三四五六日", ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))


@cache
def texts(*files: Path) -> Mapping[str, Sequence[str]]:
    """All texts of these files, and ``reason_…`` of every reason of the list; a key stands in one of them only."""
    found: dict[str, Sequence[str]] = {f"reason_{code}": words_of(code) for code in REASONS}
    for file in files:
        more = yaml.load(file.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - a safe loader
        if twice := found.keys() & more.keys():
            raise ValueError(f"{file}: {', '.join(sorted(twice))} stands elsewhere already")
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

    def either(self, texts: Sequence[str]) -> str:
        """The one of these two that is in this language."""
        return texts[self._at]

    def reason(self, word: str | None) -> str:
        """A reason in the words of the list; one that is not on it is told as its code."""
        return self.either(words_of(word)) if word else ""

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
