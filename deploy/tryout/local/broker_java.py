"""Apache Kafka as a child process: jars through Maven once, then from the cache; one KRaft node."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

from deploy.operate.errors import EnvironmentProblem
from deploy.operate.ports import LOOPBACK, free_port
from deploy.tryout.local.broker import ProcessBroker
from deploy.tryout.local.folders import cache_folder
from deploy.tryout.local.processes import Child, own_environment

KAFKA_VERSION = "4.3.1"
OLDEST_JAVA = 17
_KAFKA = Path(__file__).parent / "kafka"
_POM = _KAFKA / "pom.xml"
QUICK_START = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
"""Options of a JVM that lives for minutes. It compiles less, since the processes under test need the processors."""


def java_command() -> str | None:
    """Give the path of `java`: JAVA_HOME's first, then the one on PATH."""
    home = os.environ.get("JAVA_HOME", "")
    candidate = Path(home) / "bin" / "java" if home else None
    if candidate is not None and os.access(candidate, os.X_OK):
        return str(candidate)
    return shutil.which("java")


def java_major(command: str) -> int | None:
    """Give the major version that `java -version` reports, or None when it does not run."""
    try:
        shown = subprocess.run([command, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(\d+)', shown.stderr + shown.stdout)
    return int(found.group(1)) if found else None


def jars_folder() -> Path:
    """Give the cache folder of the jars that this pom describes (another pom, another folder)."""
    digest = hashlib.sha256(_POM.read_bytes()).hexdigest()[:8]
    return cache_folder() / f"kafka-{KAFKA_VERSION}-{digest}"


def missing() -> str | None:
    """The reason why the broker cannot run here; None when it can."""
    java = java_command()
    if java is None:
        return "no java command"
    major = java_major(java)
    if major is None or major < OLDEST_JAVA:
        return f"{java} is version {major or 'unknown'}, Apache Kafka needs {OLDEST_JAVA} or newer"
    if not jars_folder().is_dir() and shutil.which("mvn") is None:
        return "no mvn command, and Kafka's jars are not in the cache yet"
    return None


class JavaBroker(ProcessBroker):
    """Apache Kafka on this machine's Java."""

    kind = "java"
    version = KAFKA_VERSION
    start_seconds = 60.0

    async def check(self) -> None:
        """Raise EnvironmentProblem without Java, or with neither jars nor Maven."""
        reason = await asyncio.to_thread(missing)
        if reason is not None:
            raise EnvironmentProblem(
                f"a broker of kind 'java' cannot run: {reason}",
                todo="install a JDK 17 or newer and Maven, or choose --broker embedded, docker or HOST:PORT",
            )

    async def prepare(self) -> Child:
        """Fetch the jars when they are not there, format the storage, and give the broker's process."""
        java = java_command()
        assert java is not None, "check came first"
        jars = await fetch_jars(self.folder / "maven.log")
        properties = self.folder / "server.properties"
        properties.write_text(self._properties())
        classpath = ["-cp", f"{jars}/*", f"-Dlog4j2.configurationFile={_KAFKA / 'log4j2.properties'}"]
        if not (self.folder / "data" / "meta.properties").exists():
            tool = ["kafka.tools.StorageTool", "format", "-t", cluster_id(), "-c", str(properties)]
            await self._format([java, *QUICK_START, *classpath, *tool])
        memory = ["-Xms256m", "-Xmx1g"]
        return Child(
            name="broker",
            command=[java, *memory, *QUICK_START, *classpath, "kafka.Kafka", str(properties)],
            log=self.folder / "broker.log",
            env=own_environment({}),
            folder=self.folder,
            grace=3.0,  # its orderly end may take long, and its data are safe without it
        )

    async def _format(self, command: list[str]) -> None:
        job = Child(name="format", command=command, log=self.folder / "format.log", env=own_environment({}))
        if await job.run() != 0:
            raise EnvironmentProblem(
                "Kafka's storage format failed", details=job.tail(8), todo="check the Java installation and free space"
            )

    def _properties(self) -> str:
        controller = f"{LOOPBACK}:{free_port()}"
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "log.dirs": str(self.folder / "data"),
        } | single_node_settings()
        return "".join(f"{name}={value}\n" for name, value in settings.items())


def cluster_id() -> str:
    """Give a random id in Kafka's form. It never begins with '-', which would be read as an option."""
    first, *rest = secrets.token_bytes(16)
    return base64.urlsafe_b64encode(bytes([first & 0x7F, *rest])).decode().rstrip("=")


def single_node_settings() -> dict[str, str]:
    """The settings of every throwaway node: one replica of everything, no automatic topics."""
    return {
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        # after a SIGKILL the node waits until its own earlier registration has run out
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        "auto.create.topics.enable": "false",
    }


async def fetch_jars(log: Path) -> Path:
    """Give the folder of Kafka's jars. Maven fills it when it is not there yet, and writes its output to `log`."""
    target = jars_folder()
    if target.is_dir():
        return target
    maven = shutil.which("mvn")
    if maven is None:
        raise EnvironmentProblem("no mvn command to fetch Kafka's jars with", todo="install Maven")
    part = Path(tempfile.mkdtemp(prefix="kafka-jars-", dir=target.parent))
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={part}"]
    command = [maven, "-q", "-B", "-Dstyle.color=never", "-f", str(_POM), *goal]
    try:
        job = Child(name="maven", command=command, log=log, env=own_environment({}))
        if await job.run() != 0:
            raise EnvironmentProblem(
                "Maven could not fetch Kafka's jars",
                details="\n".join([line for line in job.tail(200).splitlines() if "ERROR" in line][:2]),
                todo=f"check that Maven reaches its repository, or choose another --broker; see {log}",
            )
        await asyncio.to_thread(_put_in_place, part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _put_in_place(part: Path, target: Path) -> None:
    part.chmod(0o755)
    try:
        part.rename(target)
    except OSError:  # another launch was faster
        if not target.is_dir():
            raise
