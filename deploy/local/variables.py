"""What each process of a launched linkage is told in its environment: as much as it needs, and no more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from deploy.local.ports import LOOPBACK
from deploy.local.specs import OPERATOR, ProcessSpec

if TYPE_CHECKING:
    from deploy.local.stack import Stack

__all__ = ["variables"]


def variables(stack: Stack, spec: ProcessSpec) -> dict[str, str]:
    """Its variables without their prefix."""
    values = {"HTTP_HOST": LOOPBACK, "HTTP_PORT": str(stack.port(spec.name))}
    if spec.name == OPERATOR:
        # Addresses alone: whoever signs in brings the token.
        asked = {one.name: stack.url(one.name) for one in stack.specs.values() if one.module.startswith("services.")}
        return values | {"SERVICES": json.dumps(asked)}
    sandbox = spec.module.startswith("deploy.sandbox.")
    profile = stack.options.profile or ("production" if stack.broker.idempotent else "embedded")
    if sandbox and profile == "production":
        profile = "test"  # a sandbox stands in for a registry, and may be asked to misbehave
    values |= {
        "PROFILE": profile,
        "DATABASE": stack.dsn[spec.database],
        "REGISTRIES": str(stack.folder / "registries"),
        "TOKENS_FILE": str(stack.folder / "tokens.yaml"),
    }
    if spec.module.startswith("services."):
        values["NAMING_SECRET"] = stack.naming_secrets[spec.database]
        values["READ_SECONDS"] = "5"  # all processes of a linkage, and whoever asks them, share this machine
    if spec.reads_kafka:
        values["KAFKA"] = stack.broker.address
    if spec.registry is not None:
        values["REGISTRY"] = spec.registry
        values["SYSTEM_TOKEN"] = stack.tokens[f"system:{spec.registry}"]
    if spec.sandbox is not None:
        values["SANDBOX_URL"] = stack.url(spec.sandbox)
    if stack.passcode is not None and sandbox:
        values |= _of_pages(stack, spec.registry or "", stack.passcode)
    return values | dict(stack.options.settings)


def _of_pages(stack: Stack, code: str, passcode: str) -> dict[str, str]:
    others = {other: stack.url(f"sandbox_{other}") for other in stack.options.kinds if other != code}
    return {
        "PASSCODE": passcode,
        "TOKEN": stack.tokens[f"registry:{code}"],
        "OPPORTUNITIES_URL": stack.url("opportunities"),
        "BRIDGE_URL": stack.url("bridge"),
        "IDENTITY_URL": stack.url("identity"),
        "NEIGHBOURS": json.dumps(others),
    }
