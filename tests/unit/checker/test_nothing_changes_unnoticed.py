"""Whatever is altered in a run is found, in any column of a table or field of a message; but for what is listed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel, ValidationError

from contracts.messages import Message
from deploy.audit import World, check
from deploy.audit.report import INVARIANTS
from deploy.audit.world import Line
from tests.support.checker.tampering import Tamper

RECORDED: Final = World.load(Path(__file__).parent / "small_run.json.xz")
CHASSIS: Final = {
    "consumed",
    "discarded",
    "entity",
    "heard",
    "inbox",
    "migration",
    "naming",
    "outbox",
    "restored",
    "said",
    "said_begun",
    "said_passed",
    "said_since",
    "schedule",
    "set_aside",
    "timer",
}
"""Tables of every service, and the place of an adapter in what its registry says, of which no log knows. What of them
the logs tell is I8's, I15's and I16's."""
INNER: Final[dict[str, set[str]]] = {
    "opportunities.project": {"words"},
    "opportunities.shift": {"words"},
    "opportunities.signup_outcome": {"number", "decision"},
    "bridge.step": {"number", "id", "at"},
    "bridge.refusal": {"id", "at"},
    "bridge.link_under_way": {"newest_at"},
    "adapter_sz.credit": {"seq", "attempts", "due_at", "reason", "retry", "attempted_at", "asked", "trouble"},
}
"""Columns by which a service serves itself: search words, numbers, its own clock, its tries. No log tells them."""
OPEN: Final[dict[str, set[str]]] = {
    "CreditAccepted": {"attempt", "posted_at"},
    "CreditRefused": {"attempt", "retry"},
    "MessageRefused": {"pointer", "detail"},
    "LinkRefused": {"person"},
    "ServiceConfirmed": {"host_policy", "home_policy"},
    "CheckReceipt": {"attempt"},
    "RetryTransfer": {"attempt"},
}
"""Fields that say more than was decided: to people, of a home's own books, or which of several tries is meant. The
person of a refusal is nobody where no home spoke of the number: another nobody lies in another partition at best. The
checker does not read the files of the seats, so it does not know their policies."""
WORDS: Final = {
    "state": ("confirmed", "withdrawn", "given", "refused", "broken", "established", "open", "cancelled", "active"),
    "reason": ("full", "clash", "wrong_code", "overlap", "no_check_in", "abuse"),
    "method": ("scan", "organiser"),
    "reason_code": ("correction", "retract"),
    "purpose": (),
    "code_hash": ("a" * 64,),
}


TABLES: Final = [
    f"{database}.{table}"
    for database, tables in RECORDED.tables.items()
    for table, rows in tables.items()
    if rows and table not in CHASSIS
]
OF_MESSAGES: Final = [name for name in INVARIANTS if name not in ("I14", "I15", "I16")]


def _other(value: Any, name: str = "") -> Any:
    """Something else of the same kind; None where nothing comes to mind."""
    if name in WORDS:
        return next((word for word in WORDS[name] if word != value), None)
    match value:
        case bool():
            return not value
        case Enum():
            return next(one for one in type(value) if one is not value)
        case int():
            return value + 1 if value < 1000 else value - 1
        case str():
            return ("y" if value[:1] == "x" else "x") + value[1:]
        case UUID():
            return uuid4()
        case datetime() | date():
            return value + timedelta(days=1)
        case dict():
            return value | {next(iter(value), "a"): "another"}
        case list():
            return [*value, 7]
        case BaseModel():
            return next(_others(value), None)
    return None


def _others(model: BaseModel) -> Iterator[BaseModel]:
    """The message with one field after the other changed, as far as it stays in the contract."""
    for name in type(model).model_fields:
        other = _other(getattr(model, name), name)
        if other is not None:
            changed = model.model_copy(update={name: other})
            try:
                type(model).model_validate(changed.model_dump())
            except ValidationError:
                continue
            yield changed


@pytest.mark.parametrize("table", TABLES)
def test_no_column_is_altered_unnoticed(table: str) -> None:
    database, name = table.split(".")
    columns = RECORDED.tables[database][name][0]
    assert {column for column in columns if not _noticed(database, name, column)} <= INNER.get(table, set())


def _noticed(database: str, table: str, column: str) -> bool:
    """In one row of two: what a transfer brings is open until it is sent."""
    for nth in (0, -1):
        spoiled = Tamper(RECORDED)
        row = spoiled.rows(database, table)[nth]
        row[column] = "another" if row[column] is None else _other(row[column])
        if check(spoiled.world, only=("I8", "I12")).broken:
            return True
    return False


@pytest.mark.parametrize("table", TABLES)
def test_no_row_is_lost_unnoticed(table: str) -> None:
    database, name = table.split(".")
    for nth in (0, -1):
        spoiled = Tamper(RECORDED)
        gone = spoiled.rows(database, name).pop(nth)
        if gone.get("minutes") != 0:  # of a day on which nothing counts any more
            assert check(spoiled.world, only=("I8", "I12")).broken == {"I8"}


def _messages() -> dict[str, Line]:
    found: dict[str, Line] = {}
    for lines in RECORDED.lines.values():
        for line in lines:
            if line.event is not None:
                found[type(line.data).__name__ + line.topic.split(".")[0]] = line
    return found


@pytest.mark.parametrize("line", _messages().values(), ids=lambda line: type(line.data).__name__)
def test_no_field_is_altered_unnoticed(line: Line) -> None:
    unnoticed = set()
    for changed in _others(line.data):
        assert isinstance(changed, Message)
        spoiled = Tamper(RECORDED)
        fields = {n: getattr(changed, n) for n in type(changed).model_fields}
        (name,) = [n for n, value in fields.items() if value != getattr(line.data, n)]
        spoiled.alter(line, **{name: fields[name]})
        if not check(spoiled.world, only=OF_MESSAGES).broken:
            unnoticed.add(name)
    assert unnoticed <= OPEN.get(type(line.data).__name__, set())
