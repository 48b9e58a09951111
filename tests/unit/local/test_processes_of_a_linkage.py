"""Which processes, databases and configuration a launch has, by the kinds of its registries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.linkage import SERVICES
from deploy.operate.errors import EnvironmentProblem
from deploy.tryout.local.registries import write_registries
from deploy.tryout.local.specs import databases, process_table


def test_a_registry_with_kafka_needs_no_adapter() -> None:
    names = [spec.name for spec in process_table({"gz": "kafka_native"})]
    assert names == [*SERVICES, "sandbox_gz"]


def test_a_registry_without_kafka_gets_an_adapter_that_calls_it() -> None:
    table = {spec.name: spec for spec in process_table({"sz": "rest_api"})}
    assert not table["sandbox_sz"].reads_kafka
    assert table["adapter_sz"].module == "services.adapters"
    assert table["adapter_sz"].registry == "sz"


def test_with_pages_there_is_the_operators_page_too_which_has_no_database() -> None:
    table = process_table({"gz": "kafka_native"}, pages=True)
    assert [(spec.name, spec.database, spec.migrates, spec.reads_kafka) for spec in table[-1:]] == [
        ("operator", "", False, False)
    ]
    assert databases(table) == databases(process_table({"gz": "kafka_native"}))


def test_swapping_kinds_moves_the_adapter() -> None:
    swapped = {spec.name for spec in process_table({"gz": "rest_api", "sz": "kafka_native"})}
    assert "adapter_gz" in swapped
    assert "adapter_sz" not in swapped


def test_two_instances_share_a_database_and_one_of_them_migrates() -> None:
    table = process_table({}, instances=2)
    bridges = [spec for spec in table if spec.database == "bridge"]
    assert [(spec.name, spec.instance, spec.migrates) for spec in bridges] == [
        ("bridge", 0, True),
        ("bridge-1", 1, False),
    ]
    assert databases(table) == list(SERVICES)


def test_every_process_of_a_registry_has_a_database_of_its_own() -> None:
    assert databases(process_table({"gz": "rest_api", "sz": "kafka_native"}))[len(SERVICES) :] == [
        "sandbox_gz",
        "adapter_gz",
        "sandbox_sz",
    ]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(EnvironmentProblem, match="no kind of registry"):
        process_table({"gz": "csv"})


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    (tmp_path / "configured").mkdir()
    text = (
        "code: gz\nnames: {zh: 志愿时}\nsystem: {kind: rest_api}\ncapability: idempotent\nshown_rounding_minutes: 30\n"
    )
    (tmp_path / "configured" / "gz.yaml").write_text(text, encoding="utf-8")
    return tmp_path / "configured"


def written(target: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load((target / "gz.yaml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    return found


def test_a_registry_on_its_own_system_is_as_configured(configured: Path, tmp_path: Path) -> None:
    write_registries(tmp_path / "target", {"gz": "rest_api"}, source=configured)
    assert written(tmp_path / "target") == written(configured)


def test_a_swapped_system_brings_its_own_rounding_and_keeps_the_names(configured: Path, tmp_path: Path) -> None:
    write_registries(tmp_path / "target", {"gz": "kafka_native"}, capabilities={"gz": "queryable"}, source=configured)
    assert written(tmp_path / "target") == {
        "code": "gz",
        "names": {"zh": "志愿时"},
        "system": {"kind": "kafka_native"},
        "capability": "queryable",
    }


def test_a_registry_without_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="no configuration of the registry 'xx'"):
        write_registries(tmp_path / "target", {"xx": "kafka_native"}, source=tmp_path)
