"""YAML as typed configuration, checked when the process starts; every complaint is one line.

All scalars are read as text, and each field of a model converts its own text. YAML itself would read 440100 or 0123 as
a number, and ``no`` as false.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from services.chassis.base.faults import CannotStart

__all__ = ["ConfigurationError", "complaint", "parse_yaml", "read_folder", "read_yaml"]

M = TypeVar("M", bound=BaseModel)


class ConfigurationError(CannotStart):
    """Configuration that a process cannot start with; the message names the file and what is wrong."""


def read_folder(folder: Path | None, model: type[M], *, named_by: str, variable: str) -> dict[str, M]:
    """Read every ``*.yaml`` of a folder as a ``model``, by the field ``named_by``, which is also the name of its file.

    ``variable`` names the folder. Raises ``ConfigurationError``.
    """
    if folder is None:
        raise ConfigurationError(f"set {variable} to the folder of <{named_by}>.yaml files")
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise ConfigurationError(f"no *.yaml files in {folder}")
    found = {file.stem: _read(file, model) for file in files}
    for name, one in found.items():
        if (other := getattr(one, named_by)) != name:
            raise ConfigurationError(f"{folder / name}.yaml: {named_by}: it is {other!r}, unlike the file's name")
    return found


def read_yaml(file: Path) -> Any:
    """The content of a file, its scalars as text. Raises ``ConfigurationError`` with the line, never with its text."""
    try:
        return parse_yaml(file.read_text(encoding="utf-8"), str(file))
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file}: it is not UTF-8") from None
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from None


def parse_yaml(text: str, name: str) -> Any:
    """The content of a text, its scalars as text; errors as those of ``read_yaml``, under this name."""
    try:
        return yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - makes text only
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark is not None else "it"
        raise ConfigurationError(f"{name}: {place} is no YAML") from None


def complaint(error: ValidationError, of: str) -> str:
    """The first error in one line, without the value that was given: it may be a password."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or of}: {first['msg'].removeprefix('Value error, ')}"


def _read(file: Path, model: type[M]) -> M:
    content = read_yaml(file)
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError(f"{file}: {complaint(error, 'the file')}") from None
