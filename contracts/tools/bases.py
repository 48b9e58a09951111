"""Earlier editions of the contracts, to compare with: from a folder, or from a revision in git."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from contracts.tools.schema_breaks import Schema

__all__ = ["Edition", "Repository", "from_folder", "in_place"]

_CHANGELOG: Final = "CHANGELOG.md"
_HEADING: Final = "### Contracts changed in place"


@dataclass(frozen=True, slots=True)
class Edition:
    """The contracts at one time: schemas by type name, topic entries, examples by ``<type>/<case>.json``."""

    schemas: Mapping[str, Schema]
    topics: tuple[Mapping[str, Any], ...]
    examples: Mapping[str, bytes] = field(default_factory=dict)


def from_folder(folder: Path) -> Edition:
    """Read a published folder, and the examples beside it. Raises ``FileNotFoundError`` when it is none."""
    (folder / "topics.json").stat()
    return _edition(
        {
            f"{part}/{path.relative_to(home).as_posix()}": path.read_bytes()
            for part, home in (("published", folder), ("examples", folder.parent / "examples"))
            for path in home.rglob("*.json")
        }
    )


def in_place(changelog: str) -> str:
    """The changes in place that a changelog names under Unreleased. A further line there moves the base of the gate."""
    unreleased = changelog.partition("\n## ")[2].partition("\n## ")[0]
    return unreleased.partition(_HEADING)[2].partition("\n##")[0].strip()


@dataclass(frozen=True, slots=True)
class Repository:
    """Where revisions are read. Without git, and without a history, there is none."""

    root: Path

    def edition(self, revision: str) -> Edition | None:
        """What was published at the revision, or None when nothing was."""
        archive = self._git("archive", "--format=tar", revision, "contracts")
        if archive is None:
            return None
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            files = [(member.name, tar.extractfile(member)) for member in tar if member.name.endswith(".json")]
            found = {name.removeprefix("contracts/"): file.read() for name, file in files if file}
        return _edition(found) if "published/topics.json" in found else None

    def release(self) -> str | None:
        """The newest tag of a release."""
        tag = self._git("describe", "--tags", "--abbrev=0", "--match", "v*")
        return tag.decode().strip() if tag else None

    def changes_in_place(self, revision: str | None = None) -> str:
        """What the changelog says of changes in place, at a revision or, without one, in the folder."""
        if revision is not None:
            return in_place((self._git("show", f"{revision}:{_CHANGELOG}") or b"").decode())
        file = self.root / _CHANGELOG
        return in_place(file.read_text("utf-8") if file.is_file() else "")

    def last_moved(self) -> str | None:
        """The oldest revision from which on the changelog names the same changes in place as now: the base stays there.

        None when it names none, or when the newest change is not committed yet.
        """
        now = self.changes_in_place()
        base = None
        for revision in self._revisions() if now else ():
            if self.changes_in_place(revision) != now:
                break
            base = revision
        return base

    def _revisions(self) -> Iterator[str]:
        yield from (self._git("log", "--format=%h", "--", _CHANGELOG) or b"").decode().split()

    def _git(self, *arguments: str) -> bytes | None:
        """Give what git prints, or None when it fails or is not there."""
        try:
            done = subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, check=False)  # noqa: S603, S607
        except FileNotFoundError:
            return None
        return done.stdout if done.returncode == 0 else None


def _edition(files: Mapping[str, bytes]) -> Edition:
    schemas, examples = {}, {}
    for name, text in sorted(files.items()):
        path = Path(name)
        if path.parent.as_posix() == "published/schemas":
            schemas[path.stem] = json.loads(text)
        elif name.startswith("examples/") and path.parent.as_posix() != "examples":
            examples[name.removeprefix("examples/")] = text
    return Edition(schemas, tuple(json.loads(files["published/topics.json"])), examples)
