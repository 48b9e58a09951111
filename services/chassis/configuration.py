"""A folder of YAML files as typed configuration: one model a file, checked when the process starts."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from services.chassis.faults import CannotStart

__all__ = ["ConfigurationError", "read_folder"]

M = TypeVar("M", bound=BaseModel)


class ConfigurationError(CannotStart):
    """Configuration that a process cannot start with; the message names the file and what is wrong."""


def read_folder(folder: Path, model: type[M]) -> dict[str, M]:
    """Read every ``*.yaml`` of a folder as a ``model``, by file name without suffix.

    Raises ``ConfigurationError``.
    """
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise ConfigurationError(f"no *.yaml files in {folder}")
    return {file.stem: _read(file, model) for file in files}


def _read(file: Path, model: type[M]) -> M:
    try:
        return model.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigurationError(f"{file}: {where}: {first['msg']}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{file}: {error}") from None
