"""The command `shuangcheng`: our own packages are loaded, whatever else is on PYTHONPATH.

Their names are common ones. A PYTHONPATH with a folder `deploy` of another project would be searched before us, and
that project's code would be run.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["main"]

_OURS = ("contracts", "services", "deploy")


def main() -> None:
    """Run the command line, without those parts of PYTHONPATH that hold packages of our names."""
    here = Path(__file__).resolve().parent
    sys.path[:] = [part for part in sys.path if not _is_foreign(part, here)]
    from deploy.cli.main import main as run

    run()


def _is_foreign(part: str, here: Path) -> bool:
    if part not in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        return False
    folder = Path(part)
    return folder.resolve() != here and any((folder / f"{name}{end}").exists() for name in _OURS for end in ("", ".py"))
