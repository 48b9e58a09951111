"""The texts of the pages (``words.yaml``) in one language, and plain words for what the linkage says."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from contracts.messages.service import SHANGHAI

__all__ = ["CATEGORIES", "CITIES", "DISTRICTS", "LANGUAGES", "Language", "Words"]

Language = Literal["zh", "en"]
LANGUAGES: Final = ("zh", "en")

_HERE: Final = Path(__file__).parent


@cache
def _texts() -> dict[str, tuple[str, str]]:
    return yaml.safe_load((_HERE / "words.yaml").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


CATEGORIES: Final = {
    "city_safety": ("城市安全", "City safety"),
    "ecology": ("生态文明", "Ecology"),
    "community": ("社区治理", "Community"),
    "talent": ("人才培育", "Talent"),
    "demo_project": ("示范项目", "Demonstration"),
    "culture": ("文化服务", "Culture"),
}
CITIES: Final = {"440100": ("广州", "Guangzhou"), "440300": ("深圳", "Shenzhen")}
"""Cities by division code (GB/T 2260)."""
DISTRICTS: Final = {
    "440103": ("荔湾区", "Liwan"),
    "440104": ("越秀区", "Yuexiu"),
    "440105": ("海珠区", "Haizhu"),
    "440106": ("天河区", "Tianhe"),
    "440111": ("白云区", "Baiyun"),
    "440112": ("黄埔区", "Huangpu"),
    "440113": ("番禺区", "Panyu"),
    "440115": ("南沙区", "Nansha"),
    "440303": ("罗湖区", "Luohu"),
    "440304": ("福田区", "Futian"),
    "440305": ("南山区", "Nanshan"),
    "440306": ("宝安区", "Bao'an"),
    "440307": ("龙岗区", "Longgang"),
    "440309": ("龙华区", "Longhua"),
    "440310": ("坪山区", "Pingshan"),
}
_BANDS: Final = {
    "under_14": ("未满 14 岁", "under 14"),
    "14_to_15": ("14–15 岁", "14 to 15"),
    "16_to_17": ("16–17 岁", "16 to 17"),
    "adult": ("成年", "adult"),
}
_TABLES: Final = {"category": CATEGORIES, "district": DISTRICTS, "band": _BANDS}
_WEEKDAYS: Final = ("一二三四五六日", ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))


class Words:
    """All texts in one language; ``cities`` are the names of the registries' cities, by the registry's code."""

    def __init__(self, language: Language, cities: dict[str, tuple[str, str]]) -> None:
        self.language = language
        self._at = LANGUAGES.index(language)
        self._cities = cities

    def __call__(self, key: str, **given: Any) -> str:
        """The text of this key, with its gaps filled."""
        return _texts()[key][self._at].format(**given)

    def city(self, code: str) -> str:
        """The city of a registry."""
        found = self._cities.get(code)
        return code if found is None else found[self._at]

    def either(self, texts: tuple[str, str]) -> str:
        """The one of these two that is in this language."""
        return texts[self._at]

    def of(self, table: str, key: str | None) -> str:
        """A category, a district or an age band; one that has no name here is told as it is."""
        found = _TABLES[table].get(key or "")
        return (key or "") if found is None else found[self._at]

    def reason(self, word: str | None) -> str:
        """A reason in plain words; a new one is told as it is."""
        if not word:
            return ""
        key = f"reason_{word}"
        return self(key) if key in _texts() else self("reason_other", word=word)

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
