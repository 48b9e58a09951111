"""Choosing a broker: `auto`, `embedded`, `java`, `docker` or HOST:PORT, by --broker or SHUANGCHENG_BROKER."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from deploy.operate.brokers import offers_idempotence, parse_address, wait_until_answering
from deploy.operate.errors import EnvironmentProblem
from deploy.operate.ports import free_port
from deploy.tryout.local import broker_docker, broker_embedded, broker_java
from deploy.tryout.local.broker import Broker
from deploy.tryout.local.broker_docker import DockerBroker
from deploy.tryout.local.broker_embedded import EmbeddedBroker
from deploy.tryout.local.broker_java import JavaBroker

KINDS = ("auto", "embedded", "java", "docker")


class AddressBroker(Broker):
    """A broker that somebody else runs. It is never stopped from here."""

    kind = "address"

    def __init__(self, address: str) -> None:
        parse_address(address)
        self.address = address

    async def start(self) -> None:
        """Make sure that it answers, and learn whether it offers idempotence."""
        await wait_until_answering(self.address, seconds=5.0)
        self.idempotent = self.real_kafka = await offers_idempotence(self.address)

    async def stop(self) -> None:
        """Leave it as it is."""


@dataclass(frozen=True)
class Choice:
    """A broker and why it was chosen."""

    broker: Broker
    reason: str


async def choose(wanted: str | None, folder: Path, *, default: str = "embedded") -> Choice:
    """Give the chosen broker, not started yet: by the argument, else by SHUANGCHENG_BROKER, else by `default`.

    `auto` takes Docker when engine and image are there, else Java, else the embedded broker.
    """
    name, origin = _wanted(wanted, default)
    if name == "auto":
        return await asyncio.to_thread(_first_possible, folder, origin)
    return Choice(_made(name, folder), origin)


def _wanted(argument: str | None, default: str) -> tuple[str, str]:
    if argument:
        return argument, f"asked for by --broker {argument}"
    variable = os.environ.get("SHUANGCHENG_BROKER", "")
    if variable:
        return variable, f"asked for by SHUANGCHENG_BROKER={variable}"
    return default, f"the default, {default}"


def _made(name: str, folder: Path) -> Broker:
    if name == "embedded":
        return EmbeddedBroker(folder, free_port())
    if name == "java":
        return JavaBroker(folder, free_port())
    if name == "docker":
        return DockerBroker(free_port())
    if ":" not in name:
        raise EnvironmentProblem(f"'{name}' is no broker", todo=f"choose one of {', '.join(KINDS)} or HOST:PORT")
    return AddressBroker(name)


def _first_possible(folder: Path, origin: str) -> Choice:
    passed_over = []
    for name, missing in (("docker", broker_docker.missing), ("java", broker_java.missing)):
        reason = missing()
        if reason is None:
            break
        passed_over.append(f"no {name}: {reason}")
    else:
        name = "embedded"
        reason = broker_embedded.missing()
        if reason is not None:
            passed_over.append(f"no embedded: {reason}")
            raise EnvironmentProblem(
                "there is no broker to run with", details="\n".join(passed_over), todo=broker_embedded.TODO
            )
    return Choice(_made(name, folder), "; ".join([origin, *passed_over]))
