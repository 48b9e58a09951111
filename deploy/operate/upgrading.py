"""Whether the version of an image can go on with the databases of a compose file: each migrate job is asked."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from deploy.operate.backup.programs import output
from deploy.operate.backup.servers import Composed
from deploy.operate.errors import EnvironmentProblem, LocalError

__all__ = ["Checked", "checked"]

_JOB: Final = ["python", "-m"]
_MIGRATE: Final = "migrate"


@dataclass(slots=True)
class Checked:
    """What ``migrate --check`` says of one database. ``obstacle``: why it cannot be upgraded; None where it can."""

    job: str
    """The service of the compose file."""
    obstacle: str | None
    pending: list[str] = field(default_factory=list)
    set_aside: list[dict[str, Any]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """The same for machines."""
        return asdict(self)


async def checked(server: Composed) -> list[Checked]:
    """Ask the migrate jobs of our services one after the other. Raises LocalError."""
    text = await output(server.compose("docker compose config", "config", "--format", "json"))
    jobs = {name: command for name, one in json.loads(text)["services"].items() if (command := _migrates(one))}
    if not jobs:
        raise EnvironmentProblem(f"{server.file} has no job that migrates", todo="give --compose deploy/compose.yaml")
    return [await _asked(server, name, command) for name, command in jobs.items()]


def _migrates(service: dict[str, Any]) -> list[str]:
    command = service.get("command") or []
    ours = command[:2] == _JOB and command[-1] == _MIGRATE and command[2].startswith("services.")
    return list(command) if ours else []


async def _asked(server: Composed, job: str, command: list[str]) -> Checked:
    asked = server.compose(f"{job} --check", "run", "--rm", "--no-deps", "-T", job, *command, "--check")
    try:
        told = json.loads((await output(asked)).splitlines()[-1])
    except LocalError as error:
        # What a job refuses is its last line; what docker says of the container comes before.
        return Checked(job, (error.details or error.problem).splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise LocalError(f"{job} does not say what it would meet: {error}", todo="build the image anew") from error
    return Checked(job, told["obstacle"], told["pending"], told["set_aside"])
