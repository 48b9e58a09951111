"""A launch that is interrupted while its broker is still being made ready leaves nothing of it."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from deploy.operate.outcome import INTERRUPTED
from deploy.operate.ports import free_port
from deploy.tryout.local import broker_docker, broker_java
from deploy.tryout.local.broker_java import JavaBroker
from tests.support.backends import real_kafka_required

ROOT = Path(__file__).parents[3]
LAUNCHER = """
import asyncio, sys
from deploy.tryout.local.broker_docker import DockerBroker
from deploy.operate.outcome import outcome

async def main():
    broker = DockerBroker(int(sys.argv[1]))
    starting = asyncio.create_task(broker.start())
    try:
        while broker._container is None:
            await asyncio.sleep(0.001)
        print("being made", flush=True)
        await starting
    finally:
        starting.cancel()
        await asyncio.wait({starting})
        await broker.stop()

sys.exit(outcome(main()))
"""
SETTINGS = """
<settings><mirrors><mirror><id>slow</id><mirrorOf>*</mirrorOf><url>http://127.0.0.1:{port}/</url></mirror></mirrors>
</settings>
"""


def commands_with(text: str) -> list[str]:
    """The command lines of running processes that contain a text."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line:
            found.append(line)
    return found


def containers_on(port: int) -> list[str]:
    """The names of all containers that were given this port, running or not."""
    import docker

    client = docker.from_env(timeout=10)
    try:
        found = client.containers.list(all=True)
        return [one.name for one in found if f"{port}/tcp" in one.attrs["HostConfig"]["PortBindings"]]
    finally:
        client.close()


async def test_ctrl_c_while_the_container_is_made_leaves_none() -> None:
    reason = await asyncio.to_thread(broker_docker.missing)
    if reason is not None:
        pytest.skip(reason)
    port = free_port()
    launcher = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LAUNCHER, str(port)), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert launcher.stdout is not None
    assert await asyncio.wait_for(launcher.stdout.readline(), timeout=60) == b"being made\n"
    launcher.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(launcher.wait(), timeout=60) == INTERRUPTED
    assert await asyncio.to_thread(containers_on, port) == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
async def test_a_maven_that_waits_for_its_repository_ends_with_the_launch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHUANGCHENG_HOME", str(tmp_path / "shuangcheng"))
    reason = await asyncio.to_thread(broker_java.missing)
    if reason is None and shutil.which("mvn") is None:
        reason = "no mvn command"
    if reason is not None:
        if real_kafka_required():
            pytest.fail(f"{reason}; REQUIRE_REAL_KAFKA forbids to skip this")
        pytest.skip(reason)
    asked = asyncio.Event()

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(never_answer, "127.0.0.1", 0) as repository:
        (tmp_path / ".m2").mkdir()
        (tmp_path / ".m2" / "settings.xml").write_text(SETTINGS.format(port=repository.sockets[0].getsockname()[1]))
        monkeypatch.setenv("MAVEN_OPTS", f"-Duser.home={tmp_path}")
        starting = asyncio.create_task(JavaBroker(tmp_path / "broker", free_port()).start())
        await asyncio.wait_for(asked.wait(), timeout=60)
        assert commands_with(f"-Duser.home={tmp_path}")
        begun = time.monotonic()
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert time.monotonic() - begun < 5
        assert commands_with(f"-Duser.home={tmp_path}") == []
    assert list((tmp_path / "shuangcheng" / "cache").iterdir()) == [], "half of the jars stay"
