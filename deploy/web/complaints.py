"""What is wrong with a process's settings, in one line that names the variable."""

from __future__ import annotations

import sys

from pydantic import ValidationError
from pydantic_settings import BaseSettings

__all__ = ["in_a_line", "show_what_cannot_be_shown"]


def in_a_line(error: Exception, settings: type[BaseSettings]) -> str:
    """The first thing that is wrong; of a setting never what was given, which may be a password."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        ours = error.title == settings.__name__
        what = first["msg"].removeprefix("Value error, ")
        return f"{f'SHUANGCHENG_{name.upper()}' if ours else f'{name} of the registry'}: {what}"
    return " ".join((str(error) or type(error).__name__).split())


def show_what_cannot_be_shown() -> None:
    """Let standard output write an escape for a character that its encoding lacks, as standard error does; no trace."""
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
