"""What holds for every message, whoever writes it: bounded, clean, named, and told in words."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.messages import Message, message_types
from contracts.messages.receipts import CreditAccepted
from contracts.tools.schemas import schema_of, summary_of

LONGEST = 512


def _leaves(schema: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, list):
        for place, part in enumerate(schema):
            yield from _leaves(part, f"{path}/{place}")
    if isinstance(schema, dict):
        if isinstance(schema.get("type"), str):
            yield path, schema
        for name, part in schema.items():
            if name not in ("enum", "examples", "required"):
                yield from _leaves(part, f"{path}/{name}")


def _of_type(*types: str) -> list[tuple[str, dict[str, Any]]]:
    every = [leaf for name, message in message_types().items() for leaf in _leaves(schema_of(message), name)]
    found = [(path, leaf) for path, leaf in every if leaf["type"] in types]
    assert found
    return found


def test_no_text_of_any_message_can_carry_nul_or_a_line_break() -> None:
    for path, leaf in _of_type("string"):
        if leaf.keys() & {"enum", "const"} or leaf.get("format") == "uuid":
            continue
        pattern = re.compile(leaf["pattern"].replace("$", r"\Z"))
        for bad in ("\0", "\n", "\r", "\x1b", "\x7f", "\x9b"):
            assert not pattern.search(bad), path
            assert not pattern.search(f"a1{bad}2b"), path


def test_every_text_of_every_message_has_an_end() -> None:
    for path, leaf in _of_type("string"):
        if leaf.keys() & {"enum", "const", "maxLength"} or leaf.get("format") == "uuid":
            assert leaf.get("maxLength", 0) <= LONGEST, path
            continue
        pattern = re.compile(leaf["pattern"].replace("$", r"\Z"))
        assert not any(pattern.search(character * (LONGEST + 1)) for character in "a0A-_绿"), path
        assert "*" not in leaf["pattern"], path
        assert not re.search(r"(?<!\[)\+(?!-\])", leaf["pattern"]), path


def test_every_number_of_every_message_is_a_bounded_integer() -> None:
    for path, leaf in _of_type("integer", "number", "array"):
        assert leaf["type"] == "integer", path
        assert -(2**31) <= leaf["minimum"] <= leaf["maximum"] < 2**31, path


def test_every_message_says_what_it_means_in_one_line_of_its_own() -> None:
    for message in message_types().values():
        assert message.__doc__ is not None
        assert message.__doc__ is not Message.__doc__
        assert 10 < len(summary_of(message)) < 250, message.TYPE


def test_every_message_is_named_by_context_name_and_version() -> None:
    for name, message in message_types().items():
        assert re.fullmatch(r"shuangcheng\.[a-z]+\.[a-z_]+\.v[1-9][0-9]*", name)
        assert name.split(".")[1] == message.__module__.rpartition(".")[2]


def test_every_message_is_frozen() -> None:
    for message in message_types().values():
        assert message.model_config["frozen"] is True
    receipt = CreditAccepted.model_validate_json(
        '{"transfer_id":"6f1c5f2e-6f0a-5d57-9c7b-5d2f9f1c8a10","volunteer_ref":"sz-20481","delta":165,'
        '"posted_at":"2026-08-15T18:30:09+08:00"}'
    )
    with pytest.raises(ValidationError):
        receipt.delta = 0  # type: ignore[misc]


@pytest.mark.parametrize("field", ["birth", "id_card", "phone", "mobile", "latitude", "longitude", "name", "address"])
def test_no_message_has_a_field_for_personal_data(field: str) -> None:
    for name, message in message_types().items():
        for path, leaf in _leaves(schema_of(message), name):
            assert field not in leaf.get("properties", {}), path


def test_instants_at_the_bounds_convert_to_every_zone_without_overflow() -> None:
    body = '{"transfer_id":"6f1c5f2e-6f0a-5d57-9c7b-5d2f9f1c8a10","volunteer_ref":"a","delta":1,"posted_at":"%s"}'
    for text in ("2000-01-01T00:00:00Z", "2000-01-01T23:59:59+23:59", "2099-12-31T23:59:59.999999Z"):
        moment = CreditAccepted.model_validate_json(body % text, strict=True).posted_at
        assert datetime(2000, 1, 1, tzinfo=UTC) <= moment.astimezone(UTC) < datetime(2100, 1, 1, tzinfo=UTC)


def test_contracts_need_pydantic_and_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import contracts.envelope, contracts.topics, contracts.ids, "
        "contracts.registry, contracts.tools.publish, contracts.tools.compatibility; "
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    allowed = {"contracts", "pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}
    foreign = {name for name in done.stdout.split() if name not in sys.stdlib_module_names}
    assert {name for name in foreign if not name.startswith("_")} <= allowed
