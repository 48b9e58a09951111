"""deploy/compose.yaml read without an engine: it runs what the launcher runs, pinned and restarted as it should be."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from deploy.linkage import ADAPTERS, OPERATOR, PAGES, PORTS, RECREATED, SERVICES, container_of
from deploy.operate.registries import CONFIGURED, configured_codes
from deploy.operator.settings import OperatorSettings
from deploy.tryout.local.broker_java import KAFKA_VERSION
from deploy.tryout.local.registries import TRYOUT
from deploy.tryout.local.specs import process_table

DEPLOY = Path(__file__).parents[2] / "deploy"
FILE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
CONTAINERS: dict[str, dict[str, Any]] = FILE["services"]
KINDS = {
    code: yaml.safe_load((CONFIGURED / f"{code}.yaml").read_text(encoding="utf-8"))["system"]["kind"]
    for code in configured_codes()
}


def test_every_process_of_the_launcher_runs_here_after_its_own_migration() -> None:
    for spec in process_table(KINDS):
        if container_of(spec.name) == ADAPTERS:
            continue  # see below
        name = spec.name.replace("_", "-")
        job = f"migrate-{name}"
        assert CONTAINERS[name]["command"] == ["python", "-m", spec.module]
        assert CONTAINERS[job]["command"] == ["python", "-m", spec.module, "migrate"]
        assert CONTAINERS[name]["depends_on"][job] == {"condition": "service_completed_successfully"}
        assert CONTAINERS[name]["environment"] == CONTAINERS[job]["environment"]
        assert CONTAINERS[name]["environment"].get("SHUANGCHENG_REGISTRY") == spec.registry


def test_all_adapters_run_in_one_container_that_reads_the_seats_and_names_none() -> None:
    container = CONTAINERS[ADAPTERS]
    assert container["command"] == ["python", "-m", "deploy.compose.adapters"]
    assert "SHUANGCHENG_REGISTRY" not in container["environment"]
    assert not [name for name in (*CONTAINERS, *FILE["volumes"]) if "adapter" in name and not name.endswith(ADAPTERS)]


def test_whoever_reads_the_seats_reads_the_folder_that_the_operator_names() -> None:
    seats = "${SHUANGCHENG_SEATS:-./registries}:/etc/shuangcheng/registries:ro"
    for name in (*RECREATED, OPERATOR):
        assert seats in CONTAINERS[name]["volumes"], name
    assert "registries:/etc" not in (DEPLOY / "Dockerfile").read_text("utf-8")


def test_the_seats_for_a_first_look_are_there_and_only_who_names_them_gets_them() -> None:
    [named] = re.findall(r"^export SHUANGCHENG_SEATS=(\S+)", (DEPLOY / "README.md").read_text("utf-8"), re.MULTILINE)
    assert (DEPLOY / named).resolve() == TRYOUT
    assert configured_codes(TRYOUT) == configured_codes()
    assert "tryout/registries" not in (DEPLOY / "compose.yaml").read_text("utf-8")


def test_the_command_after_a_change_of_a_seat_starts_again_whatever_reads_the_seats() -> None:
    assert f"--force-recreate {' '.join(RECREATED)}\n" in (DEPLOY / "README.md").read_text("utf-8")


def test_each_service_has_a_twin_without_a_port_of_which_there_are_none_by_default() -> None:
    for name in SERVICES:
        assert CONTAINERS[f"{name}-twin"] == CONTAINERS[name] | {"ports": [], "scale": 0}
        assert "SHUANGCHENG_INSTANCE" not in CONTAINERS[name]["environment"]


def test_the_databases_of_services_and_adapters_follow_from_the_catalogue_and_the_seats() -> None:
    assert CONTAINERS["databases"]["command"] == ["python", "-m", "deploy.compose.databases"]
    of_sandboxes = {spec.database for spec in process_table(KINDS) if spec.database and not spec.ours}
    assert set(CONTAINERS["databases-sandbox"]["command"][3:]) == of_sandboxes


def test_the_operators_page_asks_every_service_and_adapter_and_is_given_nothing_else() -> None:
    page = CONTAINERS["operator"]
    asked = json.loads(page["environment"]["SHUANGCHENG_SERVICES"])
    assert asked == {name: f"http://{name}:8080" for name in SERVICES}
    assert page["environment"]["SHUANGCHENG_ADAPTERS_URL"] == f"http://{ADAPTERS}:8080"
    assert page["command"] == ["python", "-m", "deploy.operator"]
    assert len(page["volumes"]) == 1, "the seats, and no secret"
    given = {name.removeprefix("SHUANGCHENG_").lower() for name in page["environment"]}
    assert given == set(OperatorSettings.model_fields)


def test_every_process_is_published_on_its_port_of_the_catalogue() -> None:
    for name, port in (PORTS | PAGES).items():
        published = f"127.0.0.1:${{SHUANGCHENG_{name.upper()}_PORT:-{port}}}:8080"
        assert CONTAINERS[name.replace("_", "-")]["ports"] == [published]
    others = {name for name, container in CONTAINERS.items() if container.get("ports")}
    assert others == {name.replace("_", "-") for name in PORTS | PAGES} | {"kafka"}


def test_the_job_of_secrets_has_a_folder_for_each_database_of_the_catalogue() -> None:
    folders = {
        found[1] for volume in CONTAINERS["secrets"]["volumes"] if (found := re.search(r":/secrets/(\w+)$", volume))
    }
    of_roles = {spec.database for spec in process_table(KINDS) if container_of(spec.name) != ADAPTERS}
    assert folders == of_roles | {ADAPTERS, OPERATOR, "postgres", "audit"}


def test_the_auditor_is_given_its_own_role_alone_and_the_registries_files() -> None:
    auditor = CONTAINERS["audit"]
    assert auditor["entrypoint"] == ["shuangcheng", "audit"]
    assert auditor["volumes"] == [
        "secrets-audit:/run/shuangcheng:ro",
        "${SHUANGCHENG_SEATS:-./registries}:/etc/shuangcheng/registries:ro",
    ]
    assert auditor["networks"] == ["inside"]


def test_what_runs_on_is_restarted_and_looked_after_and_what_ends_is_not() -> None:
    for name, container in CONTAINERS.items():
        runs_on = "healthcheck" in container
        assert container["restart"] == ("unless-stopped" if runs_on else "no"), name
        assert container["cap_drop"] == ["ALL"], name
        assert container.get("read_only") or name == "kafka", name  # it writes its own configuration
        assert "max-size" in container["logging"]["options"], name


def test_images_have_a_version_and_kafka_is_the_one_that_the_launcher_runs() -> None:
    assert "version" not in FILE
    assert CONTAINERS["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    assert not [name for name, one in CONTAINERS.items() if not re.search(r":[\w.-]+(}|$)", one["image"])]
    assert not [name for name, one in CONTAINERS.items() if one["image"].endswith("latest")]


def test_the_image_has_a_folder_for_each_volume_of_secrets() -> None:
    # a volume without one would belong to root, and the job could not write into it
    in_image = re.search(r"for owner in \$\(\S+ -c '(.+)'\);", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))
    mounted = [
        volume.rpartition("/secrets/")[2] for volume in CONTAINERS["secrets"]["volumes"] if ":/secrets/" in volume
    ]
    assert in_image
    run = [sys.executable, "-c", in_image[1]]
    made = subprocess.run(run, cwd=DEPLOY.parent, capture_output=True, text=True, check=True).stdout
    assert sorted(made.split()) == sorted(mounted)


def test_nobody_who_replays_is_called_unhealthy_while_the_runbook_waits() -> None:
    # `up --wait` ends at once with status 1 when its container is unhealthy, whatever its --wait-timeout says
    waits = [int(found) for found in re.findall(r"--wait-timeout (\d+)", (DEPLOY / "RUNBOOKS.md").read_text("utf-8"))]
    for name in (*SERVICES, ADAPTERS):
        period = re.fullmatch(r"(\d+)h", CONTAINERS[name]["healthcheck"]["start_period"])
        assert period is not None, name
        assert int(period[1]) * 3600 > max(waits), name


def test_no_command_that_people_are_told_waits_for_ever_for_a_process_that_starts_over_and_over() -> None:
    pages = (DEPLOY.parent / "README.md", *(DEPLOY / name for name in ("README.md", "RUNBOOKS.md", "compose.yaml")))
    told = [command for page in pages for command in re.findall(r"up -d --wait[^`\n]*", page.read_text("utf-8"))]
    assert len(told) > 9
    assert [command for command in told if "--wait-timeout" not in command] == []
