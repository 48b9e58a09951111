"""How every command runs: to the exit status that it, or what went wrong around it, has."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, NoReturn

import typer

from deploy.local.outcome import outcome

__all__ = ["run"]


def run(command: Coroutine[Any, Any, int]) -> NoReturn:
    """Run a command's coroutine and leave with its status; one message, no trace, where the machine failed it."""
    raise typer.Exit(outcome(command))
