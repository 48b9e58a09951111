"""What is published is what the code says, and is whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from contracts.messages import message_types
from contracts.tools import publish
from contracts.topics import INNER, TEMPLATES
from tests.support.messages import valid_examples

CONTRACTS = Path(publish.__file__).parents[1]
ASYNCAPI = json.loads((CONTRACTS / "published" / "asyncapi.json").read_text("utf-8"))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "contracts"
    shutil.copytree(CONTRACTS / "published", folder / "published")
    shutil.copy(CONTRACTS / "README.md", folder)
    return folder


def test_the_published_folder_is_current() -> None:
    assert publish.main(["--check"]) == 0


def test_publishing_twice_writes_the_same_and_nothing_the_second_time(copy: Path) -> None:
    shutil.rmtree(copy / "published")
    assert len(publish.publish(copy)) == len(message_types()) + 3
    assert publish.publish(copy) == []
    for path in (CONTRACTS / "published").rglob("*.json"):
        assert (copy / path.relative_to(CONTRACTS)).read_bytes() == path.read_bytes()


def test_check_names_every_stale_file_and_changes_nothing(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schemas = copy / "published" / "schemas"
    changed = schemas / "shuangcheng.service.checked_in.v1.json"
    missing = schemas / "shuangcheng.service.checked_out.v1.json"
    extra = schemas / "shuangcheng.service.checked_twice.v1.json"
    changed.write_text(changed.read_text("utf-8").replace("scan", "face"), "utf-8")
    missing.unlink()
    extra.write_text("{}", "utf-8")
    readme = copy / "README.md"
    readme.write_text(readme.read_text("utf-8").replace("| 14 days |", "| 15 days |"), "utf-8")
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert publish.main(["--check"], copy) == 1
    named = capsys.readouterr().out.split("\n")
    wrong = {f"stale: {path.relative_to(copy.parent)}" for path in (changed, missing, extra, readme)}
    assert {line for line in named if line} == wrong
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    assert publish.main([], copy) == 0
    assert publish.main(["--check"], copy) == 0
    assert not extra.exists()


def test_the_readme_tells_of_every_topic_and_every_message() -> None:
    readme = (CONTRACTS / "README.md").read_text("utf-8")
    for entry in (*TEMPLATES, *INNER):
        assert readme.count(f"| `{entry.name}` |") == 1
    for name in message_types():
        assert readme.count(f"(published/schemas/{name}.json)") == 1
        assert (CONTRACTS / "published" / "schemas" / f"{name}.json").is_file()


def test_published_schemas_are_valid_json_schema() -> None:
    for name in message_types():
        schema = json.loads((CONTRACTS / "published" / "schemas" / f"{name}.json").read_text("utf-8"))
        Draft202012Validator.check_schema(schema)
        assert schema["$id"].endswith(name)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from _references(part)


def test_every_reference_of_the_asyncapi_document_stays_inside_it() -> None:
    references = set(_references(ASYNCAPI))
    assert len(references) > 2 * len(message_types())
    for reference in references:
        node = ASYNCAPI
        hash_, *parts = reference.split("/")
        assert hash_ == "#"
        for part in parts:
            node = node[part]


def test_the_asyncapi_document_says_of_every_topic_what_its_entry_says() -> None:
    channels = {channel["address"]: channel for channel in ASYNCAPI["channels"].values()}
    assert set(channels) == {entry.name for entry in (*TEMPLATES, *INNER)}
    for entry in (*TEMPLATES, *INNER):
        channel = channels[entry.name]
        kafka = channel["bindings"]["kafka"]
        assert kafka["partitions"] == entry.partitions
        assert kafka["topicConfiguration"]["retention.ms"] == (entry.retention_ms or -1)
        assert kafka["topicConfiguration"]["max.message.bytes"] == 1024 * 1024
        assert set(channel["messages"]) == {message.TYPE for message in entry.messages}
        assert ("parameters" in channel) == ("{registry}" in entry.name)
        own = [o for o in ASYNCAPI["operations"].values() if ASYNCAPI["channels"][_channel_of(o)] is channel]
        sent = {o["x-party"] for o in own if o["action"] == "send"}
        received = {o["x-party"] for o in own if o["action"] == "receive"}
        assert (sent, received) == ({entry.writer}, set(entry.readers))


def _channel_of(operation: dict[str, Any]) -> str:
    return str(operation["channel"]["$ref"]).removeprefix("#/channels/")


def _validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": ASYNCAPI["components"]})


@pytest.mark.parametrize("name", sorted(message_types()))
def test_the_examples_in_the_asyncapi_document_keep_its_own_schemas(name: str) -> None:
    message = ASYNCAPI["components"]["messages"][name]
    assert len(message["examples"]) == sum(example.type == name for example in valid_examples())
    for example in message["examples"]:
        _validator(message["payload"]).validate(example["payload"])
        _validator(message["headers"]).validate(example["headers"])
    other = {**message["examples"][0]["headers"], "ce_type": "shuangcheng.other.message.v1"}
    assert not _validator(message["headers"]).is_valid(other)


def test_the_topic_list_is_plain_data_for_any_language() -> None:
    topics = json.loads((CONTRACTS / "published" / "topics.json").read_text("utf-8"))
    assert topics == publish.topic_list()
    assert {message for topic in topics for message in topic["messages"]} == set(message_types())
