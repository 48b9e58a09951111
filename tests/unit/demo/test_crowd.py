"""The summer's crowd: the same seed does the same, every event is in the contract, and enough happens."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from contracts.envelope import encode_structured, parse_structured
from contracts.messages import shifts, signups, volunteers
from deploy.operate.lines import Letter
from deploy.tryout.demo import crowd, service, world

NOW = datetime(2026, 9, 7, 5, 30, tzinfo=UTC)


def _everyone_confirmed(summer: world.World, letters: list[Letter]) -> list[crowd.Standing]:
    """As if every host had a post for everyone who asked."""
    of_home = {one.home_ref: one.host_ref for one in summer.linked}
    found = {}
    for letter in letters:
        data = letter.event.data
        if isinstance(data, signups.SignupRequested):
            ref = of_home.get(data.volunteer_ref, data.volunteer_ref)
            asker = letter.topic.split(".")[1]
            found[ref, data.shift_ref] = crowd.Standing(
                data.host, data.shift_ref, ref, "confirmed", asker, data.signup_ref
            )
    return list(found.values())


def _summer(seed: int, people: int) -> tuple[world.World, list[Letter]]:
    summer = world.make(seed, people, world.last_midnight(NOW))
    letters = [*crowd.offers(summer), *crowd.links(summer), *crowd.at_home(summer), *crowd.sign_ups(summer)]
    standing = _everyone_confirmed(summer, letters)
    letters += [*crowd.second_thoughts(summer, standing), *crowd.latecomers(summer, standing)]
    letters += service.consent_withdrawn(summer)
    refused = [crowd.Standing(s.host, s.shift_ref, s.ref, "refused", s.asker, s.signup_ref) for s in standing]
    letters += service.without_a_post(summer, refused)
    services = service.plan(summer, standing)
    letters += [*service.served_at_home(summer), *service.served(services), *service.changes(summer, services)]
    return summer, letters


@pytest.fixture(scope="module")
def small() -> tuple[world.World, list[Letter]]:
    return _summer(3, 120)


def test_the_same_seed_gives_the_same_events_and_another_seed_others(small: tuple[world.World, list[Letter]]) -> None:
    assert _summer(3, 120)[1] == small[1]
    assert _summer(4, 120)[1] != small[1]


def test_every_event_is_strictly_in_the_contract(small: tuple[world.World, list[Letter]]) -> None:
    for letter in small[1]:
        assert parse_structured(json.dumps(encode_structured(letter.event)), strict=True) == letter.event


def test_no_two_events_share_an_id(small: tuple[world.World, list[Letter]]) -> None:
    counted = Counter((letter.event.source, letter.event.id) for letter in small[1])
    # The record of someone without a post is not among what the others do.
    assert [id_ for id_, count in counted.items() if count > 1 and "attest" not in id_[1]] == []


def test_nothing_lies_in_the_future_and_all_of_it_in_the_last_weeks(small: tuple[world.World, list[Letter]]) -> None:
    times = [letter.event.time for letter in small[1]]
    assert max(times) < NOW
    assert NOW - min(times) < timedelta(days=33)


def test_the_summer_is_as_large_as_promised() -> None:
    summer = world.make(1, 2000, world.last_midnight(NOW))
    shifts = [shift for project in summer.projects for shift in project.shifts]
    assert len(summer.projects) >= 100
    assert sum(shift.posts for shift in shifts) >= 20_000
    ways = Counter((one.home, one.host) for one in summer.linked)
    assert sum(ways.values()) == 2000
    assert min(ways[way] for way in (("sz", "gz"), ("gz", "sz"))) >= 500
    assert len({one.home_ref for one in summer.linked} | {one.host_ref for one in summer.linked}) == 4000


def test_people_ask_for_what_they_cannot_have(small: tuple[world.World, list[Letter]]) -> None:
    summer, letters = small
    rush = {shift.shift_ref: shift for host in ("gz", "sz") for shift in summer.shifts(host, "rush")}
    asked = Counter(
        letter.event.data.shift_ref for letter in letters if isinstance(letter.event.data, signups.SignupRequested)
    )
    for ref, shift in rush.items():
        assert asked[ref] > shift.posts + shift.waitlist_posts
    assert any(one.age_band.youngest < 18 and not one.guardian_approved for one in summer.linked)
    strangers = {one.host_ref for one in summer.strangers}
    linking = {l.event.data.key for l in letters if isinstance(l.event.data, volunteers.LinkRequested)}  # noqa: E741
    assert strangers
    assert not strangers & linking


@pytest.mark.parametrize("people", [1, 2, 5, 24])
def test_a_very_small_crowd_does_something_too(people: int) -> None:
    summer, letters = _summer(1, people)
    assert len(summer.linked) == people
    assert any(isinstance(letter.event.data, signups.SignupRequested) for letter in letters)


def test_consent_is_taken_back_by_some_and_given_again_by_half(small: tuple[world.World, list[Letter]]) -> None:
    said = Counter(type(letter.event.data) for letter in small[1])
    assert said[volunteers.ConsentWithdrawn] > said[volunteers.ConsentGiven] > 0


def test_each_host_lowers_an_allotment_below_what_it_gave_and_others_ask_for_it_then() -> None:
    summer = world.make(3, 120, world.last_midnight(NOW))
    standing = _everyone_confirmed(summer, [*crowd.sign_ups(summer)])
    given = Counter((one.host, one.shift_ref) for one in standing)
    lowered = {}
    for letter in crowd.second_thoughts(summer, standing):
        data = letter.event.data
        if isinstance(data, shifts.ShiftPublished):
            lowered[letter.topic.split(".")[1], data.shift_ref] = data.posts
    assert {host for host, _ in lowered} == {"gz", "sz"}
    assert all(posts < given[shift] for shift, posts in lowered.items())
    late = [one.event.data for one in crowd.latecomers(summer, standing)]
    assert all(isinstance(data, signups.SignupRequested) for data in late)
    asked = Counter((data.host, data.shift_ref) for data in late if isinstance(data, signups.SignupRequested))
    assert asked == dict.fromkeys(lowered, 3)


@pytest.mark.parametrize("lucky", [0, 1, 2])
def test_of_rushed_posts_some_are_given_back_whoever_has_them(lucky: int) -> None:
    summer = world.make(3, 24, world.last_midnight(NOW))
    asked = [one for one in _everyone_confirmed(summer, [*crowd.sign_ups(summer)]) if one.shift_ref == "gz-p000-s0"]
    standing = [
        crowd.Standing(s.host, s.shift_ref, s.ref, "confirmed" if at % 3 == lucky else "refused", s.asker, s.signup_ref)
        for at, s in enumerate(sorted(asked))
    ]
    said = [one.event.data for one in crowd.second_thoughts(summer, standing)]
    assert any(isinstance(data, signups.SignupWithdrawn) for data in said)


@pytest.mark.parametrize("people", [1, 2, 3, 5, 40])
def test_a_small_crowd_had_nobody_whose_answer_could_be_lost(people: int) -> None:
    summer = world.make(1, people, world.last_midnight(NOW))
    services = service.plan(summer, _everyone_confirmed(summer, [*crowd.sign_ups(summer)]))
    chosen = service.to_credit(services, ("sz", "gz"))
    assert chosen is not None
    assert (chosen.volunteer.home, chosen.host) == ("sz", "gz")
    of_gz = [one for one in services if one.volunteer.home == "gz"]
    instead = service.to_credit(of_gz, ("sz", "gz"))
    assert (instead is None) == (people <= 2)
    assert instead is None or (instead.volunteer.home, instead.ordinary) == ("gz", True)
    assert service.to_credit([], ("sz", "gz")) is None
