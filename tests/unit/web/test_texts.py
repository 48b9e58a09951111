"""Every text that pages ask for is there in both languages, and none is there for nothing."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

import deploy.operator
import deploy.tryout.sandbox.web
import deploy.web
from deploy.operator.words import TEXTS as OPERATORS
from deploy.operator.words import Words as OperatorWords
from deploy.tryout.sandbox.web.hours import STOPS
from deploy.tryout.sandbox.web.words import TEXTS as SANDBOXES
from deploy.tryout.sandbox.web.words import Words
from deploy.web.words import SHARED, texts

FRAME = Path(deploy.web.__file__).parent
APPS = {SANDBOXES: Path(deploy.tryout.sandbox.web.__file__).parent, OPERATORS: Path(deploy.operator.__file__).parent}
IN_CODE = (
    re.compile(r"""(?:NotPossible|NotFound|NotReached|Forbidden|words|self|key=|__init__)\(?"([a-z_]+)\""""),
    re.compile(r'"key": "([a-z_]+)"'),
    re.compile(r'return "([a-z_]+)" if .* else "[a-z_]+"'),
    re.compile(r'return "[a-z_]+" if .* else "([a-z_]+)"'),
    re.compile(r'said, status = "([a-z_]+)"'),
    re.compile(r'page\(visit, "([a-z_]+)"'),
    re.compile(r'\b4\d\d: "([a-z_]+)"'),
    re.compile(r'_answer\(.*, "([a-z_]+)"\)'),
    re.compile(r'_change\(visit, "[a-z]+", "([a-z_]+)"'),
)
FAMILIES = ("state_", "signup_", "reason_", "next_", "cap_")
"""Keys put together from what the linkage says."""
NO_TEXTS = {"band", "session_operator"}
"""Names of tables and cookies."""


def asked(folder: Path) -> set[str]:
    found = set(STOPS) if folder == APPS[SANDBOXES] else set()
    for file in (folder / "templates").iterdir():
        text = file.read_text(encoding="utf-8")
        for given in re.findall(r"\bt\(([^)]*)\)", text):
            found |= set(re.findall(r"'([a-z_]{2,})'", re.sub(r"[=!]= *'[a-z_]+'", "", given)))
        for given in re.findall(r"for kind, label in \((.*)\) %", text):
            found |= set(re.findall(r"'([a-z]+s)'", given))
        for state in re.findall(r"set (?:state|what) = ([^%]*) %", text):
            found |= set(re.findall(r"'([a-z]+)'", state))
    for source in folder.glob("*.py"):
        text = source.read_text(encoding="utf-8")
        for pattern in IN_CODE:
            found |= set(pattern.findall(text))
    return {key for key in found if not key.endswith("_")} - NO_TEXTS


@pytest.mark.parametrize("own", APPS, ids=["sandbox", "operator"])
def test_every_text_that_is_asked_for_is_there(own: Path) -> None:
    assert (asked(APPS[own]) | asked(FRAME)) - texts(SHARED, own).keys() == set()


@pytest.mark.parametrize("own", APPS, ids=["sandbox", "operator"])
def test_no_text_is_there_for_nothing(own: Path) -> None:
    also = {"active", "closed", "left"} if own == OPERATORS else set()  # what a registry's file says of it
    assert {key for key in texts(own) if not key.startswith(FAMILIES)} - asked(APPS[own]) - asked(FRAME) - also == set()


def test_no_text_of_the_frame_is_there_for_nothing() -> None:
    everywhere = set.union(asked(FRAME), *map(asked, APPS.values())) | {"minutes", "hours_minutes"}
    assert {key for key in texts(SHARED) if not key.startswith(FAMILIES)} - everywhere == set()


@pytest.mark.parametrize("file", [SHARED, *APPS], ids=["frame", "sandbox", "operator"])
def test_both_languages_have_the_same_gaps(file: Path) -> None:
    for key, both in texts(file).items():
        chinese, english = ({name for _, name, _, _ in string.Formatter().parse(text) if name} for text in both)
        assert chinese == english, key
        assert all(both), key


@pytest.mark.parametrize("key", ["skip", "reason_full"])
def test_a_text_that_stands_elsewhere_already_is_refused(tmp_path: Path, key: str) -> None:
    """The words of a reason are the list's: pages had two sets of their own, which differed."""
    other = tmp_path / "words.yaml"
    other.write_text(f'{key}: ["一", "one"]\n')
    with pytest.raises(ValueError, match=f"{key} stands elsewhere"):
        texts(SHARED, other)


def test_minutes_moments_and_reasons_are_told_as_people_say_them() -> None:
    zh, en = (Words(language, {"gz": ("广州", "Guangzhou")}) for language in ("zh", "en"))
    assert (zh.duration(45), zh.duration(135), en.duration(135)) == ("45 分钟", "2 小时 15 分", "2 h 15 min")
    assert zh.moment("2026-07-05T17:30:00Z") == "7月6日 周一 01:30"
    assert en.moment("2026-07-05T17:30:00Z") == "Mon 06 Jul, 01:30"
    assert (zh.reason("full"), zh("reason_full")) == ("名额已满", "名额已满")
    assert ("brand_new" in zh.reason("brand_new"), "brand_new" in en.reason("brand_new")) == (True, True)
    assert (zh.city("gz"), zh.city("xx"), zh.reason(None)) == ("广州", "xx", "")


def test_spans_of_time_are_told_to_two_figures() -> None:
    zh, en = OperatorWords("zh"), OperatorWords("en")
    assert [en.seconds(one) for one in (None, 0.25, 59.6, 600, 9000, 200_000)] == [
        "—", "0.2 s", "60 s", "10 min", "2 h 30 min", "2 days",
    ]  # fmt: skip
    assert (zh.seconds(600), zh.age(None)) == ("10 分钟", "—")
    assert en.age("2020-01-01T00:00:00Z").endswith("days")
