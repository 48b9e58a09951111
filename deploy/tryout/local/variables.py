"""The environment of each process of a launched linkage: the variables that it needs, and no more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.linkage import OPERATOR
from deploy.operate.ports import LOOPBACK
from deploy.tryout.local.broker import Broker
from deploy.tryout.local.options import StackOptions
from deploy.tryout.local.ports import url_of
from deploy.tryout.local.specs import ProcessSpec

__all__ = ["Launch", "environment", "parts"]


@dataclass(frozen=True, slots=True)
class Launch:
    """The part of a launch on which its processes' variables depend."""

    options: StackOptions
    broker: Broker
    folder: Path
    specs: Mapping[str, ProcessSpec]
    dsn: Mapping[str, str]
    tokens: Mapping[str, str]
    naming_secrets: Mapping[str, str]
    passcode: str | None
    ports: Mapping[str, int]

    def url(self, name: str) -> str:
        """The address of a process."""
        return url_of(self.ports[name])


def environment(launch: Launch, spec: ProcessSpec, settings: Mapping[str, str]) -> dict[str, str]:
    """The variables of a process. ``settings`` override all others."""
    values = _variables(launch, spec) | dict(settings)
    return {f"SHUANGCHENG_{name}": value for name, value in values.items()}


def parts(launch: Launch, settings: Mapping[str, str]) -> str:
    """What the one process of a linkage is told of its parts (``together``)."""
    return json.dumps(
        [
            {
                "name": spec.name,
                "module": spec.module,
                "migrates": spec.migrates,
                "environment": environment(launch, spec, settings),
            }
            for spec in launch.specs.values()
            if launch.options.shares(spec.name)
        ]
    )


def _variables(launch: Launch, spec: ProcessSpec) -> dict[str, str]:
    """Its variables without their prefix."""
    values = {"HTTP_HOST": LOOPBACK, "HTTP_PORT": str(launch.ports[spec.name])}
    if spec.name == OPERATOR:
        # Addresses alone: the operator who signs in brings the token.
        asked = {one.name: launch.url(one.name) for one in launch.specs.values() if one.ours}
        return values | {"SERVICES": json.dumps(asked)}
    sandbox = spec.module.startswith("deploy.tryout.sandbox.")
    profile = launch.options.profile or ("production" if launch.broker.idempotent else "embedded")
    if sandbox and profile == "production":
        profile = "test"  # a sandbox stands in for a registry, and may be asked to misbehave
    values |= {
        "PROFILE": profile,
        "DATABASE": launch.dsn[spec.database],
        "REGISTRIES": str(launch.folder / "registries"),
        "TOKENS_FILE": str(launch.folder / "tokens.yaml"),
    }
    if spec.ours:
        values["NAMING_SECRET"] = launch.naming_secrets[spec.database]
        values["READ_SECONDS"] = "5"  # all processes of a linkage, and all who ask them, share this machine
    if spec.reads_kafka:
        values["KAFKA"] = launch.broker.address
    if spec.registry is not None:
        values["REGISTRY"] = spec.registry
        values["SYSTEM_TOKEN"] = launch.tokens[f"system:{spec.registry}"]
    if launch.passcode is not None and sandbox:
        values |= _of_pages(launch, spec.registry or "", launch.passcode)
    return values | dict(launch.options.settings)


def _of_pages(launch: Launch, code: str, passcode: str) -> dict[str, str]:
    others = {other: launch.url(f"sandbox_{other}") for other in launch.options.kinds if other != code}
    return {
        "PASSCODE": passcode,
        "TOKEN": launch.tokens[f"registry:{code}"],
        "OPPORTUNITIES_URL": launch.url("opportunities"),
        "BRIDGE_URL": launch.url("bridge"),
        "IDENTITY_URL": launch.url("identity"),
        "NEIGHBOURS": json.dumps(others),
    }
