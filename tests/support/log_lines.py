"""The lines that a process writes, while its logs are configured as a test wants them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import pytest
import structlog

__all__ = ["Lines", "written"]

Lines: TypeAlias = Callable[[], list[dict[str, Any]]]
"""Gives what was written since the last look."""


@contextmanager
def written(capsys: pytest.CaptureFixture[str], configure: Callable[[str, str], None], service: str) -> Iterator[Lines]:
    """Lines of this service, as ``configure(level, service)`` sets them up; afterwards all is as it was before."""
    root = logging.getLogger()
    handlers, level, before = root.handlers, root.level, structlog.get_config()
    configure("INFO", service)
    try:
        yield lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    finally:
        structlog.configure(**before)
        root.handlers = handlers
        root.setLevel(level)
