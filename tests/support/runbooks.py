"""The commands of deploy/RUNBOOKS.md, as they stand there."""

from __future__ import annotations

import re
from typing import Final

from tests.support.compose import ROOT

__all__ = ["commands"]

_FENCE: Final = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(title: str) -> list[str]:
    """Every command of a section, in order; they name $BACKUP, $NAME and the like."""
    text = (ROOT / "deploy" / "RUNBOOKS.md").read_text(encoding="utf-8")
    _, found, section = text.partition(f"\n## {title}\n")
    assert found, f"there is no section {title!r}"
    blocks = _FENCE.findall(section.partition("\n## ")[0])
    return [line for block in blocks for line in block.splitlines() if line]
