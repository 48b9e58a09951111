"""Passwords and tokens of compose: made once, readable by their owner's group only, and read back as settings."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

import pytest
import yaml

from deploy.compose.secret_files import scram_verifier, write_all
from services.chassis.base.settings import read_settings


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    for name in ("operator", "postgres", "bridge", "audit", "sandbox_gz", "sandbox_sz", "adapters"):
        (tmp_path / name).mkdir()
    write_all(tmp_path, ["gz", "sz"], ["sz"])
    return tmp_path


def files(folder: Path) -> dict[str, str]:
    return {
        str(f.relative_to(folder)): f.read_text() for f in folder.rglob("*") if f.is_file() and f.suffix != ".scram"
    }


def test_each_process_gets_its_own_files_and_a_sandbox_its_own_registrys_token_only(volumes: Path) -> None:
    assert set(files(volumes)) == {
        "operator/operator",
        "operator/passcode_gz",
        "operator/registry_gz",
        "operator/registry_sz",
        "postgres/superuser",
        "audit/password",
        "audit/shuangcheng_postgres",
        "bridge/password",
        "bridge/shuangcheng_database",
        "bridge/shuangcheng_naming_secret",
        "bridge/tokens.yaml",
        "sandbox_gz/password",
        "sandbox_gz/shuangcheng_database",
        "sandbox_gz/shuangcheng_passcode",
        "sandbox_gz/shuangcheng_system_token",
        "sandbox_gz/shuangcheng_token",
        "operator/passcode_sz",
        "operator/system_gz",
        "operator/system_sz",
        "sandbox_sz/password",
        "sandbox_sz/shuangcheng_database",
        "sandbox_sz/shuangcheng_passcode",
        "sandbox_sz/shuangcheng_system_token",
        "sandbox_sz/shuangcheng_token",
        "adapters/adapter_sz/password",
        "adapters/adapter_sz/shuangcheng_naming_secret",
        "adapters/adapter_sz/shuangcheng_database",
        "adapters/adapter_sz/shuangcheng_system_token",
        "adapters/adapter_sz/tokens.yaml",
    }
    found = files(volumes)
    assert found["sandbox_gz/shuangcheng_token"] == found["operator/registry_gz"]
    assert found["sandbox_gz/shuangcheng_passcode"] == found["operator/passcode_gz"]
    assert (volumes / "postgres" / "bridge.scram").exists()


def test_an_adapter_brings_the_token_that_its_own_registrys_system_asks_for_and_knows_no_other_registrys(
    volumes: Path,
) -> None:
    found = files(volumes)
    asked = found["sandbox_sz/shuangcheng_system_token"]
    assert (
        found["adapters/adapter_sz/shuangcheng_system_token"] == asked != found["sandbox_gz/shuangcheng_system_token"]
    )
    assert yaml.safe_load(found["adapters/adapter_sz/tokens.yaml"]) == {found["operator/operator"]: "operator"}


def test_nobody_else_may_read_them(volumes: Path) -> None:
    assert {file.stat().st_mode & 0o777 for file in volumes.rglob("*") if file.is_file()} == {0o440}


def test_a_second_run_keeps_what_is_there_and_makes_what_is_missing(volumes: Path) -> None:
    before = files(volumes)
    (volumes / "bridge" / "password").unlink()
    write_all(volumes, ["gz", "sz"], ["sz"])
    after = files(volumes)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"bridge/password", "bridge/shuangcheng_database"}


def test_a_new_seat_gets_secrets_of_its_own_and_those_of_others_stay(volumes: Path) -> None:
    before = files(volumes)
    write_all(volumes, ["fs", "gz", "sz"], ["fs", "sz"])
    after = files(volumes)
    assert {name for name in before if before[name] != after[name]} == {"bridge/tokens.yaml"}
    adapters = volumes / "adapters"
    assert files(adapters / "adapter_fs").keys() == files(adapters / "adapter_sz").keys()
    assert after["adapters/adapter_fs/shuangcheng_system_token"] == after["operator/system_fs"]
    assert after["adapters/adapter_fs/shuangcheng_naming_secret"] not in before.values()


def test_a_process_reads_its_database_from_the_folder_unless_its_environment_says_otherwise(
    volumes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = (volumes / "bridge" / "password").read_text()
    monkeypatch.setenv("SHUANGCHENG_SECRETS", str(volumes / "bridge"))
    assert read_settings().database.get_secret_value() == f"postgresql://bridge:{password}@postgres:5432/bridge"
    monkeypatch.setenv("SHUANGCHENG_DATABASE", "postgresql://elsewhere/bridge")
    assert read_settings().database.get_secret_value() == "postgresql://elsewhere/bridge"


def test_the_tokens_are_those_that_the_operator_reads(volumes: Path) -> None:
    tokens = yaml.safe_load((volumes / "bridge" / "tokens.yaml").read_text())
    assert tokens == {
        (volumes / "operator" / "operator").read_text(): "operator",
        (volumes / "operator" / "registry_gz").read_text(): "registry:gz",
        (volumes / "operator" / "registry_sz").read_text(): "registry:sz",
    }


def test_a_verifier_agrees_with_the_exchange_printed_in_rfc_7677() -> None:
    salt = "W22ZaJ0SNY7soEsUEjb6gQ=="
    exchange = (
        "n=user,r=rOprNGfwEbeRWgbNEkqO,"
        f"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s={salt},i=4096,"
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    ).encode()
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    stored, server = (
        base64.b64decode(key) for key in scram_verifier("pencil", base64.b64decode(salt)).rpartition("$")[2].split(":")
    )
    assert hmac.digest(server, exchange, "sha256") == base64.b64decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    client = bytes(a ^ b for a, b in zip(proof, hmac.digest(stored, exchange, "sha256"), strict=True))
    assert hashlib.sha256(client).digest() == stored
