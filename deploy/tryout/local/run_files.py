"""The files of a run folder that its processes read: the registries, and who bears which secret."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from deploy.tryout.local.options import StackOptions
from deploy.tryout.local.registries import write_registries
from deploy.tryout.local.specs import ProcessSpec, databases

__all__ = ["Secrets", "write_files"]


@dataclass(frozen=True)
class Secrets:
    """Secrets that were made for one launch."""

    tokens: Mapping[str, str]
    """Tokens by their bearer."""
    naming: Mapping[str, str]
    """Naming secrets by database, the same for all processes on it."""


def write_files(
    folder: Path, options: StackOptions, specs: Iterable[ProcessSpec], url: Callable[[str], str]
) -> Secrets:
    """Write the files, and give the secrets that were made for them. ``url`` gives the address of a process."""
    (folder / "logs").mkdir()
    table = list(specs)
    called = {spec.registry: url(spec.name) for spec in table if spec.registry is not None and not spec.reads_kafka}
    write_registries(
        folder / "registries", options.kinds, addresses=called, capabilities=options.capabilities, source=options.seats
    )
    bearers = ["operator", *(f"registry:{code}" for code in options.kinds)]
    systems = {f"system:{spec.registry}" for spec in table if spec.registry is not None}
    tokens = {bearer: secrets.token_urlsafe(24) for bearer in (*bearers, *systems)}
    services = [spec for spec in table if spec.ours]
    naming = {name: secrets.token_urlsafe(32) for name in databases(services)}
    _write_secret(folder / "tokens.yaml", {tokens[bearer]: bearer for bearer in bearers})
    # The secret lies beside the databases: they may be kept, and are of no use without it.
    _write_secret(folder / "naming.yaml", naming)
    return Secrets(tokens, naming)


def _write_secret(path: Path, content: Mapping[str, str]) -> None:
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(dict(content)))
