"""Every text that the pages ask for is there in both languages, and none is there for nothing."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
import yaml

import deploy.sandbox.web
from deploy.sandbox.web.hours import STOPS
from deploy.sandbox.web.words import Words

WEB = Path(deploy.sandbox.web.__file__).parent
TEXTS = yaml.safe_load((WEB / "words.yaml").read_text(encoding="utf-8"))
IN_CODE = re.compile(r"""(?:NotPossible|NotFound|Forbidden|words|self|key=)\(?"([a-z_]+)\"""")
FAMILIES = ("state_", "signup_", "reason_", "next_")
"""Keys put together from what the linkage says."""
NO_TEXTS = {"band"}
"""Names of tables, asked for by ``of``."""


def asked() -> set[str]:
    found = set(STOPS)
    for file in (WEB / "templates").iterdir():
        text = file.read_text(encoding="utf-8")
        for given in re.findall(r"\bt\(([^)]*)\)", text):
            found |= set(re.findall(r"'([a-z_]{2,})'", given))
        for given in re.findall(r"for kind, label in \((.*)\) %", text):
            found |= set(re.findall(r"'([a-z]+s)'", given))
    for source in WEB.glob("*.py"):
        text = source.read_text(encoding="utf-8")
        for pattern in (IN_CODE, re.compile(r'said, status = "([a-z_]+)"'), re.compile(r'page\(visit, "([a-z_]+)"')):
            found |= set(pattern.findall(text))
    return {key for key in found if not key.endswith("_")} - NO_TEXTS


def test_every_text_that_is_asked_for_is_there() -> None:
    assert asked() - TEXTS.keys() == set()


def test_no_text_is_there_for_nothing() -> None:
    assert {key for key in TEXTS if not key.startswith(FAMILIES)} - asked() == set()


@pytest.mark.parametrize("key", sorted(TEXTS))
def test_both_languages_have_the_same_gaps(key: str) -> None:
    chinese, english = ({name for _, name, _, _ in string.Formatter().parse(text) if name} for text in TEXTS[key])
    assert chinese == english
    assert all(TEXTS[key])


def test_minutes_moments_and_reasons_are_told_as_people_say_them() -> None:
    zh, en = (Words(language, {"gz": ("广州", "Guangzhou")}) for language in ("zh", "en"))
    assert (zh.duration(45), zh.duration(135), en.duration(135)) == ("45 分钟", "2 小时 15 分", "2 h 15 min")
    assert zh.moment("2026-07-05T17:30:00Z") == "7月6日 周一 01:30"
    assert en.moment("2026-07-05T17:30:00Z") == "Mon 06 Jul, 01:30"
    assert zh.reason("full") == "名额已满"
    assert "brand_new" in en.reason("brand_new")
    assert (zh.city("gz"), zh.city("xx"), zh.reason(None)) == ("广州", "xx", "")
