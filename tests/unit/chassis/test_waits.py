"""Every wait of every service says where its fact comes from, and all facts come from there."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import pytest

import services
from contracts.messages import Message
from contracts.partitioner import partition_for
from contracts.topics import ATTENDANCE_COMMANDS, OPPORTUNITIES_COMMANDS, OPPORTUNITIES_EVENTS
from deploy.operate.registries import CONFIGURED
from services.attendance.service import build as attendance
from services.attendance.settings import AttendanceSettings
from services.chassis.base.settings import Settings
from services.chassis.channels import named, places, topics
from services.chassis.decisions import Channel, Decision, Inbound, States
from services.chassis.service import Service
from services.opportunities.service import build as opportunities
from tests.support import attendance as attending
from tests.support import opportunities as offering

ROOT: Final = Path(services.__file__).parent


def _is_wait(called: ast.expr) -> bool:
    """``Wait(…)``, or ``draft.wait(…)``."""
    return getattr(called, "id", "") == "Wait" or (
        isinstance(called, ast.Attribute) and called.attr == "wait" and getattr(called.value, "id", "") == "draft"
    )


def test_every_wait_of_every_service_is_looked_at_here_or_beside_the_rules_of_the_border() -> None:
    found = {
        f"{path.relative_to(ROOT).as_posix()}:{scope.name}"
        for path in ROOT.rglob("*.py")
        for scope in ast.walk(ast.parse(path.read_text()))
        if isinstance(scope, ast.FunctionDef)
        for call in ast.walk(scope)
        if isinstance(call, ast.Call) and "chassis" not in path.parts and _is_wait(call.func)
    }
    assert found == {
        "attendance/rules.py:_wait",
        "bridge/border/admission.py:_too_early",  # by no channel: the moment comes by itself
        "bridge/border/people.py:person_unknown",
        "bridge/border/people.py:unlinked",
        "opportunities/rules/signups.py:request_signup",
    }


def decided(service: Service, message: Message) -> Decision:
    """By the rules of a service that knows nothing yet."""
    states = States()
    for table in service.store.tables:
        table.declare(states)
    event = offering.event(message) if service.name == "opportunities" else attending.event_of(message)
    return service.decide(states, Inbound(event, "t", uuid4(), event.time), event.time)


def test_a_sign_up_waits_for_its_shift_by_the_partition_in_which_both_lie() -> None:
    asked = offering.request(UUID(int=1))
    wait = decided(opportunities(Settings()), asked).wait
    number = partition_for("gz:p1", OPPORTUNITIES_COMMANDS.partitions)
    assert wait is not None
    assert named(wait.brought_by) == f"{OPPORTUNITIES_COMMANDS.name}/{number}"
    assert wait.brought_by == (Channel(OPPORTUNITIES_COMMANDS, offering.shift().key),)


@pytest.mark.parametrize(
    "command",
    [
        attending.check_in("s1", attending.at("08:00")),
        attending.attest("r1", "s1", attending.at("09:00"), attending.at("10:00")),
    ],
    ids=lambda it: it.TYPE,
)
def test_service_waits_for_its_sign_up_by_the_partition_in_which_its_project_lies(command: Message) -> None:
    told = attending.signup("s1")
    wait = decided(attendance(AttendanceSettings(registries=CONFIGURED)), command).wait
    assert wait is not None
    assert wait.brought_by == (Channel(OPPORTUNITIES_EVENTS, told.key),)
    assert wait.fact in decided(attendance(AttendanceSettings(registries=CONFIGURED)), told).facts


def test_channels_have_one_name_whatever_their_order() -> None:
    key = "gz:p1"
    number = partition_for(key, ATTENDANCE_COMMANDS.partitions)
    both = (Channel(ATTENDANCE_COMMANDS, key), Channel(OPPORTUNITIES_EVENTS))
    name = f"{ATTENDANCE_COMMANDS.name}/{number},{OPPORTUNITIES_EVENTS.name}"
    assert named(both) == named(reversed(both)) == name
    assert places(name) == [(ATTENDANCE_COMMANDS.name, number), (OPPORTUNITIES_EVENTS.name, None)]
    assert topics(name) == {ATTENDANCE_COMMANDS.name, OPPORTUNITIES_EVENTS.name}
