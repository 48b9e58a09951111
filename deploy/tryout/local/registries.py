"""The registries of one launch: the files for a first look, with the chosen systems."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from deploy.operate.errors import EnvironmentProblem

__all__ = ["TRYOUT", "write_registries"]

TRYOUT = Path(__file__).parent.parent / "registries"
"""The seats for a first look and for tests. They take messages of any age; those of an operation have limits."""


def write_registries(
    target: Path,
    kinds: Mapping[str, str],
    *,
    addresses: Mapping[str, str] | None = None,
    capabilities: Mapping[str, str] | None = None,
    source: Path = TRYOUT,
) -> None:
    """Copy each registry's file to `target`, with the system and capability that this launch has chosen. `addresses`:
    where adapters call the systems without Kafka.

    The rounding on pages belongs to the software. Therefore it is left out when another system takes the seat.
    """
    target.mkdir(parents=True)
    for code, kind in kinds.items():
        origin = source / f"{code}.yaml"
        if not origin.is_file():
            raise EnvironmentProblem(f"there is no configuration of the registry '{code}'", todo=f"add {origin}")
        registry = yaml.load(origin.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - text only, 0123 stays
        if registry.get("system", {}).get("kind") != kind:
            registry.pop("shown_rounding_minutes", None)
        registry["system"] = {"kind": kind}
        if addresses and code in addresses:
            registry["system"]["address"] = addresses[code]
        if capabilities and code in capabilities:
            registry["capability"] = capabilities[code]
        text = yaml.safe_dump(registry, allow_unicode=True, sort_keys=False)
        (target / f"{code}.yaml").write_text(text, encoding="utf-8")
