"""What a job of compose is told."""

from __future__ import annotations

import os

from deploy.operate.errors import EnvironmentProblem

__all__ = ["variable"]


def variable(name: str, meaning: str) -> str:
    """Give an environment variable's value; EnvironmentProblem when there is none."""
    value = os.environ.get(name, "")
    if not value:
        raise EnvironmentProblem(f"{name} is not set", todo=f"let it name {meaning}, as in deploy/compose.yaml")
    return value
