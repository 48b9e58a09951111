"""Commands for operations load nothing of what is for a first look."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from deploy.cli.main import TRYOUT, app

_SHOW = "import sys; from deploy.cli.main import main; sys.argv[1:] = {arguments}; main()"
_LOADED = (
    "import atexit, sys; atexit.register(lambda: print(*sorted(m for m in sys.modules if m.startswith('deploy.'))));"
)


@pytest.mark.parametrize(
    "arguments", [["topics", "--help"], ["send", "--help"], ["transfers", "--help"], ["audit", "--help"]]
)
def test_a_command_for_operations_loads_no_module_for_a_first_look(arguments: list[str]) -> None:
    """Each loaded the launcher, the demo and both kinds of broker."""
    command = [sys.executable, "-c", _LOADED + _SHOW.format(arguments=arguments)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.splitlines()[-1]
    loaded = set(said.split())
    assert "deploy.cli.main" in loaded
    assert {"deploy.tryout.local.stack", "deploy.tryout.demo.play", "deploy.tryout.cli.up"} & loaded == set()
    assert "deploy.audit.report" not in loaded, "judging is loaded when somebody asks for it"


@pytest.mark.parametrize("name", TRYOUT)
def test_each_command_for_a_first_look_is_listed_and_explains_itself(name: str) -> None:
    listed = CliRunner().invoke(app, ["--help"])
    assert name in listed.output
    asked = CliRunner().invoke(app, [name, "--help"])
    assert asked.exit_code == 0
    assert f"{name} [OPTIONS]" in asked.output


def test_an_unknown_command_is_named_in_the_error() -> None:
    result = CliRunner().invoke(app, ["upp"])
    assert result.exit_code == 2
    assert "No such command 'upp'" in result.output
