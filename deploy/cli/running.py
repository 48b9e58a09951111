"""How every command runs. It ends with the command's exit status, or with that of an error of the machine."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, NoReturn

import typer

from deploy.operate.outcome import outcome

__all__ = ["run"]


def run(command: Coroutine[Any, Any, int]) -> NoReturn:
    """Run a command's coroutine and exit with its status. An error of the machine is one message without a trace."""
    raise typer.Exit(outcome(command))
