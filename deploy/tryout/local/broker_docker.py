"""Apache Kafka in a container (testcontainers), on one loopback port that outlives kill and restart."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from deploy.operate.brokers import wait_until_answering
from deploy.operate.errors import EnvironmentProblem, LocalError, ProcessFailed
from deploy.operate.ports import LOOPBACK
from deploy.operate.waiting import wait_until_done
from deploy.tryout.local.broker import Broker
from deploy.tryout.local.broker_java import KAFKA_VERSION, QUICK_START, cluster_id, single_node_settings
from deploy.tryout.local.processes import to_the_end

if TYPE_CHECKING:
    from docker.models.containers import Container

IMAGE = f"apache/kafka:{KAFKA_VERSION}"
TODO = f"start Docker, `docker pull {IMAGE}`, or choose --broker embedded, java or HOST:PORT"
_LABEL = "shuangcheng.launcher"
_START_SECONDS = 90.0


def missing(*, image_too: bool = True) -> str | None:
    """The reason why the broker cannot run here; None when it can. An image that is not there yet is a reason too,
    unless told otherwise."""
    try:
        import docker
        import testcontainers.core.container  # noqa: F401
    except ImportError as error:
        return f"the Python package {error.name} is not installed"
    client = None
    try:
        client = docker.from_env(timeout=5)
        client.ping()
        if image_too:
            client.images.get(IMAGE)
    except docker.errors.ImageNotFound:
        return f"the image {IMAGE} is not there"
    except (docker.errors.DockerException, OSError):
        return "no Docker engine answers"
    finally:
        if client is not None:
            client.close()
    return None


class DockerBroker(Broker):
    """Apache Kafka's own image. A launcher that was SIGKILLed leaves its container, and the next launcher removes
    it."""

    kind = "docker"
    version = KAFKA_VERSION

    def __init__(self, port: int) -> None:
        self.port = port
        self.address = f"{_engine_host()}:{port}"
        self._container: Any = None
        self._abandoned = threading.Event()

    @property
    def pid(self) -> int | None:
        """The process id of the container's first process, as the engine's machine counts."""
        if self._container is None:
            return None
        wrapped = self._wrapped()
        wrapped.reload()
        return wrapped.attrs["State"].get("Pid") or None

    async def check(self) -> None:
        """Raise EnvironmentProblem without an engine."""
        reason = await asyncio.to_thread(missing, image_too=False)
        if reason is not None:
            raise EnvironmentProblem(f"a broker of kind 'docker' cannot run: {reason}", todo=TODO)

    async def start(self) -> None:
        """Create and start the container."""
        await self.check()
        creation = asyncio.create_task(asyncio.to_thread(self._create))
        try:
            await asyncio.shield(creation)
        except asyncio.CancelledError:
            # A thread cannot be cancelled. Left alone, it would start a container after stop() had found no container.
            self._abandoned.set()
            with contextlib.suppress(EnvironmentProblem):
                await to_the_end(creation)
            raise
        await self._wait()

    async def stop(self) -> None:
        """Remove the container with its data."""
        container, self._container = self._container, None
        if container is not None:
            await asyncio.to_thread(_remove, container)

    async def kill(self) -> None:
        """SIGKILL the processes of the container."""
        await asyncio.to_thread(self._wrapped().kill)

    async def restart(self) -> None:
        """Start the killed container again, with its data."""
        await asyncio.to_thread(self._wrapped().start)
        await self._wait()

    def _create(self) -> None:
        import docker

        try:
            _remove_orphans()
            container = _container(self.address, self.port)
            self._pull(container)
            self._container = container
            container.start()
        except (docker.errors.DockerException, OSError) as error:
            raise EnvironmentProblem(f"Docker could not start {IMAGE}: {error}", todo=TODO) from error

    def _pull(self, container: Any) -> None:
        """Fetch a missing image, which may take minutes. When nobody waits any more it ends at its next step."""
        import docker

        client = container.get_docker_client().client
        with contextlib.suppress(docker.errors.ImageNotFound):
            client.images.get(container.image)
            return
        name, _, tag = container.image.rpartition(":")
        for step in client.api.pull(name, tag=tag, stream=True, decode=True):
            if self._abandoned.is_set():
                raise EnvironmentProblem(f"fetching {container.image} was abandoned")
            if "error" in step:
                raise docker.errors.APIError(step["error"])

    async def _wait(self) -> None:
        """Return once the broker answers. ProcessFailed has its last lines, when it has ended or did not answer in
        time."""
        status, lines = "not asked about", ""

        def failed(silence: str) -> ProcessFailed:
            return ProcessFailed(
                f"the broker in Docker does not answer, and its container is {status}: {silence}",
                details=lines,
                todo="see the lines above, or choose --broker embedded, java or HOST:PORT",
            )

        async def silence() -> str | None:
            nonlocal status, lines
            try:
                await wait_until_answering(self.address, seconds=2.0, groups=True)
            except EnvironmentProblem as error:
                status, lines = await asyncio.to_thread(self._state)
                if status != "running":
                    raise failed(error.problem) from error
                return error.problem
            return None

        try:
            await wait_until_done(silence, failed, seconds=_START_SECONDS)
        except ProcessFailed:
            await self.stop()
            raise

    def _state(self) -> tuple[str, str]:
        container = self._wrapped()
        container.reload()
        return container.status, container.logs(tail=15).decode(errors="replace")

    def _wrapped(self) -> Container:
        if self._container is None:
            raise RuntimeError("the container was not started")
        return self._container.get_wrapped_container()


def _remove(container: Any) -> None:
    import docker

    try:
        with contextlib.suppress(docker.errors.NotFound):
            container.stop()
    except (docker.errors.DockerException, OSError) as error:
        raise LocalError(
            f"Docker did not remove the broker's container: {error}", todo="the next launch with Docker removes it"
        ) from error


def _container(address: str, port: int) -> Any:
    # its reaper needs an image of its own and a socket inside a container; our label does the same
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
    from testcontainers.core.container import DockerContainer

    class ApacheKafkaContainer(DockerContainer):
        """A container of Apache Kafka's image. The module's own KafkaContainer fits Confluent's image only."""

        def __init__(self) -> None:
            super().__init__(IMAGE)
            bound: Any = port if _remote_engine() else (LOOPBACK, port)
            self.ports[f"{port}/tcp"] = bound
            self.with_kwargs(labels={_LABEL: f"{socket.gethostname()} {os.getpid()}"})
            self.with_envs(**_environment(address, port))
            # the entry point overwrites the configuration in the image, which may be read-only in a local build
            writable = "chmod u+w /opt/kafka/config/* /etc/kafka/docker/*"
            self.with_command(["bash", "-c", f"{writable} && exec /etc/kafka/docker/run"])

    return ApacheKafkaContainer()


def _environment(address: str, port: int) -> dict[str, str]:
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": "1@localhost:9093",
        "listeners": f"PLAINTEXT://0.0.0.0:{port},CONTROLLER://0.0.0.0:9093",
        "advertised.listeners": f"PLAINTEXT://{address}",
        "log.dirs": "/var/lib/kafka/data",
    } | single_node_settings()
    named = {"KAFKA_" + name.replace(".", "_").upper(): value for name, value in settings.items()}
    return named | {"CLUSTER_ID": cluster_id(), "KAFKA_JVM_PERFORMANCE_OPTS": " ".join(QUICK_START)}


def _remote_engine() -> str | None:
    """Give the host of an engine that is reached over TCP, or None for a local one."""
    engine = urlsplit(os.environ.get("DOCKER_HOST", ""))
    return engine.hostname if engine.scheme == "tcp" and engine.hostname not in (None, LOOPBACK, "localhost") else None


def _engine_host() -> str:
    return _remote_engine() or LOOPBACK


def _remove_orphans() -> None:
    """Remove containers of launchers of this machine that were killed before they could remove them."""
    import docker

    client = docker.from_env(timeout=10)
    try:
        for container in client.containers.list(all=True, filters={"label": _LABEL}):
            host, _, launcher = container.labels.get(_LABEL, "").rpartition(" ")
            if host == socket.gethostname() and launcher.isdigit() and not _lives(int(launcher)):
                with contextlib.suppress(docker.errors.APIError):
                    container.remove(force=True, v=True)
    finally:
        client.close()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
