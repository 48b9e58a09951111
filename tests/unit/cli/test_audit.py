"""`shuangcheng audit` before it looks: what is missing or no address is said, with status 2 and without a secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli.main import app

KAFKA = ("--kafka", "127.0.0.1:9092")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA", "POSTGRES", "REGISTRIES", "SECRETS", "DAY_CAP_MINUTES"):
        monkeypatch.delenv(f"SHUANGCHENG_{name}", raising=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give --kafka HOST:PORT"),
        ([*KAFKA], "give --postgres DSN, or --databases JSON"),
        (["--kafka", "nowhere", "--postgres", "postgresql://127.0.0.1/postgres"], "is no HOST:PORT"),
        ([*KAFKA, "--postgres", "mysql://audit:secret@127.0.0.1/x"], "does not begin with postgresql://"),
        ([*KAFKA, "--databases", '{"bridge": "nowhere:secret@x"}'], "an address is no postgresql://"),
        ([*KAFKA, "--databases", "/nowhere/secret.json"], "cannot read"),
        ([*KAFKA, "--databases", '{"bridge": '], "JSONDecodeError"),
        ([*KAFKA, "--databases", '{"bridge": 5}'], "give an address for each database's name"),
        (
            [*KAFKA, "--databases", '{"bridge": "postgresql://127.0.0.1/bridge"}'],
            "no address for the database of attendance, identity, opportunities",
        ),
    ],
)
def test_what_is_missing_or_no_address_is_said_before_anything_is_looked_at(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["audit", *arguments], env={"COLUMNS": "200"})
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert said in " ".join(result.stderr.split())
    assert "secret@" not in result.stderr
    assert "Traceback" not in result.stderr


def test_a_file_for_what_was_looked_at_is_tried_before_minutes_of_looking(tmp_path: Path) -> None:
    databases = '{"bridge": "postgresql://127.0.0.1/bridge"}'
    arguments = ["audit", *KAFKA, "--databases", databases, "--save", str(tmp_path / "nowhere" / "seen.xz")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "nowhere" in result.stderr
    assert "no address" not in result.stderr
