"""Each planted fault turns exactly the invariants red that it breaks, and the verdict names who and where first."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from contracts.messages.refusals import MessageRefused
from deploy.audit import World, check
from deploy.audit.violations import Violation
from deploy.audit.world import Line, code_of
from tests.support.checker.planted import Named, Offence
from tests.support.checker.recording import FAULTS
from tests.support.checker.scenario import CANARY
from tests.support.checker.tampering import Tamper

RECORDED: Final = World.load(Path(__file__).parent / "small_run.json.xz")


def test_a_clean_run_is_green() -> None:
    report = check(RECORDED, canaries=[CANARY])
    assert report.held, report.text()
    assert report.directions["gz->sz"]["withheld"] == 330


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_turns_exactly_its_invariants_red_and_is_named_with_who_and_where(name: str) -> None:
    wanted, fault = FAULTS[name]
    spoiled = Tamper(RECORDED)
    offence = fault(spoiled)
    report = check(spoiled.world, canaries=[CANARY])
    assert report.broken == wanted, report.text()
    for invariant in wanted:
        found = report.violations[invariant]
        assert _names(found[0]) in _wanted(spoiled, offence, invariant), found[0]
        assert _moments(spoiled, found) == sorted(_moments(spoiled, found)), "not in the order of the logs"
        assert len(set(found)) == len(found)


def _names(found: Violation) -> tuple[Any, ...]:
    return (found.person, found.record, found.topic, found.partition, found.offset)


def _moments(spoiled: Tamper, found: list[Violation]) -> list[tuple[bool, int]]:
    """When what was found was published; what was not comes last."""
    published = {line.place: line.timestamp for lines in spoiled.world.lines.values() for line in lines}
    moments = [published.get((one.topic or "", one.partition or 0, one.offset or 0)) for one in found]
    return [(moment is None, moment or 0) for moment in moments]


def _wanted(spoiled: Tamper, offence: Offence, invariant: str) -> list[tuple[Any, ...]]:
    where = offence[invariant] if isinstance(offence, dict) else offence
    match where:
        case Named(person, record, None, topic):
            return [(None if person is None else str(person), record, topic, None, None)]
        case Named(person, record, at):
            assert at is not None
            return [(None if person is None else str(person), record, *at.place)]
        case Line():
            return [(*_who(spoiled, where), *where.place)]
    return [(*_who(spoiled, line), *line.place) for line in where]


def _who(spoiled: Tamper, line: Line) -> tuple[str | None, str | None]:
    """Person and service record of a message, by the tables of the run and not by its logs."""
    people = {(r["registry"], r["ref"]): r["person"] for r in RECORDED.tables["bridge"]["account"]}
    people |= {(r["home"], r["home_ref"]): r["person"] for r in RECORDED.tables["identity"]["account"]}
    if line.event is None:
        person = people.get((code_of(line.topic), (line.key or b"").decode()))
        return (None if person is None else str(person), None)
    if isinstance(line.data, MessageRefused):
        about = [x for x in spoiled.world.lines["registry.gz.signups.v1"] if x.event and x.id == line.data.message_id]
        return _who(spoiled, about[0]) if about else (None, None)
    data = line.data
    code = code_of(line.topic) if hasattr(data, "volunteer_ref") else getattr(data, "home", "")
    ref = getattr(data, "volunteer_ref", getattr(data, "home_ref", ""))
    person = getattr(data, "person", None) or people.get((code, ref))
    records = {r["id"]: r["record_ref"] for r in RECORDED.tables["bridge"]["transfer"]}
    record = getattr(getattr(data, "record", data), "record_ref", None) or records.get(
        getattr(data, "transfer_id", None)
    )
    return (None if person is None else str(person), record)


def test_every_invariant_is_broken_by_some_fault_alone() -> None:
    alone = {next(iter(wanted)) for wanted, _ in FAULTS.values() if len(wanted) == 1}
    assert alone == set(check(RECORDED).violations)


def test_a_verdict_without_a_place_is_about_a_row_that_no_message_speaks_of() -> None:
    offences = {name: fault(Tamper(RECORDED)) for name, (_, fault) in FAULTS.items()}
    assert {name for name, offence in offences.items() if isinstance(offence, Named) and offence.at is None} == {
        "the_host_counts_what_was_never_confirmed",
        "minutes_are_posted_that_nobody_sent",
        "a_sign_up_stands_that_nobody_was_told_of",
        "a_service_has_seen_what_is_on_no_log",
        "a_code_stands_in_clear_in_a_table",
        "a_message_stands_in_an_outbox",
    }


def test_a_run_that_is_still_under_way_is_not_asked_to_be_drained() -> None:
    spoiled = Tamper(RECORDED)
    FAULTS["a_reader_is_behind"][1](spoiled)
    assert check(spoiled.world, drained=False).held
