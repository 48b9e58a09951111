"""`shuangcheng registries`: a seat is one file, checked before anything is written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from contracts.registry import LateBy, Registry
from deploy.cli.main import app
from deploy.linkage import RECREATED, SERVICES
from deploy.operate.ports import free_port
from deploy.operate.registries import CONFIGURED, read_seat

FS = (
    "--zh 佛山 --en Foshan --division 440600 --capability queryable --kind rest_api --address http://hours.example:8080"
)


@pytest.fixture(autouse=True)
def seats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The committed seats in a folder of their own; no broker listens."""
    folder = tmp_path / "seats"
    folder.mkdir()
    for file in CONFIGURED.glob("*.yaml"):
        (folder / file.name).write_bytes(file.read_bytes())
    monkeypatch.setenv("SHUANGCHENG_REGISTRIES", str(folder))
    monkeypatch.setenv("SHUANGCHENG_KAFKA_PORT", str(free_port()))
    monkeypatch.delenv("SHUANGCHENG_KAFKA", raising=False)
    return folder


def done(arguments: str, status: int = 0, stdin: str = "") -> str:
    """What the command prints on both outputs."""
    result = CliRunner().invoke(app, ["registries", *arguments.split()], input=stdin)
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return result.output


def test_a_seat_is_added_as_one_file_that_the_services_of_another_user_can_read(seats: Path) -> None:
    said = done(f"add fs {FS}")
    seat = read_seat(seats / "fs.yaml")
    assert (seat.code, seat.names.zh, seat.system.address) == ("fs", "佛山", "http://hours.example:8080")
    assert (seats / "fs.yaml").stat().st_mode & 0o777 == 0o644
    assert "佛山 (Foshan), active, queryable" in said
    assert sorted(file.name for file in seats.iterdir()) == ["fs.yaml", "gz.yaml", "sz.yaml"]


def test_the_operator_is_told_the_whole_command_that_comes_next_and_where_the_tokens_are(seats: Path) -> None:
    said = done(f"add fs {FS}")
    [command] = [line.strip() for line in said.splitlines() if "--force-recreate" in line]
    compose = f"SHUANGCHENG_SEATS={seats.resolve()} docker compose -f deploy/compose.yaml"
    assert command == f"{compose} up -d --wait --wait-timeout 300 --force-recreate {' '.join(RECREATED)}"
    assert {"secrets", "topics", "databases", *SERVICES} <= set(command.split())
    assert f"{compose} run --rm -T secrets cat /secrets/operator/system_fs" in said
    assert f"{compose} run --rm -T secrets cat /secrets/operator/registry_fs" in said
    assert "no broker answers" in said
    assert "shuangcheng topics" in said


def test_a_registry_with_kafka_needs_no_address_and_no_token_of_a_system() -> None:
    document = json.loads(
        done("add hz --zh 惠州 --en Huizhou --division 441300 --capability neither --kind ours --json")
    )
    assert document["topics"] is None
    assert not [step for step in document["next"] if "system_hz" in step["command"]]


@pytest.mark.parametrize("source", ["file", "-"])
def test_a_seats_file_is_taken_word_by_word(seats: Path, tmp_path: Path, source: str) -> None:
    text = (seats / "sz.yaml").read_text("utf-8").replace("code: sz", "code: fs # the third")
    (tmp_path / "file").write_text(text, "utf-8")
    done(f"add fs --from {tmp_path / 'file' if source == 'file' else '-'}", stdin=text)
    assert (seats / "fs.yaml").read_text("utf-8") == text


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("code: sz", "code: gz"), "code: the file speaks of 'gz' and the seat is 'fs'"),
        (("code: sz", "code: [fs"), "is no YAML"),
        (("440300", "4403"), "division_code: "),
        (("capability: idempotent", "capability: perhaps"), "capability: "),
        (("  address: http://sandbox-sz:8080", "  # address"), "system.address: is missing"),
        (("kind: rest_api", "kind: fax"), "system.kind: no adapter calls systems of the kind fax (there is rest_api)"),
        (("http://sandbox-sz:8080", "sandbox-sz:8080"), "system.address: is no http://HOST:PORT"),
        (("http://sandbox-sz:8080", "http://u:secret@sz:8080"), "system.address: holds a name or a password"),
        (
            ("system:\n  kind: rest_api\n  address: http://sandbox-sz:8080", "system: rest_api"),
            "system: is a map of kind",
        ),
        (("state: active", "mood: good"), "mood: "),
    ],
)
def test_a_file_that_is_wrong_is_named_with_path_and_reason_and_nothing_is_written(
    seats: Path, tmp_path: Path, change: tuple[str, str], complaint: str
) -> None:
    text = (seats / "sz.yaml").read_text("utf-8").replace("code: sz", "code: fs")
    file = tmp_path / "given.yaml"
    file.write_text(text.replace(change[0].replace("code: sz", "code: fs"), change[1]), "utf-8")
    said = done(f"add fs --from {file}", status=2)
    assert f"{file}: " in said
    assert complaint in said
    assert "What to do: " in said
    assert "secret" not in said
    assert not (seats / "fs.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (f"add sz {FS}", "the seat 'sz' is taken"),
        (f"add FS {FS}", "'FS' is no registry's code"),
        (f"add ../fs {FS}", "'../fs' is no registry's code"),
        ("add fs --zh 佛山", "missing: --en, --division, --capability, --kind"),
        (f"add fs --from x.yaml {FS}", "beside --from"),
        ("add fs --from /nowhere.yaml", "cannot read /nowhere.yaml: No such file"),
        (f"add fs {FS} --folder /nowhere", "/nowhere is no folder"),
        (f"add fs {FS} --kafka 127.0.0.1:1", "no Kafka broker answers at 127.0.0.1:1"),
    ],
)
def test_what_cannot_be_added_is_refused_and_nothing_is_written(seats: Path, arguments: str, complaint: str) -> None:
    before = {file.name: file.read_bytes() for file in seats.iterdir()}
    said = done(arguments, status=2)
    assert complaint in said
    assert "What to do: " in said
    assert {file.name: file.read_bytes() for file in seats.iterdir()} == before


def test_all_seats_are_listed(seats: Path) -> None:
    assert [line.split()[0] for line in done("list").splitlines()] == ["gz", "sz"]
    assert {code: Registry.model_validate(seat).code for code, seat in json.loads(done("list --json")).items()} == {
        "gz": "gz",
        "sz": "sz",
    }


def test_every_wrong_seat_is_told_at_once(seats: Path) -> None:
    assert "2 seats" in done("check")
    content = yaml.safe_load((seats / "gz.yaml").read_text("utf-8"))
    (seats / "aa.yaml").write_text(yaml.safe_dump(content))
    (seats / "bb.yaml").write_text("code: [")
    said = done("check", status=1)
    assert f"{seats / 'aa.yaml'}: code: the file speaks of 'gz'" in said
    assert f"{seats / 'bb.yaml'}: line 1 is no YAML" in said
    assert "4 seats" in said
    assert set(json.loads(done("check --json", status=1))["wrong"]) == {"aa", "bb"}


def test_a_seat_that_is_added_by_options_has_limits_from_its_first_message_on(seats: Path) -> None:
    before = datetime.now(UTC)
    done(f"add fs {FS}")
    [version] = read_seat(seats / "fs.yaml").policy
    assert version.valid_from <= datetime.now(UTC)
    assert version.valid_from > before - timedelta(seconds=1)
    assert version.late_by == LateBy()
    assert "24h" in (seats / "fs.yaml").read_text("utf-8"), "where whoever changes it sees it"


def test_checking_says_which_seats_take_messages_of_any_age(seats: Path) -> None:
    assert "any age" not in done("check")
    text = (seats / "gz.yaml").read_text("utf-8")
    (seats / "gz.yaml").write_text(text.replace("presence: 7d", "presence: unlimited"), "utf-8")
    assert "gz: these of its messages may have any age, as its policy says: presence" in done("check")
    assert set(json.loads(done("check --json"))["of_any_age"]) == {"gz"}
