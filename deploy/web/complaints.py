"""What is wrong with a process's settings, in one line that names the variable."""

from __future__ import annotations

from pydantic import ValidationError
from pydantic_settings import BaseSettings

__all__ = ["in_a_line"]


def in_a_line(error: Exception, settings: type[BaseSettings]) -> str:
    """The first thing that is wrong; of a setting never what was given, which may be a password."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        ours = error.title == settings.__name__
        return f"{f'SHUANGCHENG_{name.upper()}' if ours else f'{name} of the registry'}: {first['msg']}"
    return " ".join((str(error) or type(error).__name__).split())
