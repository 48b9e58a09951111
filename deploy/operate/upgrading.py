"""Whether the version of an image can go on with the databases of a compose file: each migrate job is asked."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from deploy.linkage import ADAPTERS, adapter, called_seats
from deploy.operate.backup.programs import output
from deploy.operate.backup.servers import Composed
from deploy.operate.errors import EnvironmentProblem, LocalError

__all__ = ["Checked", "checked"]

_JOB: Final = ["python", "-m"]
_MIGRATE: Final = "migrate"
_SEATS: Final = "/etc/shuangcheng/registries"


@dataclass(slots=True)
class Checked:
    """What ``migrate --check`` says of one database. ``obstacle``: why it cannot be upgraded; None where it can."""

    job: str
    """The service of the compose file, or the name of an adapter."""
    obstacle: str | None
    pending: list[str] = field(default_factory=list)
    set_aside: list[dict[str, Any]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """The same for machines."""
        return asdict(self)


async def checked(server: Composed) -> list[Checked]:
    """Ask the migrate jobs of our services one after the other. Raises LocalError."""
    text = await output(server.compose("docker compose config", "config", "--format", "json"))
    services = json.loads(text)["services"]
    jobs = {name: (name, command) for name, one in services.items() if (command := _migrates(one))}
    jobs |= _of_adapters(services.get(ADAPTERS, {}))
    if not jobs:
        raise EnvironmentProblem(f"{server.file} has no job that migrates", todo="give --compose deploy/compose.yaml")
    return [await _asked(server, name, *job) for name, job in jobs.items()]


def _migrates(service: dict[str, Any]) -> list[str]:
    command = service.get("command") or []
    ours = command[:2] == _JOB and command[-1] == _MIGRATE and command[2].startswith("services.")
    return list(command) if ours else []


def _of_adapters(container: dict[str, Any]) -> dict[str, tuple[str, list[str]]]:
    """The same of each adapter, which its container prepares: by the seats that are mounted there."""
    folders = [Path(one["source"]) for one in container.get("volumes", ()) if one["target"] == _SEATS]
    codes = [code for folder in folders for code in called_seats(folder)]
    return {adapter(code).name: (ADAPTERS, [*container["command"], code, _MIGRATE]) for code in codes}


async def _asked(server: Composed, job: str, service: str, command: list[str]) -> Checked:
    asked = server.compose(f"{job} --check", "run", "--rm", "--no-deps", "-T", service, *command, "--check")
    try:
        told = json.loads((await output(asked)).splitlines()[-1])
    except LocalError as error:
        # What a job refuses is its last line; what docker says of the container comes before.
        return Checked(job, (error.details or error.problem).splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise LocalError(f"{job} does not say what it would meet: {error}", todo="build the image anew") from error
    return Checked(job, told["obstacle"], told["pending"], told["set_aside"])
