"""The table of environment variables in deploy/README.md says what the settings, compose.yaml and the code say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from deploy.operator.settings import OperatorSettings
from deploy.tryout.sandbox.settings import SandboxSettings
from services.chassis.base.settings import Settings

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `([A-Z_]+)`( †)? \| (none|`[^`]*`) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
VARIABLE = re.compile(r"\bSHUANGCHENG_[A-Z_]*[A-Z]\b|\bREQUIRE_REAL_KAFKA\b")
IN_COMPOSE = re.compile(r"\$\{([A-Z_]+):-([^}]*)\}")


def rows() -> dict[str, tuple[str, bool, str]]:
    """By variable: default, whether compose passes it on, and the rest of the row."""
    text = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    return {
        name: (default.strip("`"), bool(mark), reader + what) for name, mark, default, reader, what in ROW.findall(text)
    }


def defaults(settings: type[BaseSettings]) -> Iterator[tuple[str, str]]:
    for name, field in settings.model_fields.items():
        value = field.get_default()
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if isinstance(value, float):
            value = f"{value:g}"
        yield f"SHUANGCHENG_{name.upper()}", "none" if value is None or field.is_required() else str(value)


@pytest.mark.parametrize(("variable", "default"), list(defaults(Settings)))
def test_a_setting_of_a_service_stands_in_the_table_with_its_default(variable: str, default: str) -> None:
    assert rows()[variable][0] == default


@pytest.mark.parametrize(("variable", "default"), list(defaults(SandboxSettings)))
def test_a_setting_of_a_sandbox_stands_in_the_table_with_its_default(variable: str, default: str) -> None:
    told, _, text = rows()[variable]
    assert told == default or f"a sandbox's default is `{default}`" in text


@pytest.mark.parametrize(("variable", "default"), list(defaults(OperatorSettings)))
def test_a_setting_of_the_operators_page_stands_in_the_table_with_its_default(variable: str, default: str) -> None:
    told, _, text = rows()[variable]
    assert told == default or f"the operators' page's default is `{default}`" in text


def test_the_variables_of_compose_are_those_marked_with_the_same_defaults() -> None:
    found = dict(IN_COMPOSE.findall((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")))
    assert found == {name: default for name, (default, marked, _) in rows().items() if marked}


def test_the_table_holds_every_variable_that_the_code_reads_and_no_other() -> None:
    places = [*ROOT.glob("services/**/*.py"), *ROOT.glob("deploy/**/*.py"), *ROOT.glob("tests/support/backends.py")]
    named = {name for file in places for name in VARIABLE.findall(file.read_text(encoding="utf-8"))}
    settings = {name for kind in (Settings, SandboxSettings, OperatorSettings) for name, _ in defaults(kind)}
    in_compose = {name for name, (_, marked, _) in rows().items() if marked}
    assert rows().keys() == named | settings | in_compose
