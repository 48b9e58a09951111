"""The table of contents is whole: every message that can come has a decision, a subject, and locks in order."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from contracts.topics import BRIDGE_COMMANDS, INBOUND
from deploy.local.registries import CONFIGURED
from services.bridge.rules.names import _SUBJECT_OF
from services.bridge.service import FROM_REGISTRIES, build
from services.chassis.configuration import ConfigurationError
from services.chassis.settings import Settings


def folder(tmp_path: Path, **changes: object) -> Path:
    """The committed registries, the first with other words."""
    for file in CONFIGURED.glob("*.yaml"):
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        (tmp_path / file.name).write_text(yaml.safe_dump(content | (changes if file.stem == "gz" else {})))
    return tmp_path


def test_every_message_of_every_stream_has_a_decision_and_a_subject() -> None:
    service = build(Settings(registries=CONFIGURED))
    carried = {message for stream in service.streams for entry in stream.topics for message in entry.messages}
    assert carried == set(service.decisions)
    assert carried <= set(_SUBJECT_OF)


def test_only_what_registries_may_say_is_admitted_from_them() -> None:
    assert set(FROM_REGISTRIES) == {message for entry in INBOUND for message in entry.messages}


def test_each_registry_has_a_group_of_its_own_and_a_limit_and_speaks_only_for_itself() -> None:
    streams = {stream.group: stream for stream in build(Settings(registries=CONFIGURED)).streams}
    assert set(streams) == {"bridge", "bridge.gz", "bridge.sz"}
    assert streams["bridge.gz"].sources == {"urn:shuangcheng:registry:gz"}
    assert {entry.name.split(".")[1] for entry in streams["bridge.gz"].topics} == {"gz"}
    assert streams["bridge.gz"].backlog_limit == 2000
    assert BRIDGE_COMMANDS in streams["bridge"].topics


def test_a_paused_registry_is_not_read(tmp_path: Path) -> None:
    service = build(Settings(registries=folder(tmp_path, state="paused")))
    assert {stream.group for stream in service.streams} == {"bridge", "bridge.sz"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"code": "sz"}, "speaks of registry 'sz'"),
        ({"capability": "perhaps"}, "gz.yaml: capability"),
        ({"colour": "red"}, "gz.yaml: colour"),
    ],
)
def test_wrong_configuration_is_one_clear_sentence(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        build(Settings(registries=folder(tmp_path, **changes)))


def test_no_configuration_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="SHUANGCHENG_REGISTRIES"):
        build(Settings())
    with pytest.raises(ConfigurationError, match=r"no \*\.yaml files"):
        build(Settings(registries=tmp_path))
