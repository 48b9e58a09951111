"""The seats of a linkage: a folder with one file per registry, `CODE.yaml`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from contracts.messages.base import RegistryCode
from contracts.registry import Registry
from deploy.linkage import CALLED
from deploy.operate.errors import EnvironmentProblem
from services.chassis.base.configuration import ConfigurationError, complaint, parse_yaml

__all__ = ["CONFIGURED", "configured_codes", "folder_of_seats", "parse_seat", "read_seat", "require_new", "write_new"]

CONFIGURED = Path(__file__).parent.parent / "registries"
_CODE: Final = TypeAdapter[str](RegistryCode)
_TODO: Final = "change the file; contracts/registry.py has all fields, deploy/registries has examples"


def folder_of_seats() -> Path:
    """The folder that SHUANGCHENG_REGISTRIES names; else that of this repository."""
    return Path(os.environ.get("SHUANGCHENG_REGISTRIES") or CONFIGURED)


def configured_codes(folder: Path = CONFIGURED) -> list[str]:
    """Give the codes of the registries that a folder configures, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def require_new(folder: Path, code: str) -> Path:
    """Give the path of a new seat's file. Raises EnvironmentProblem when the seat is taken, or there is no folder."""
    try:
        _CODE.validate_python(code)
    except ValidationError:
        raise EnvironmentProblem(
            f"'{code}' is no registry's code", todo="give 2 to 8 small letters and digits, a letter first: fs"
        ) from None
    if not folder.is_dir():
        raise EnvironmentProblem(
            f"{folder} is no folder", todo="let --folder or SHUANGCHENG_REGISTRIES name the folder of the seats"
        )
    file = folder / f"{code}.yaml"
    if file.exists():
        raise EnvironmentProblem(
            f"the seat '{code}' is taken: {file} is there already",
            todo="choose another code; to change a seat, change its file, then run `shuangcheng registries check`",
        )
    return file


def read_seat(file: Path) -> Registry:
    """Read a seat's file. Raises EnvironmentProblem with file, path, and what is wrong there."""
    try:
        return parse_seat(file.read_text(encoding="utf-8"), str(file), file.stem)
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise EnvironmentProblem(f"{file}: {problem}", todo=_TODO) from None


def parse_seat(text: str, name: str, code: str) -> Registry:
    """The seat of this code from the text of its file, which complaints call by this name. Raises
    EnvironmentProblem."""
    try:
        registry = Registry.model_validate(parse_yaml(text, name))
    except ConfigurationError as error:
        raise EnvironmentProblem(str(error), todo=_TODO) from None
    except ValidationError as error:
        raise EnvironmentProblem(f"{name}: {complaint(error, 'the file')}", todo=_TODO) from None
    for wrong in _contradictions(registry, code):
        raise EnvironmentProblem(f"{name}: {wrong}", todo=_TODO)
    return registry


def write_new(file: Path, text: str) -> None:
    """Write a new seat's file at once and whole. Raises EnvironmentProblem when somebody has taken the seat."""
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        part.write_text(text, encoding="utf-8")
        part.chmod(0o644)  # the processes of compose are another user
        os.link(part, file)  # unlike a renaming it replaces nothing
    except FileExistsError:
        require_new(file.parent, file.stem)
        raise
    except OSError as error:
        raise EnvironmentProblem(f"cannot write {file}: {error.strerror}", todo="name a folder of yours") from error
    finally:
        part.unlink(missing_ok=True)


def _contradictions(registry: Registry, code: str) -> Iterator[str]:
    """What each field allows by itself and the linkage cannot run."""
    kind, address = registry.system.kind, registry.system.address
    if registry.code != code:
        yield f"code: the file speaks of '{registry.code}' and the seat is '{code}'"
    if address is None and kind in CALLED:
        yield f"system.address: is missing: an adapter calls systems of the kind {kind} there"
    if address is not None and kind not in CALLED:
        kinds = ", ".join(sorted(CALLED))
        yield (
            f"system.kind: no adapter calls systems of the kind {kind} (there is {kinds}); without an address the "
            "registry reads and writes its topics itself"
        )
