"""Who imports whom, read from the syntax: imports for type checkers and imports within functions count as well."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

__all__ = ["arrows", "circle"]


def arrows(root: Path, packages: Iterable[str]) -> dict[str, set[str]]:
    """Of each module of these packages: the modules of them that it imports."""
    files = {_name(file.relative_to(root)): file for package in packages for file in (root / package).rglob("*.py")}
    return {name: _imported(file, files) - {name} for name, file in files.items()}


def circle(drawn: Mapping[str, Iterable[str]]) -> list[str]:
    """Modules each of which imports the next one, or nothing where there is no such circle."""
    try:
        TopologicalSorter(drawn).prepare()
    except CycleError as found:
        members: list[str] = found.args[1]
        return members[::-1]
    return []


def _name(file: Path) -> str:
    return ".".join(file.with_suffix("").parts).removesuffix(".__init__")


def _imported(file: Path, known: Mapping[str, Path]) -> set[str]:
    named: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                named |= {alias.name for alias in names}
            case ast.ImportFrom(module=str(module), names=names):
                within = {f"{module}.{alias.name}" for alias in names} & known.keys()
                # A package that only lends a module its name is not imported for anything of its own.
                named |= within if len(within) == len(names) else within | {module}
    return named & known.keys()
