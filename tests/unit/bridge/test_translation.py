"""Refs become persons and come back as refs; what is not linked waits; nobody acts for another's volunteer."""

from __future__ import annotations

import json

import pytest

from contracts.envelope import Event, body_bytes
from contracts.ids import signup_id
from contracts.messages import attendance, deliveries, identity, opportunities, service, signups
from contracts.messages.refusals import MessageRefused
from contracts.messages.shifts import Category, ProjectPublished
from contracts.topics import registry_source, service_source
from services.bridge.states import Step
from tests.support.bridge import AWAIT_FACTS, Raised, World, linked, of_kind
from tests.support.bridge_messages import (
    HOME,
    HOME_REF,
    HOST,
    HOST_REF,
    MINUTE,
    PERSON,
    T0,
    THIRD,
    attested,
    broken,
    checked_in,
    inbound,
    offered,
    origin,
    person,
    record,
    reported,
    requested,
    restored,
    reviewed,
    signup,
    told_of,
)


@pytest.mark.parametrize(("code", "ref"), [(HOST, HOST_REF), (HOME, HOME_REF)])
def test_a_signup_asked_for_at_either_side_is_the_same_stamped_command(code: str, ref: str) -> None:
    (send,) = linked().say(code, signup(ref=ref), at=T0 - MINUTE)
    command = send.message
    assert isinstance(command, opportunities.RequestSignup)
    assert command.signup_id == signup_id(PERSON, HOST, "P1", "H1")
    assert (command.asker, command.age_band.value, command.guardian_approved) == (code, "16_to_17", True)
    assert (command.link_version, command.consent_version, send.time) == (1, 1, T0 - MINUTE)


def test_only_her_home_says_how_old_she_is() -> None:
    """The visitor's app of a host knows what she typed there."""
    world = linked()
    (send,) = world.say(HOME, signup(ref=HOME_REF, at_least=17))
    assert isinstance(send.message, opportunities.RequestSignup)
    assert send.message.at_least == 17
    world.say(HOST, signup(ref=HOST_REF, at_least=17))
    assert world.refused(HOST) == ["not_yours"]


def test_a_guest_cannot_be_signed_up_by_a_third_registry_nor_by_her_host_elsewhere() -> None:
    world = linked()
    world.say(HOST, signup(host=THIRD))
    world.say(THIRD, signup(ref=HOME_REF))
    world.pass_time(AWAIT_FACTS)
    assert (world.refused(HOST), world.refused(THIRD)) == (["not_yours"], ["not_linked"])


def test_a_post_at_home_is_reported_not_asked_for() -> None:
    world = linked()
    world.say(HOME, signup(ref=HOME_REF, host=HOME))
    assert world.refused(HOME) == ["at_home"]
    (command,) = of_kind(world.say(HOME, reported()), opportunities.ReportSignup)
    assert (command.host, command.person, command.state) == (HOME, PERSON, "active")
    world.say(HOST, reported(ref=HOST_REF, host=HOST))
    assert world.refused(HOST) == ["not_yours"]


def test_under_a_broken_link_nothing_new_but_a_post_can_be_given_back() -> None:
    world = linked()
    world.now += 10 * MINUTE
    world.hear(broken(2))
    world.say(HOST, signup())
    world.say(HOST, checked_in(world.now))
    world.say(HOST, attested())
    assert world.refused(HOST) == ["link_broken"] * 3
    assert of_kind(world.say(HOST, signup(signups.SignupWithdrawn)), opportunities.WithdrawSignup)
    world.hear(restored(3))
    assert of_kind(world.say(HOST, signup()), opportunities.RequestSignup)


def test_what_happened_before_the_break_is_accepted_after_it() -> None:
    """Downtime, replay and a file of last week decide alike."""
    world = linked()
    world.now += 10 * MINUTE
    world.hear(broken(2))
    assert of_kind(world.say(HOST, signup(), at=T0 + 9 * MINUTE), opportunities.RequestSignup)


def test_a_known_record_can_be_corrected_under_a_broken_link() -> None:
    world = linked()
    world.confirm(1, 60)
    world.hear(broken(2))
    assert of_kind(world.say(HOST, attested(2, 30)), attendance.AttestService)


def test_a_volunteer_who_withdrew_consent_may_still_serve() -> None:
    world = linked()
    world.withdraw(1)
    assert of_kind(world.say(HOST, signup()), opportunities.RequestSignup)


def test_presence_and_service_become_commands_of_the_same_signup() -> None:
    world = linked()
    signup_of_hers = signup_id(PERSON, HOST, "P1", "H1")
    (came,) = of_kind(world.say(HOST, checked_in(T0)), attendance.RecordCheckIn)
    left_at = service.CheckedOut(volunteer_ref=HOST_REF, project_ref="P1", shift_ref="H1", at=T0, method="scan")
    (left,) = of_kind(world.say(HOST, left_at), attendance.RecordCheckOut)
    (attest,) = of_kind(world.say(HOST, attested(1, 60)), attendance.AttestService)
    assert {came.signup_id, left.signup_id, attest.signup_id} == {signup_of_hers}
    assert (attest.host, attest.record.minutes, attest.person) == (HOST, 60, PERSON)


def test_a_review_becomes_a_command_about_the_person_and_a_step_of_her_timeline() -> None:
    world = linked()
    (send,) = world.say(HOST, reviewed(version=2))
    command = send.message
    assert isinstance(command, attendance.ReviewService)
    assert (command.person, command.host, command.record_ref, command.version) == (PERSON, HOST, "R1", 2)
    assert (command.reviewer, command.tier, command.outcome, command.reason) == (
        "chief",
        "host",
        "approved",
        "list_seen",
    )
    [step] = [row for row in world.rows(Step) if row.what == "service_reviewed"]
    assert (step.person, step.subject, step.detail["outcome"]) == (PERSON, "R1", "approved")


@pytest.mark.parametrize(("code", "ref", "home"), [(HOST, HOST_REF, HOME), (HOME, HOME_REF, HOME)])
def test_the_command_of_a_record_names_her_home_whose_policy_has_the_cap(code: str, ref: str, home: str) -> None:
    (send,) = linked().say(code, attested(ref=ref))
    assert isinstance(send.message, attendance.AttestService)
    assert (send.message.host, send.message.home) == (code, home)


def test_a_record_goes_inside_as_it_was_read_and_is_not_validated_a_second_time() -> None:
    said, world = attested(3, 45), linked()
    asked = inbound(registry_source(HOST), said)
    (send,) = world.member.service.decide(world.states, asked, world.now).sends
    command = send.message
    assert isinstance(command, attendance.AttestService)
    assert command.record is said
    body = body_bytes(Event("e1", service_source("bridge"), T0, command))
    assert json.loads(body)["record"] == record(3, 45).model_dump(mode="json", exclude_none=True)


def test_a_service_at_home_is_attested_by_the_home_with_itself_as_host() -> None:
    (command,) = of_kind(linked().say(HOME, attested(ref=HOME_REF)), attendance.AttestService)
    assert (command.host, command.signup_id) == (HOME, signup_id(PERSON, HOME, "P1", "H1"))


def test_a_projects_host_is_who_publishes_it() -> None:
    project = ProjectPublished(
        project_ref="P1", version=1, title="志愿护绿驿站", category=Category.ECOLOGY, organiser_ref="O1"
    )
    (send,) = World().say(HOST, project)
    assert isinstance(send.message, opportunities.PublishProject)
    assert send.message.key == f"{HOST}:P1"


def test_a_signup_is_told_to_host_and_home_each_by_its_own_ref() -> None:
    world = linked()
    world.hear(told_of(asker=HOME))
    (host,) = world.told(HOST, deliveries.SignupChanged)
    (home,) = world.told(HOME, deliveries.SignupChanged)
    assert (host.volunteer_ref, home.volunteer_ref) == (HOST_REF, HOME_REF)
    assert {host.asker, home.asker, host.state, home.state} == {HOME, "confirmed"}


def test_a_window_at_home_is_told_to_the_home_once() -> None:
    world = linked()
    sends = world.hear(told_of(opportunities.SignupNoted, host=HOME, asker=HOME))
    assert [send.topic for send in sends] == [f"registry.{HOME}.deliveries.v1"]


def test_without_consent_the_home_is_not_told_of_a_signup_that_it_did_not_ask_for() -> None:
    world = linked()
    world.withdraw(1)
    world.hear(told_of(asker=HOST))
    assert (len(world.told(HOST, deliveries.SignupChanged)), world.told(HOME, deliveries.SignupChanged)) == (1, [])
    world.hear(told_of(asker=HOME))
    assert len(world.told(HOME, deliveries.SignupChanged)) == 1


@pytest.mark.parametrize(
    "refused",
    [
        opportunities.CommandRefused(host=HOST, project_ref="P1", reason="window_fixed", origin=origin(id="x-7")),
        opportunities.CommandRefused(
            host=HOST, project_ref="P1", reason="no_signup", origin=origin(id="x-7"), person=PERSON
        ),
        attendance.CommandRefused(
            person=PERSON, host=HOST, signup_id=PERSON, reason="version_conflict", origin=origin(id="x-7")
        ),
        identity.CommandRefused(
            person=PERSON, home=HOME, home_ref=HOME_REF, host=HOST, reason="not_broken", origin=origin(id="x-7")
        ),
    ],
)
def test_what_an_inner_service_could_not_follow_comes_back_to_its_sender_under_the_key_of_its_message(
    refused: identity.CommandRefused | opportunities.CommandRefused | attendance.CommandRefused,
) -> None:
    world = linked()
    (sent,) = world.say(HOST, signup(), id="x-7")
    (send,) = world.hear(refused)
    assert isinstance(sent.message, opportunities.RequestSignup)
    assert isinstance(send.message, MessageRefused)
    assert (sent.message.origin, send.topic) == (refused.origin, f"registry.{HOST}.refusals.v1")
    assert (send.message.message_id, send.message.message_type) == ("x-7", signups.SignupRequested.TYPE)
    assert send.message.refused_key == ("P1" if refused.reason == "window_fixed" else HOST_REF)


def test_a_home_without_a_link_is_refused_under_its_own_ref_and_a_visitors_refusal_waits_for_her_link() -> None:
    stale = identity.CommandRefused(
        person=person(3), home=HOME, home_ref="S3", host=HOST, reason="stale_consent", origin=origin(HOME, "x-8")
    )
    world = World()
    world.say(HOME, offered().model_copy(update={"volunteer_ref": "S3"}), id="x-8")
    (send,) = world.hear(stale)
    assert isinstance(send.message, MessageRefused)
    assert (send.message.refused_key, send.topic) == ("S3", f"registry.{HOME}.refusals.v1")
    world = World()
    world.say(HOST, requested(), id="x-9")
    served = attendance.CommandRefused(
        person=PERSON, host=HOST, signup_id=PERSON, reason="version_conflict", origin=origin(id="x-9")
    )
    assert not world.hear(served)


def test_a_refusal_of_a_message_of_which_the_border_has_no_row_is_left_to_an_operator() -> None:
    """There is nobody to tell; silence would look as if all were well."""
    world = linked()
    refused = opportunities.CommandRefused(host=HOST, project_ref="P1", reason="window_fixed", origin=origin())
    with pytest.raises(Raised, match="a message of gz that the border does not know"):
        world.hear(refused)
    assert world.refused(HOST) == []
