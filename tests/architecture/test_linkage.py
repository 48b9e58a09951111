"""The catalogue of the linkage says what the tree has."""

from __future__ import annotations

import re
import tomllib
from importlib.util import find_spec
from pathlib import Path

from deploy.linkage import CALLED, SERVICES, processes
from deploy.tryout.local.specs import KINDS
from services.adapters.service import KINDS as CLIENTS

ROOT = Path(__file__).parents[2]


def test_every_service_of_the_tree_is_in_the_catalogue() -> None:
    packages = {file.parent.name for file in (ROOT / "services").glob("*/__main__.py")}
    assert packages == {*SERVICES, "adapters"}


def test_the_rules_on_imports_name_all_services_and_all_rules_by_one_pattern() -> None:
    """So they hold for a service that is new. ``tests/unit/recipes`` shows that they do."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    [apart] = [one for one in contracts if one["name"].startswith("services import chassis")]
    [pure] = [one for one in contracts if one["name"].startswith("rules are pure")]
    assert (apart["modules"], apart["type"]) == (["services.*"], "independence")
    assert "services.*.rules" in pure["source_modules"]


def test_every_service_of_the_catalogue_has_its_row_among_the_services() -> None:
    rows = re.findall(r"^\| \[(\w+)\]\(\1/README\.md\) \|", (ROOT / "services" / "README.md").read_text("utf-8"), re.M)
    assert rows == [*SERVICES, "adapters"]


def test_every_service_of_the_catalogue_has_rows_that_the_outside_checker_expects_and_tests_of_its_own() -> None:
    projections = "".join(file.read_text("utf-8") for file in (ROOT / "deploy" / "audit" / "projections").glob("*.py"))
    assert set(SERVICES) == set(re.findall(r'Expected\(\s*"(\w+)"', projections))
    folders = [ROOT / "tests" / kind / name for name in SERVICES for kind in ("unit", "integration")]
    assert [str(folder) for folder in folders if not list(folder.glob("test_*.py"))] == []


def test_each_kind_without_kafka_has_a_client_and_a_sandbox() -> None:
    assert set(CLIENTS) == CALLED
    assert set(KINDS) > CALLED


def test_every_process_of_the_catalogue_can_be_started() -> None:
    for process in processes({f"r{kind}": kind for kind in KINDS}):
        assert find_spec(f"{process.module}.__main__"), process.name
