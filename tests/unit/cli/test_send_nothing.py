"""`shuangcheng send` with nothing to send: it said that all was acknowledged, without having asked any broker."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli.main import app
from deploy.operate.ports import free_port


@pytest.mark.parametrize("text", ["", "\n", " \n\n\t\n"], ids=["empty", "one line", "blank lines"])
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_a_file_without_a_message_is_told_with_its_name(tmp_path: Path, text: str, options: list[str]) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(text)
    result = CliRunner().invoke(app, ["send", str(file), "--kafka", f"127.0.0.1:{free_port()}", *options])
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{file} has no message; nothing was sent" in result.stderr


def test_an_empty_standard_input_is_told_too() -> None:
    result = CliRunner().invoke(app, ["send", "-", "--kafka", f"127.0.0.1:{free_port()}"], input="")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "standard input has no message; nothing was sent" in result.stderr
