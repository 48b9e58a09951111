"""The gate within a version: optional additions pass, everything else is a break with its place."""

from __future__ import annotations

import copy
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.tools import compatibility
from contracts.tools.bases import Edition, from_folder
from contracts.tools.compatibility import compare, current
from contracts.tools.schema_breaks import schema_breaks

NOW = current()
PUBLISHED = Path(compatibility.__file__).parents[1] / "published"
CREDIT = "shuangcheng.deliveries.credit_posted.v1"
CONFIRMED = "shuangcheng.attendance.service_confirmed.v1"
SHIFT = "shuangcheng.shifts.shift_published.v1"
Schema = dict[str, Any]


def _schema(name: str) -> Schema:
    return copy.deepcopy(dict(NOW.schemas[name]))


def _changed(name: str, change: Callable[[Schema], object]) -> list[str]:
    schema = _schema(name)
    change(schema)
    return schema_breaks(NOW.schemas[name], schema)


BREAKS: dict[str, tuple[str, Callable[[Schema], object]]] = {
    "field removed": (CREDIT, lambda s: s["properties"].pop("delta")),
    "optional field removed": (SHIFT, lambda s: s["properties"].pop("waitlist_posts")),
    "field renamed": (CREDIT, lambda s: s["properties"].update(sum=s["properties"].pop("total"))),
    "newly required": (SHIFT, lambda s: s["required"].append("minimum_age")),
    "added and required": (SHIFT, lambda s: (s["properties"].update(x={"type": "string"}), s["required"].append("x"))),
    "no longer required": (CREDIT, lambda s: s["required"].remove("delta")),
    "nothing required": (CREDIT, lambda s: s.pop("required")),
    "type changed": (CREDIT, lambda s: s["properties"]["total"].update(type="string")),
    "type widened": (CREDIT, lambda s: s["properties"]["total"].update(type=["integer", "null"])),
    "maximum narrowed": (CREDIT, lambda s: s["properties"]["total"].update(maximum=720)),
    "maximum widened": (CREDIT, lambda s: s["properties"]["total"].update(maximum=2880)),
    "minimum gone": (CREDIT, lambda s: s["properties"]["delta"].pop("minimum")),
    "bound added": (CREDIT, lambda s: s["properties"]["total"].update(exclusiveMaximum=1440)),
    "pattern changed": (CREDIT, lambda s: s["properties"]["volunteer_ref"].update(pattern="^[a-z]+$")),
    "format changed": (CREDIT, lambda s: s["properties"]["transfer_id"].update(format="uri")),
    "length narrowed": (SHIFT, lambda s: s["$defs"]["Place"]["properties"]["text"].update(maxLength=20)),
    "enum narrowed": (CREDIT, lambda s: s["$defs"]["EvidenceClass"]["enum"].remove("roster")),
    "enum widened": (CREDIT, lambda s: s["$defs"]["EvidenceClass"]["enum"].append("drone")),
    "enum became free text": (CREDIT, lambda s: s["$defs"]["EvidenceClass"].pop("enum")),
    "pattern in an alternative": (
        CREDIT,
        lambda s: s["$defs"]["ServiceRecord"]["properties"]["reason_code"]["anyOf"][0].update(pattern="^x$"),
    ),
    "alternative removed": (
        CREDIT,
        lambda s: s["$defs"]["ServiceRecord"]["properties"]["reason_code"]["anyOf"].pop(),
    ),
    "nested field removed": (CREDIT, lambda s: s["$defs"]["ServiceRecord"]["properties"].pop("break_minutes")),
    "nested newly required": (CREDIT, lambda s: s["$defs"]["ServiceRecord"]["required"].append("attested_by")),
    "default changed": (SHIFT, lambda s: s["properties"]["minimum_age"].update(default=18)),
    "default gone": (SHIFT, lambda s: s["properties"]["minimum_age"].pop("default")),
    "default false for 0": (SHIFT, lambda s: s["properties"]["minimum_age"].update(default=False)),
    "id changed": (SHIFT, lambda s: s.update({"$id": "urn:other"})),
    "closed to unknown fields": (SHIFT, lambda s: s.update(additionalProperties=False)),
    "keyword unknown": (SHIFT, lambda s: s["properties"]["posts"].update(contentEncoding="base64")),
    "keyword unknown in a part": (SHIFT, lambda s: s["$defs"]["Place"].update(dependentRequired={"text": []})),
    "reference to nowhere": (CREDIT, lambda s: s["properties"].update(record={"$ref": "#/$defs/Other"})),
    "reference outside": (CREDIT, lambda s: s["properties"].update(record={"$ref": "other.json"})),
    "boolean schema": (CREDIT, lambda s: s["properties"].update(total=True)),
    "added field with an unknown keyword": (SHIFT, lambda s: s["properties"].update(x={"oneOf": []})),
    "added field that is a boolean schema": (SHIFT, lambda s: s["properties"].update(x=True)),
}
ADDITIONS: dict[str, tuple[str, Callable[[Schema], object]]] = {
    "nothing": (CREDIT, lambda s: None),
    "optional field": (CREDIT, lambda s: s["properties"].update(note={"type": "string", "maxLength": 9})),
    "optional field or null": (
        CREDIT,
        lambda s: s["properties"].update(at={"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}),
    ),
    "optional field of a known part": (CREDIT, lambda s: s["properties"].update(old=s["properties"]["record"])),
    "optional field in a part": (CREDIT, lambda s: s["$defs"]["ServiceRecord"]["properties"].update(x={"const": 1})),
    "words": (CREDIT, lambda s: s["properties"]["delta"].update(description="other words", title="Delta")),
    "order of enum": (CREDIT, lambda s: s["$defs"]["EvidenceClass"]["enum"].reverse()),
    "order of required": (CREDIT, lambda s: s["required"].reverse()),
    "a part got another name": (
        CONFIRMED,
        lambda s: (
            s["$defs"].update(Service=s["$defs"].pop("ServiceRecord")),
            s["properties"].update(record={"$ref": "#/$defs/Service"}),
        ),
    ),
}


@pytest.mark.parametrize("case", BREAKS)
def test_a_break_is_found(case: str) -> None:
    assert _changed(*BREAKS[case])


@pytest.mark.parametrize("case", ADDITIONS)
def test_an_optional_addition_passes(case: str) -> None:
    assert _changed(*ADDITIONS[case]) == []


def test_a_break_is_told_with_its_place_and_both_values() -> None:
    def shorter(schema: Schema) -> None:
        schema["$defs"]["ServiceRecord"]["properties"]["break_minutes"].update(maximum=60)

    [line] = _changed(CONFIRMED, shorter)
    assert line == "/record/break_minutes: maximum was 1440, is 60"


@given(st.sampled_from(sorted(NOW.schemas)), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_order_and_words_never_matter(name: str, chance: random.Random) -> None:
    assert schema_breaks(NOW.schemas[name], _shuffled(_schema(name), chance)) == []


def _shuffled(node: Any, chance: random.Random) -> Any:
    if not isinstance(node, dict):
        return [_shuffled(part, chance) for part in node] if isinstance(node, list) else node
    items = [(name, _shuffled(part, chance)) for name, part in node.items()]
    chance.shuffle(items)
    return {**dict(items), **({"description": str(chance.random())} if isinstance(node.get("type"), str) else {})}


@given(st.sampled_from(sorted(NOW.schemas)), st.from_regex(r"\Aextra_[a-z]{1,8}\Z"), st.booleans())
@settings(max_examples=100, deadline=None)
def test_any_message_may_get_an_optional_field_and_may_not_lose_it_again(name: str, field: str, nullable: bool) -> None:
    wider = _schema(name)
    plain: Schema = {"type": "integer", "minimum": 0, "maximum": 9}
    wider["properties"][field] = {"anyOf": [plain, {"type": "null"}], "default": None} if nullable else plain
    assert schema_breaks(NOW.schemas[name], wider) == []
    assert schema_breaks(wider, NOW.schemas[name]) == [f"/{field}: field removed"]


def _without(name: str) -> Edition:
    topics = [{**t, "messages": [m for m in t["messages"] if m != name]} for t in NOW.topics]
    return Edition({n: s for n, s in NOW.schemas.items() if n != name}, tuple(topics))


def test_a_message_may_be_added_but_removed_only_when_it_is_retired() -> None:
    assert compare(_without(SHIFT), NOW) == []
    assert len(compare(NOW, _without(SHIFT))) == 2
    assert compare(NOW, _without(SHIFT), frozenset({SHIFT})) == []


def test_a_retired_name_never_comes_back() -> None:
    assert any("may not come back" in line for line in compare(NOW, NOW, frozenset({SHIFT})))


def test_an_added_message_with_a_keyword_the_gate_does_not_know_is_a_break() -> None:
    schema = _schema(SHIFT)
    schema["if"] = {}
    assert compare(_without(SHIFT), replace(NOW, schemas={**NOW.schemas, SHIFT: schema}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("partitions", 16),
        ("key", "shift_ref"),
        ("writer", "bridge"),
        ("ordered", False),
        ("personal_data", None),
        ("retention_ms", 3_600_000),
        ("readers", []),
    ],
)
def test_a_topic_keeps_what_its_readers_build_on(field: str, value: object) -> None:
    topics = ({**NOW.topics[1], field: value}, *NOW.topics[2:], NOW.topics[0])
    [line] = compare(NOW, replace(NOW, topics=topics))
    assert line.startswith(f"{NOW.topics[1]['name']}: {field} was")


def test_a_topic_may_be_added_but_not_removed() -> None:
    fewer = replace(NOW, topics=NOW.topics[1:])
    assert compare(fewer, NOW) == []
    assert compare(NOW, fewer) == [f"{NOW.topics[0]['name']}: topic removed"]


def test_the_published_folder_is_compatible_with_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(from_folder(PUBLISHED), NOW) == []
    assert compatibility.main(["--against", str(PUBLISHED)]) == 0
    assert f"{len(NOW.schemas)} messages, compatible" in capsys.readouterr().out


def test_the_command_fails_on_a_break_and_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(PUBLISHED, tmp_path / "published")
    file = tmp_path / "published" / "schemas" / f"{CREDIT}.json"
    schema = json.loads(file.read_text("utf-8"))
    schema["properties"]["rate"] = {"type": "integer"}
    file.write_text(json.dumps(schema), "utf-8")
    assert compatibility.main(["--against", str(tmp_path / "published")]) == 1
    assert f"{CREDIT}/rate: field removed" in capsys.readouterr().out


def test_the_command_says_so_when_a_base_that_was_asked_for_is_not_there(tmp_path: Path) -> None:
    assert compatibility.main(["--against", str(tmp_path)]) == 2
    assert compatibility.main(["--against", "no-such-revision"]) == 2
