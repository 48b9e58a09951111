"""The table of contents is whole: every message that can come has a decision, a subject, and locks in order."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml

from contracts.topics import BRIDGE_COMMANDS, INBOUND
from deploy.operate.registries import CONFIGURED
from deploy.tryout.local.registries import TRYOUT
from services.bridge.crossings import FROM_REGISTRIES
from services.bridge.policy import policy
from services.bridge.service import build
from services.bridge.settings import BridgeSettings
from services.chassis.base.configuration import ConfigurationError
from services.chassis.base.logs import configure
from tests.support.log_lines import written

DAY = timedelta(days=1)
MAY = "2026-05-01T00:00:00+08:00"


def folder(tmp_path: Path, **changes: object) -> Path:
    """The committed registries, the first with other words."""
    for file in CONFIGURED.glob("*.yaml"):
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        (tmp_path / file.name).write_text(yaml.safe_dump(content | (changes if file.stem == "gz" else {})))
    return tmp_path


def test_every_message_of_every_stream_has_one_row() -> None:
    service = build(BridgeSettings(registries=CONFIGURED))
    carried = {message for stream in service.streams for entry in stream.topics for message in entry.messages}
    assert carried == set(service.reactions)


def test_only_what_registries_may_say_is_admitted_from_them() -> None:
    assert set(FROM_REGISTRIES) == {message for entry in INBOUND for message in entry.messages}


def test_each_registry_has_a_group_of_its_own_and_a_limit_and_speaks_only_for_itself() -> None:
    streams = {stream.group: stream for stream in build(BridgeSettings(registries=CONFIGURED)).streams}
    assert set(streams) == {"bridge", "bridge.gz", "bridge.sz"}
    assert streams["bridge.gz"].sources == {"urn:shuangcheng:registry:gz"}
    assert {entry.name.split(".")[1] for entry in streams["bridge.gz"].topics} == {"gz"}
    assert streams["bridge.gz"].backlog_limit == 2000
    assert BRIDGE_COMMANDS in streams["bridge"].topics


def test_a_paused_registry_is_not_read(tmp_path: Path) -> None:
    service = build(BridgeSettings(registries=folder(tmp_path, state="paused")))
    assert {stream.group for stream in service.streams} == {"bridge", "bridge.sz"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"code": "sz"}, "code: it is 'sz', unlike the file's name"),
        ({"capability": "perhaps"}, "gz.yaml: capability"),
        ({"colour": "red"}, "gz.yaml: colour"),
        ({"policy": [{"valid_from": "2026-01-01T00:00:00"}]}, r"gz.yaml: policy.0.valid_from: .*timezone"),
        (
            {"policy": [{"valid_from": MAY}, {"valid_from": MAY}]},
            r"gz.yaml: policy: version 1 is not valid from a later",
        ),
        ({"policy": [{"valid_from": MAY, "receipt_due_seconds": 0}]}, "gz.yaml: policy.0.receipt_due_seconds"),
        ({"policy": [{"valid_from": MAY, "late_by": {"links": "a day"}}]}, "gz.yaml: policy.0.late_by.links: .*24h"),
        ({"policy": [{"valid_from": MAY, "late_by": {"links": "0h"}}]}, "gz.yaml: policy.0.late_by.links: .*24h"),
        ({"policy": [{"valid_from": MAY, "late_by": {"receipts": "24h"}}]}, "gz.yaml: policy.0.late_by.receipts"),
        ({"policy": [{"valid_from": MAY, "late_by": "unlimited"}]}, "gz.yaml: policy.0.late_by"),
    ],
)
def test_wrong_configuration_is_one_clear_sentence(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        build(BridgeSettings(registries=folder(tmp_path, **changes)))


def test_no_configuration_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="SHUANGCHENG_REGISTRIES"):
        build(BridgeSettings())
    with pytest.raises(ConfigurationError, match=r"no \*\.yaml files"):
        build(BridgeSettings(registries=tmp_path))


def test_how_long_a_receipt_may_take_is_each_homes_own_from_the_moment_on_that_its_file_says(tmp_path: Path) -> None:
    versions = [{"valid_from": MAY, "receipt_due_seconds": 90}, {"valid_from": "2026-06-01T00:00:00+08:00"}]
    values = policy(BridgeSettings(registries=folder(tmp_path, policy=versions), receipt_due=20))
    may = datetime.fromisoformat(MAY)
    seconds = [values.receipt_due_of("gz", moment).total_seconds() for moment in (may - DAY, may, may + 40 * DAY)]
    assert seconds == [20, 90, 20]
    assert values.receipt_due_of("sz", may).total_seconds() == 20
    assert values.receipt_due_of("left", may).total_seconds() == 20


def test_the_sample_of_a_policy_in_the_operators_readme_is_read_as_it_stands(tmp_path: Path) -> None:
    readme = (CONFIGURED.parent / "README.md").read_text(encoding="utf-8")
    sample = re.search(r"```yaml\n(.*?)```", readme, re.DOTALL)
    assert sample is not None
    versions = yaml.safe_load(sample[1])["policy"]
    values = policy(BridgeSettings(registries=folder(tmp_path, policy=versions)))
    for version in versions:
        limit = timedelta(seconds=version["receipt_due_seconds"])
        assert values.receipt_due_of("gz", version["valid_from"]) == limit


def test_the_seats_that_are_shipped_have_limits_and_those_for_a_first_look_differ_in_these_alone() -> None:
    shipped, first_look = (policy(BridgeSettings(registries=one)).registries for one in (CONFIGURED, TRYOUT))
    now = datetime.fromisoformat("2026-07-18T14:00:00+08:00")
    assert [seat.of_any_age(now) for seat in shipped.values()] == [None, None]
    everything = "these of its messages may have any age, as its policy says: links, signups, presence, attestations"
    assert [seat.of_any_age(now) for seat in first_look.values()] == [everything, everything]
    bare = [
        {code: seat.model_copy(update={"policy": ()}) for code, seat in one.items()} for one in (shipped, first_look)
    ]
    assert bare[0] == bare[1]


def test_the_start_says_which_seats_take_messages_of_any_age(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = {"valid_from": "2999-01-01T00:00:00+08:00"}
    free = {"valid_from": MAY, "late_by": {"links": "unlimited"}}
    with written(capsys, configure, "bridge") as lines:
        build(BridgeSettings(registries=CONFIGURED))
        assert lines() == []
        for version, words in ((later, "no version of its policy is in force"), (free, "as its policy says: links")):
            build(BridgeSettings(registries=folder(tmp_path, policy=[version])))
            [line] = lines()
            assert (line["event"], line["level"], line["name"]) == ("messages of any age", "warning", "gz")
            assert line["detail"].endswith(words)
