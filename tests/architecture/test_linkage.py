"""The catalogue of the linkage says what the tree has."""

from __future__ import annotations

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


def test_the_services_of_the_catalogue_are_those_that_may_not_import_each_other() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    [apart] = [one for one in contracts if one["name"].startswith("services import chassis")]
    assert apart["layers"][0] == " | ".join(f"services.{name}" for name in (*SERVICES, "adapters"))


def test_each_kind_without_kafka_has_a_client_and_a_sandbox() -> None:
    assert set(CLIENTS) == CALLED
    assert set(KINDS) > CALLED


def test_every_process_of_the_catalogue_can_be_started() -> None:
    for process in processes({f"r{kind}": kind for kind in KINDS}):
        assert find_spec(f"{process.module}.__main__"), process.name
