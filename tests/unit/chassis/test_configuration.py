"""Files that people write: tokens and registries. Every scalar is text, and no complaint shows what may be a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.registry import Registry
from deploy.tryout.local.registries import write_registries
from services.chassis.base.configuration import ConfigurationError, read_folder
from services.chassis.base.http import Principal, read_tokens

SECRET = "geheim-geheim-geheim"
NO_REGISTRY = """
code: no
names: {zh: 某志愿, en: Some Volunteers}
division_code: 012345
capability: idempotent
system: {kind: kafka_native}
shown_rounding_minutes: 30
"""


def tokens(tmp_path: Path, text: str | bytes) -> dict[str, Principal]:
    file = tmp_path / "tokens.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_tokens(file, ["registry"])


@pytest.mark.parametrize(
    "token",
    ["1234567890123456", "1_234_567_890_123_456", "0x1234567890abcdef", "0123456701234567", "1234567890.123456e7",
     "2026-11-29T21:00:00Z", "190:20:30:10:10:10:10"],
)  # fmt: skip
def test_a_token_is_the_text_that_stands_there_whatever_yaml_makes_of_it(tmp_path: Path, token: str) -> None:
    assert tokens(tmp_path, f"{token}: operator:li\n") == {token: Principal("operator", name="li")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{SECRET}\n", "expected a mapping"),
        (f"{SECRET}: operator\n{SECRET}2: registry: gz\n", "line 2 is no YAML"),
        (f"'{SECRET}: operator\n", "is no YAML"),
        (f"{SECRET}: operator\n\t{SECRET}: x\n", "is no YAML"),
        (f"{SECRET}: registry\n", "entry 1 is not a token"),
        (f"{SECRET}: operator\nno: operator\n", "entry 2 is not a token"),
        (f"- {SECRET}\n", "expected a mapping"),
        (f"? [{SECRET}]\n: operator\n", "is no YAML"),
        (f"{SECRET}: [operator]\n", "entry 1 is not a token"),
        (SECRET.encode("utf-16"), "is not UTF-8"),
    ],
)
def test_a_tokens_file_that_is_none_is_one_line_without_a_token(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        tokens(tmp_path, text)
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_tokens_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml: No such file"):
        read_tokens(tmp_path / "nowhere.yaml")


def _read(folder: Path | None) -> dict[str, Registry]:
    return read_folder(folder, Registry, named_by="code", variable="SHUANGCHENG_REGISTRIES")


def test_a_registrys_file_under_another_name_is_refused_to_every_service_that_reads_it(tmp_path: Path) -> None:
    (tmp_path / "yes.yaml").write_text(NO_REGISTRY, "utf-8")
    with pytest.raises(ConfigurationError, match=r"yes\.yaml: code: it is 'no', unlike the file's name"):
        _read(tmp_path)


def test_a_folder_that_no_variable_names_is_asked_for() -> None:
    with pytest.raises(ConfigurationError, match=r"set SHUANGCHENG_REGISTRIES to the folder of <code>\.yaml files"):
        _read(None)


def test_a_registrys_codes_need_no_quotes(tmp_path: Path) -> None:
    (tmp_path / "no.yaml").write_text(NO_REGISTRY, "utf-8")
    registry = _read(tmp_path)["no"]
    assert (registry.code, registry.division_code, registry.shown_rounding_minutes) == ("no", "012345", 30)


def test_a_launch_copies_a_registrys_codes_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "no.yaml").write_text(NO_REGISTRY, "utf-8")
    write_registries(tmp_path / "copy", {"no": "rest_api"}, source=tmp_path)
    registry = _read(tmp_path / "copy")["no"]
    assert (registry.code, registry.division_code, registry.system.kind) == ("no", "012345", "rest_api")


def test_a_registrys_file_that_does_not_fit_is_one_line_with_the_field(tmp_path: Path) -> None:
    (tmp_path / "no.yaml").write_text(NO_REGISTRY.replace("012345", "45"), "utf-8")
    with pytest.raises(ConfigurationError, match=r"no\.yaml: division_code: String should match") as refused:
        _read(tmp_path)
    assert "\n" not in str(refused.value)
