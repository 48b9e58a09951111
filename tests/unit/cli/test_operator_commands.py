"""`shuangcheng set-aside` before it asks anybody, and where nobody answers who could."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner

from deploy.cli.main import app
from deploy.cli.operator_client import CHOICES, address
from deploy.cli.set_aside import _printable
from deploy.linkage import PORTS, SERVICES
from deploy.operate.errors import EnvironmentProblem
from deploy.operate.ports import free_port

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHUANGCHENG_SERVICE_URL", "SHUANGCHENG_OPERATOR_TOKEN_FILE", "SHUANGCHENG_BRIDGE_PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def stranger() -> Iterator[str]:
    """A web server of somebody else."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>welcome</html>")

        def log_message(self, *_: object) -> None:
            """Say nothing about requests."""

    server = HTTPServer(("127.0.0.1", 0), Page)
    serving = Thread(target=server.serve_forever)
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    serving.join()
    server.server_close()


def refused(*arguments: str, stdin: str = "the-token-of-an-operator") -> str:
    """Run a command that must end with status 2 and one message, and give it."""
    result = CliRunner().invoke(app, ["set-aside", *arguments], input=stdin)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Traceback" not in result.stderr
    return result.stderr


def test_a_service_is_looked_for_where_compose_publishes_it() -> None:
    for name in SERVICES:
        assert address(name, "") == f"http://127.0.0.1:{PORTS[name]}"
    assert address("adapter-sz", "") == address("adapter_sz", "") == "http://127.0.0.1:8093/adapter_sz"


def test_another_port_or_url_of_a_service_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHUANGCHENG_BRIDGE_PORT", "9084")
    assert address("bridge", "") == "http://127.0.0.1:9084"
    monkeypatch.setenv("SHUANGCHENG_SERVICE_URL", "http://{service}:8080")
    assert address("adapter_sz", "") == "http://adapters:8080/adapter_sz"
    assert address("bridge", "https://bridge.example/") == "https://bridge.example"


@pytest.mark.parametrize("url", ["bridge:8080", "ftp://bridge", "http://", "http://bridge:99999", "http://[::1"])
def test_a_url_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(EnvironmentProblem, match="is no URL"):
        address("", url)


def test_a_service_that_is_not_known_is_told_with_those_that_are() -> None:
    said = refused("list", "--service", "ledger", "--token-file", "-")
    assert "where the service 'ledger' listens is not known" in said
    assert f"choose one of {CHOICES}, or give --url" in said


def test_without_a_service_or_a_token_it_says_which_option_gives_one() -> None:
    assert "give --service NAME" in refused("list", "--token-file", "-")
    assert "give --token-file FILE" in refused("list", "--service", "bridge")


@pytest.mark.parametrize("text", ["", "\n", "two words", "two\nlines", "wörter"])
def test_what_holds_no_token_is_told_and_not_shown(tmp_path: Path, text: str) -> None:
    (tmp_path / "token").write_text(text, encoding="utf-8")
    said = refused("list", "--service", "bridge", "--token-file", str(tmp_path / "token"))
    assert f"there is no token in {tmp_path}/token" in said
    assert text.strip() == "" or text not in said


def test_a_token_file_that_is_not_there_is_one_message(tmp_path: Path) -> None:
    said = refused("list", "--service", "bridge", "--token-file", str(tmp_path / "token"))
    assert f"cannot read {tmp_path}/token: No such file or directory" in said


def test_where_nobody_listens_is_one_message() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert f"no service answers at {url}: " in refused("list", "--url", url, "--token-file", "-")


def test_what_answers_but_is_no_service_of_ours_is_one_message(stranger: str) -> None:
    said = refused("list", "--url", stranger, "--token-file", "-")
    assert f"what answers at {stranger} is no service of a linkage (status 200)" in said


@pytest.mark.parametrize("arguments", [("release",), ("release", "1", "--all-of", "raised"), ("discard", "1")])
def test_who_does_not_say_which_messages_or_why_is_asked(arguments: tuple[str, ...]) -> None:
    refused(*arguments, "--service", "bridge", "--token-file", "-")


def test_a_strangers_words_do_not_command_the_terminal() -> None:
    assert _printable("广州\x1b[2Jnext\nline\u202e") == "广州\\u001b[2Jnext\\u000aline\\u202e"
