"""The hand-written examples: what each says of itself is what codec, schemas and models do with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from contracts.envelope import ContractError, decode, encode, parse_structured
from contracts.ids import signup_id, transfer_id
from contracts.messages import Message, message_types
from contracts.messages.attendance import AttestService
from contracts.messages.deliveries import CreditPosted
from contracts.messages.opportunities import RequestSignup
from contracts.tools.schemas import schema_of
from tests.support.messages import EXAMPLES, Example, examples, invalid_examples, valid_examples


def _named(example: Example) -> str:
    return example.name


def _accepted_by_schema(example: Example) -> bool:
    # The schemas' patterns are ECMA 262, where $ is the very end; Python's $ also stands before a last line break.
    schema = json.loads(json.dumps(schema_of(message_types()[example.type])).replace('$"', '\\\\Z"'))
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return bool(validator.is_valid(example.event["data"]))


def test_every_message_has_a_valid_example() -> None:
    assert {example.type for example in valid_examples()} == set(message_types())


def test_a_message_with_a_rule_between_its_fields_has_an_invalid_example() -> None:
    """What holds of one field the schema says, and the next test tries."""
    ruled = {
        name
        for name, message in message_types().items()
        if message.__pydantic_decorators__.model_validators or message.model_post_init is not Message.model_post_init
    }
    assert len(ruled) > 2
    assert ruled <= {example.type for example in invalid_examples()}


@pytest.mark.parametrize("example", valid_examples(), ids=_named)
def test_without_a_field_that_it_needs_a_message_is_refused_at_that_place(example: Example) -> None:
    message = message_types()[example.type]
    for name, field in message.model_fields.items():
        if field.is_required():
            lacking = {place: value for place, value in example.event["data"].items() if place != name}
            with pytest.raises(ContractError) as refused:
                parse_structured(json.dumps(example.event | {"data": lacking}))
            assert (refused.value.reason, refused.value.pointer) == ("schema", f"/data/{name}")


def test_every_file_is_named_by_type_and_case_and_says_what_it_is() -> None:
    for path in EXAMPLES.glob("*/*"):
        kind, _, case = path.stem.partition("-")
        assert path.suffix == ".json"
        assert case
        assert (kind == "invalid") == ("x-expected" in json.loads(path.read_text("utf-8"))), path
    loose = {path.name for path in EXAMPLES.iterdir() if path.is_file()}
    assert loose == {"partitioner.json"}


@pytest.mark.parametrize("example", valid_examples(), ids=_named)
def test_a_valid_example_is_read_even_strictly_and_comes_out_the_same(example: Example) -> None:
    event = parse_structured(example.text, strict=True)
    assert event.type == example.type
    assert event.data.subject == example.event["subject"]
    assert event.key == example.event["partitionkey"]
    assert decode(*encode(event)) == event


@pytest.mark.parametrize("example", invalid_examples(), ids=_named)
def test_an_invalid_example_is_refused_with_its_reason_and_pointer(example: Example) -> None:
    with pytest.raises(ContractError) as refused:
        parse_structured(example.text)
    assert (refused.value.reason, refused.value.pointer) == (example.reason, example.pointer)


@pytest.mark.parametrize("example", valid_examples(), ids=_named)
def test_the_published_schema_accepts_a_valid_example(example: Example) -> None:
    assert _accepted_by_schema(example)


def test_the_published_schema_refuses_what_is_wrong_in_one_field() -> None:
    """Rules between fields (times in order, one day) are not in the schemas; their pointer is the object."""
    checked = [example for example in invalid_examples() if example.reason == "schema"]
    of_objects = {"/data", "/data/record", "/data/shift"}
    for example in checked:
        if example.pointer not in of_objects or not isinstance(example.event["data"], dict):
            assert not _accepted_by_schema(example), example.name
    assert sum(example.pointer not in of_objects for example in checked) > 60


def test_ids_in_examples_are_those_that_everyone_computes() -> None:
    seen = set()
    for example in valid_examples():
        data = parse_structured(example.text).data
        seen.add(type(data))
        if isinstance(data, RequestSignup):
            assert data.signup_id == signup_id(data.person, data.host, data.project_ref, data.shift_ref)
        if isinstance(data, AttestService):
            record = data.record
            assert data.signup_id == signup_id(data.person, data.host, record.project_ref, record.shift_ref)
        if isinstance(data, CreditPosted):
            key = (data.record.record_ref, data.record.version) if data.record else ("gz-rec-60218", 3)
            assert data.transfer_id == transfer_id(data.host, *key)
    assert seen >= {RequestSignup, AttestService, CreditPosted}


def test_totals_of_the_credits_follow_from_the_records() -> None:
    credits_ = [parse_structured(example.text).data for example in valid_examples()]
    posted = [(c, c.record) for c in credits_ if isinstance(c, CreditPosted) and c.record is not None]
    standing = 0
    for credit, record in sorted(posted, key=lambda one: one[1].version):
        assert credit.total == (0 if record.revoked else record.minutes)
        assert credit.delta == credit.total - standing
        standing = credit.total
    assert sorted(credit.delta for credit, _ in posted) == [-135, -30, 165]


def test_a_code_never_stands_in_clear_outside_the_topics_of_volunteers() -> None:
    [code] = {e.event["data"]["code"] for e in valid_examples() if "code" in e.event["data"]}
    for example in examples():
        if not example.type.startswith("shuangcheng.volunteers.") and example.reason is None:
            assert code not in example.text, example.name


def test_examples_are_written_as_people_read_them() -> None:
    for path in EXAMPLES.rglob("*.json"):
        text = path.read_text("utf-8")
        assert text.endswith("\n")
        assert "\\u4e" not in text, f"{path}: Chinese stands as it is, not escaped"
    assert any("志愿护绿驿站" in path.read_text("utf-8") for path in Path(EXAMPLES).rglob("*.json"))
