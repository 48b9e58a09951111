"""What the gate compares with: releases, the last change in place, the last commits; and the base's examples."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from contracts.tools import compatibility
from contracts.tools.compatibility import current

NOW = current()
PUBLISHED = Path(compatibility.__file__).parents[1] / "published"
CREDIT = "shuangcheng.deliveries.credit_posted.v1"


def _schema(name: str) -> dict[str, Any]:
    return copy.deepcopy(dict(NOW.schemas[name]))


class Linkage:
    """A repository of its own, with published contracts, their examples and a changelog."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(PUBLISHED, root / "contracts" / "published")
        shutil.copytree(PUBLISHED.parent / "examples", root / "contracts" / "examples")
        self.git("init", "-q")

    def git(self, *arguments: str) -> None:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *who, *arguments], cwd=self.root, check=True, capture_output=True)

    def commit(self) -> None:
        self.git("add", ".")
        self.git("commit", "-q", "--allow-empty", "-m", "a commit")

    def publish(self, rate: bool) -> None:
        """Publish CreditPosted with or without a field that today's code does not have."""
        file = self.root / "contracts" / "published" / "schemas" / f"{CREDIT}.json"
        schema = _schema(CREDIT)
        if rate:
            schema["properties"]["rate"] = {"type": "integer"}
        file.write_text(json.dumps(schema), "utf-8")

    def write_changelog(self, *changes: str) -> None:
        lines = "".join(f"- {change}\n" for change in changes)
        (self.root / "CHANGELOG.md").write_text(
            f"# Changelog\n\n## Unreleased\n\n### Contracts changed in place\n{lines}\n### Added\n- Anything.\n",
            "utf-8",
        )

    def gate(self) -> int:
        return compatibility.main([], self.root)


def test_a_break_against_a_release_is_found_however_many_commits_ago_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    linkage = Linkage(tmp_path)
    linkage.publish(rate=True)
    linkage.commit()
    linkage.git("tag", "v0.1.0")
    assert linkage.gate() == 1
    linkage.publish(rate=False)
    linkage.write_changelog("The rate is gone.")
    linkage.commit()
    linkage.commit()
    capsys.readouterr()
    assert linkage.gate() == 1
    told = capsys.readouterr().out
    assert f"v0.1.0: {len(NOW.schemas)} messages, 1 break\n" in told
    assert f"HEAD: {len(NOW.schemas)} messages, compatible" in told


def test_a_line_in_the_changelog_moves_the_base_and_the_break_is_still_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    linkage = Linkage(tmp_path)
    linkage.publish(rate=True)
    linkage.write_changelog()
    linkage.commit()
    assert linkage.gate() == 1
    linkage.write_changelog("The rate is gone.")
    capsys.readouterr()
    assert linkage.gate() == 0
    assert f"  {CREDIT}/rate: field removed" in capsys.readouterr().out
    linkage.publish(rate=False)
    linkage.commit()
    assert linkage.gate() == 0


def test_a_break_after_the_base_was_moved_is_found_two_commits_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    linkage = Linkage(tmp_path)
    linkage.publish(rate=True)
    linkage.write_changelog("The rate has come.")
    linkage.commit()
    linkage.publish(rate=False)
    linkage.commit()
    linkage.commit()
    capsys.readouterr()
    assert linkage.gate() == 1
    assert capsys.readouterr().out.count(f"{CREDIT}/rate: field removed") == 1


def test_a_line_about_anything_else_moves_no_base(tmp_path: Path) -> None:
    linkage = Linkage(tmp_path)
    linkage.publish(rate=True)
    linkage.write_changelog()
    linkage.commit()
    file = tmp_path / "CHANGELOG.md"
    file.write_text(
        file.read_text("utf-8") + "- Another thing.\n\n## 0.1.0\n\n### Contracts changed in place\n- Old.\n"
    )
    assert linkage.gate() == 1


def test_what_was_valid_in_the_base_is_decoded_and_what_was_refused_is_refused_still(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A record over midnight is refused by a rule between two fields: no schema has it."""
    linkage = Linkage(tmp_path)
    folder = tmp_path / "contracts" / "examples" / CREDIT
    (folder / "invalid-record-over-midnight.json").rename(folder / "valid-record-over-midnight.json")
    (folder / "valid-first-credit.json").rename(folder / "invalid-first-credit.json")
    linkage.commit()
    assert linkage.gate() == 1
    told = capsys.readouterr().out
    assert f"{CREDIT}/valid-record-over-midnight.json: was valid, is refused (schema: " in told
    assert f"{CREDIT}/invalid-first-credit.json: was refused, is valid" in told
