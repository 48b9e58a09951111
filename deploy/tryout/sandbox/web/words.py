"""The texts of the pages (``words.yaml``) in one language, and plain words for the linkage's terms."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from deploy.web import words
from deploy.web.words import SHARED, Language

__all__ = ["CATEGORIES", "CITIES", "DISTRICTS", "TEXTS", "Words"]

TEXTS: Final = Path(__file__).parent / "words.yaml"
"""The texts of a sandbox's pages."""


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


class Words(words.Words):
    """All texts in one language. ``cities``: the names of the registries' cities, by the registry's code."""

    def __init__(self, language: Language, cities: dict[str, tuple[str, str]]) -> None:
        super().__init__(language, words.texts(SHARED, TEXTS))
        self._cities = cities

    def city(self, code: str) -> str:
        """The city of a registry."""
        found = self._cities.get(code)
        return code if found is None else self.either(found)

    def of(self, table: str, key: str | None) -> str:
        """The name of a category, a district or an age band. A value without a name here is shown as it is."""
        found = _TABLES[table].get(key or "")
        return (key or "") if found is None else self.either(found)
