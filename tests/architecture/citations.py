"""What the text of a file cites: rules, promises, rows of the journey, records of decisions, documents; and what of it
leads nowhere.

A folder is whole by itself: ``Tree`` reads it once, and everything cited has to be in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Final

__all__ = ["Tree", "cites_anything", "numbers"]

_NUMBERS = r"(\d+(?:\s*(?:-|–|to|,|and|or)\s*\d+)*)"
_NUMBERED: Final = re.compile(rf"\b(rule|promise|row)s?\s+(?:no\.?\s+)?{_NUMBERS}\b", re.IGNORECASE)
_SECTION: Final = re.compile(r"§+\s*(\d+(?:\.\d+)*)")
_OF_DECISIONS: Final = re.compile(r"(?:([a-z_/]+)/)?DECISIONS(?:\.md)?`?,?\s*$")
_OF_A_STANDARD: Final = re.compile(r"\bRFC \d+,?\s*$")
_AND_MORE: Final = re.compile(r"§\s*\d+(?:\.\d+)*\s*(?:,|and|to|-|or)\s*$")
_DOCUMENT: Final = re.compile(r"(?<![\w*<}])[\w./-]*\w\.md\b")
_MODULE: Final = re.compile(r"(?<![\w*<{}./:-])[a-z_][\w/]*\.(?:py|sql)\b")
_OUTSIDE: Final = re.compile(r"\bDESIGN\b|\b[Tt]he design\b")
_KINDS: Final = {".py", ".md", ".sql", ".yaml", ".yml", ".toml", ".json", ".html", ".css", ".ini", ""}
_SKIPPED: Final = {"vendor", "lock", "__pycache__", "build", "published", "examples", "pictures"}
_TOP: Final = ("contracts", "services", "deploy", "tests", ".ci")


def numbers(text: str) -> list[int]:
    """``38-40, 80`` as 38, 39, 40, 80."""
    found: list[int] = []
    for part in re.split(r",|and|or", text):
        first, _, last = re.sub(r"–|to", "-", part).partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def cites_anything(text: str) -> bool:
    """Whether this text cites a rule, a promise, a row, a section or a document."""
    forms = (_NUMBERED, _SECTION, _DOCUMENT, _OUTSIDE, re.compile(r"\b(DECISIONS|RULES|GLOSSARY|README)\b"))
    return any(form.search(text) for form in forms)


class Tree:
    """The project's texts under ``root``, and what they may cite."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def files(self) -> list[Path]:
        """All that a person may have written, apart from what is published or comes from elsewhere."""
        found = [path for path in self.root.iterdir() if path.is_file()]
        for top in _TOP:
            found += (self.root / top).rglob("*")
        return sorted(path for path in found if self._is_read(path))

    def _is_read(self, path: Path) -> bool:
        parts = path.relative_to(self.root).parts
        return path.is_file() and path.suffix in _KINDS and _SKIPPED.isdisjoint(parts) and parts[-1] != ".git"

    @cached_property
    def _names(self) -> set[str]:
        """Every path of the tree, and each of its ends that begins at a folder's or file's name."""
        ends: set[str] = set()
        for path in self.files:
            parts = path.relative_to(self.root).parts
            ends.update("/".join(parts[start:]) for start in range(len(parts)))
        return ends

    @cached_property
    def numbered(self) -> dict[str, set[int]]:
        """The numbers that exist, by what is numbered."""
        rules = self._text("contracts/RULES.md")
        journey = self._text("contracts/journey.py")
        unbuilt = {int(number) for number in re.findall(r"\b[Rr]ow (\d+)", journey)}
        return {
            "rule": {int(number) for number in re.findall(r"^\*\*Rule (\d+)\.", rules, re.MULTILINE)},
            "promise": {int(number) for number in re.findall(r"^\| (\d+) \|", rules, re.MULTILINE)},
            "row": {int(number) for number in re.findall(r"Step\(\s*(\d+),", journey)} | unbuilt,
        }

    @cached_property
    def decisions(self) -> dict[Path, list[int]]:
        """The numbers of decisions, by the folder in which they are recorded."""
        return {
            path.parent: [int(number) for number in re.findall(r"^## (\d+)\. ", path.read_text("utf-8"), re.MULTILINE)]
            for path in self.files
            if path.name == "DECISIONS.md"
        }

    def dangling(self) -> list[str]:
        """Each citation that leads nowhere, as ``file:line: citation``."""
        found = []
        for path in self.files:
            text = path.read_text("utf-8")
            for start, cited in self._nowhere(path, text):
                line = text.count("\n", 0, start) + 1
                found.append(f"{path.relative_to(self.root)}:{line}: {cited}")
        return found

    def _nowhere(self, path: Path, text: str) -> Iterator[tuple[int, str]]:
        for match in _NUMBERED.finditer(text):
            if not self.numbered[match[1].lower()].issuperset(numbers(match[2])):
                yield match.start(), match[0]
        for match in _SECTION.finditer(text):
            if not self._section_is_there(path, text, match):
                yield match.start(), match[0]
        forms = (_DOCUMENT, _MODULE) if path.suffix == ".md" else (_DOCUMENT,)
        for form in forms:
            for match in form.finditer(text):
                if not self._document_is_there(path, match[0]):
                    yield match.start(), match[0]
        for match in _OUTSIDE.finditer(text):
            yield match.start(), match[0]

    def _section_is_there(self, path: Path, text: str, match: re.Match[str]) -> bool:
        before = text[max(0, match.start() - 80) : match.start()]
        while (more := _AND_MORE.search(before)) is not None:  # two numbers after one name are of one document
            before = before[: more.start()]
        if _OF_A_STANDARD.search(before):
            return True
        document = _OF_DECISIONS.search(before)
        if document is None and path.name != "DECISIONS.md":
            return False
        folder = document[1] if document is not None else None
        places = [path.parent] if folder is None else [self.root / folder, self.root / "services" / folder]
        return any(int(match[1].partition(".")[0]) in self.decisions.get(place, ()) for place in places)

    def _document_is_there(self, path: Path, name: str) -> bool:
        return name.lstrip("./") in self._names or (path.parent / name).is_file()

    def _text(self, name: str) -> str:
        return (self.root / name).read_text("utf-8")
