"""One list of reasons: whatever a service, an adapter or the border writes stands in it, and it lists nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest

from contracts.journey import JOURNEY
from contracts.reasons import REASONS, who_acts, words_of
from contracts.refused import ContractRefusal
from services.adapters.states import CreditRefusal
from services.attendance import reasons as attendance
from services.bridge import reasons as bridge
from services.chassis.batch.reasons import AsideReason
from services.identity import states as identity
from services.opportunities import states as opportunities
from tests.support.reasons import look_for

ROOT = Path(__file__).parents[2]
_CHECK = re.compile(r"CHECK\s*\(\s*held_for\s+IN\s*\(([^)]*)\)", re.IGNORECASE)
CLOSED_LISTS: dict[str, Any] = {
    "contracts/refused.py:ContractRefusal": ContractRefusal,
    "services/adapters/states.py:CreditRefusal": CreditRefusal,
    "services/attendance/reasons.py:CommandRefusal": attendance.CommandRefusal,
    "services/attendance/reasons.py:HoldReason": attendance.HoldReason,
    "services/bridge/reasons.py:BorderRefusal": bridge.BorderRefusal,
    "services/bridge/reasons.py:Obstacle": bridge.Obstacle,
    "services/bridge/reasons.py:ReceiptRefusal": bridge.ReceiptRefusal,
    "services/chassis/batch/reasons.py:AsideReason": AsideReason,
    "services/identity/states.py:CommandRefusal": identity.CommandRefusal,
    "services/identity/states.py:LinkRefusal": identity.LinkRefusal,
    "services/opportunities/states.py:CommandRefusal": opportunities.CommandRefusal,
    "services/opportunities/states.py:EndReason": opportunities.EndReason,
    "services/opportunities/states.py:SignupRefusal": opportunities.SignupRefusal,
}
NO_REASON = set(get_args(identity.Established))
"""What stands in one variable with reasons, and is none."""
HANDED_ON = {"services/adapters/kinds/rest_api/client.py"}
"""Where a registry's own word, as it comes, is taken for a reason."""


def _sources(*folders: str) -> dict[str, str]:
    files = (file for folder in folders for file in (ROOT / folder).rglob("*") if file.suffix in (".py", ".sql"))
    named = {file.relative_to(ROOT).as_posix(): file.read_text("utf-8") for file in files}
    return {name: text for name, text in named.items() if name not in ("contracts/reason.py", "contracts/reasons.py")}


@cache
def _found(*folders: str) -> Any:
    """Every worker imports this file, and one of them needs the three seconds that this takes."""
    return look_for(_sources(*folders))


def in_linkage() -> Any:
    return _found("contracts", "services")


def in_sandboxes() -> Any:
    return _found("deploy/tryout/sandbox")


@pytest.mark.parametrize("look", [in_linkage, in_sandboxes], ids=["linkage", "sandboxes"])
def test_every_reason_that_is_written_or_compared_with_stands_in_the_list(look: Callable[[], Any]) -> None:
    found = look()
    listed = REASONS.keys() | NO_REASON
    assert {code: places for code, places in found.written.items() if code not in listed} == {}
    assert {code: places for code, places in found.compared.items() if code not in listed} == {}


@pytest.mark.parametrize("look", [in_linkage, in_sandboxes], ids=["linkage", "sandboxes"])
def test_every_reason_is_a_word_that_stands_in_the_text(look: Callable[[], Any]) -> None:
    found = look()
    assert {place for place in found.made_up if place.rpartition(":")[0] not in HANDED_ON} == set()


def test_every_reason_of_the_list_is_written_by_somebody_or_is_a_registrys_own_word() -> None:
    own = {code for code, reason in REASONS.items() if reason.registrys}
    assert REASONS.keys() - in_linkage().written.keys() == own


@pytest.mark.parametrize("name", CLOSED_LISTS)
def test_a_closed_list_is_a_part_of_the_list_and_each_word_of_it_is_written(name: str) -> None:
    words = set(get_args(CLOSED_LISTS[name]))
    assert words <= REASONS.keys()
    assert words <= in_linkage().written.keys()


def test_the_check_of_attendances_database_takes_the_closed_list_and_nothing_else() -> None:
    assert newest_check(_sources("services/attendance/migrations")) == set(get_args(attendance.HoldReason))


def newest_check(migrations: Mapping[str, str]) -> set[str]:
    """The words that the last CHECK of ``held_for`` takes. An earlier CHECK is replaced, so its words do not count."""
    checks = [found for name in sorted(migrations) for found in _CHECK.findall(migrations[name])]
    return set(re.findall(r"'(\w+)'", checks[-1]))


def test_a_migration_that_replaces_the_check_by_the_new_word_alone_is_found() -> None:
    whole = "CREATE TABLE x (held_for text CHECK (held_for IN ('overlap', 'duplicate')));"
    replaced = "ALTER TABLE x DROP CONSTRAINT y, ADD CONSTRAINT y CHECK (held_for IN ('brand_new'));"
    assert newest_check({"0002.sql": replaced, "0001.sql": whole}) == {"brand_new"}


def test_the_journey_names_each_reason_for_holding_a_record() -> None:
    (step,) = (step for step in JOURNEY if step.number == 8)
    named = re.search(r"held \(([a-z_, ]+)\)", step.decides)
    assert named is not None
    assert set(named[1].split(", ")) == set(get_args(attendance.HoldReason))


def test_no_closed_list_is_left_out() -> None:
    found = {
        f"{name}:{target.id}"
        for name, text in _sources("contracts", "services").items()
        if name.endswith(".py")
        for node in ast.parse(text).body
        for target in (node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)])
        if isinstance(target, ast.Name) and target.id.endswith(("Refusal", "Reason", "Obstacle"))
    }
    assert found == CLOSED_LISTS.keys()


def test_no_published_message_has_a_closed_list_of_reasons() -> None:
    for name, text in _sources("contracts/messages").items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") in ("reason", "reason_code"):
                assert ast.unparse(node.annotation).partition(" ")[0] == "ReasonCode", f"{name}:{node.lineno}"


@pytest.mark.parametrize(
    "planted",
    [
        'raise ContractError("brand_new", "…")',
        'Objection("brand_new", "/x")',
        'tell(fact, reason="brand_new")',
        'def refuse(command, reason): ...\nrefuse(command, "brand_new")',
        'class Way:\n def end(self, state, reason): ...\n def go(self): self.end("x", "brand_new" if self.y else None)',
        'def obstacle(link) -> Obstacle | None:\n return "brand_new"',
        'def f():\n answer: ReceiptRefusal | None\n answer = "brand_new"',
        'reason, detail = "brand_new", "…"',
        'BY_HAND = "brand_new"\ntell(reason=BY_HAND)',
        '_REASONS = {"查无此人": "brand_new"}\ndef f(why):\n reason = _REASONS.get(why) or "x"',
        "db.execute(\"UPDATE set_aside SET reason = 'brand_new'\")",
    ],
)
def test_a_reason_that_is_planted_is_found_in_each_form(planted: str) -> None:
    known = (
        "class ContractError:\n def __init__(self, reason, detail): ...\nclass Objection(NamedTuple):\n reason: str\n"
    )
    assert "brand_new" in look_for({"planted.py": known + planted}).written


def test_a_reason_that_is_planted_is_found_in_a_check_of_a_database_and_where_one_is_compared() -> None:
    check = "ALTER TABLE x ADD CHECK (held_for IN ('no_check_in', 'brand_new'));"
    assert look_for({"0001.sql": check}).compared.keys() == {"no_check_in", "brand_new"}
    compared = 'def f(row): return (row.state, row.reason) == ("uncertain", "brand_new")'
    assert look_for({"planted.py": compared}).compared.keys() == {"brand_new"}


@pytest.mark.parametrize("planted", ['tell(reason=f"registry_{state}")', "tell(reason=why())", 'tell(reason="a" + b)'])
def test_a_reason_that_is_put_together_at_run_time_is_found(planted: str) -> None:
    assert look_for({"planted.py": planted}).made_up == {"planted.py:1"}


def test_every_reason_has_words_in_both_languages_an_example_and_a_place() -> None:
    for code, reason in REASONS.items():
        assert reason.code == code
        assert all((reason.zh, reason.en, reason.example, reason.stands)), code
        assert any("一" <= letter <= "鿿" for letter in reason.zh), code
        assert reason.en.isascii(), code
        assert len({stand.where for stand in reason.stands}) == len(reason.stands), code
    assert len({reason.zh for reason in REASONS.values()}) == len(REASONS)
    assert len({reason.en for reason in REASONS.values()}) == len(REASONS)


def test_a_reason_that_is_not_on_the_list_is_shown_as_its_code_and_nobody_is_named_for_it() -> None:
    assert all("brand_new" in words for words in words_of("brand_new"))
    assert who_acts("record held", "brand_new") is None
    assert (who_acts("record held", None), who_acts("nowhere", "overlap")) == (None, None)
