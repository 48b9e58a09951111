"""Stories in which people compete: a shift with fewer posts than sign-ups, two shifts at once, a minor on her own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from contracts.messages.base import AgeBand
from contracts.messages.signups import SignupWithdrawn
from tests.lab.faults.load import DIRECTIONS, Direction, Signups, Story, letter, new_mark, told, visits
from tests.support.journey import DAY, Visit

__all__ = ["plan", "settled"]

_ASKING, _POSTS, _LEAVING = 5, 2, 2
_BEFORE: Final = DAY - timedelta(days=10)


def plan(rng: random.Random, count: int) -> list[Story]:
    """``count`` visits in both directions and one scene of each kind: what most cells are loaded with."""
    there, back = rng.sample(DIRECTIONS, 2)
    return [*visits(rng, count), _crowd(rng, there), _clash(rng, back), _unaccompanied(rng, there)]


def _visitor(rng: random.Random, direction: Direction, **more: object) -> Visit:
    return Visit(*direction, mark=new_mark(rng), code=f"{rng.getrandbits(192):048x}", **more)  # type: ignore[arg-type]


def _crowd(rng: random.Random, direction: Direction) -> Story:
    """Five ask for two posts and a line of three; two give back what they have, so the line moves up.

    In which order they come nobody knows: two have a post at the end, one stands in line, two are gone.
    """
    first = _visitor(rng, direction)
    all_ = [first, *(_visitor(rng, direction, where=first.mark) for _ in range(_ASKING - 1))]
    said = told(rng, [one for visit in all_ for one in visit.link()], _BEFORE)
    said += told(rng, first.publish(_POSTS, _ASKING - _POSTS), _BEFORE + timedelta(minutes=1))
    said += told(rng, [visit.sign_up() for visit in all_], _BEFORE + timedelta(minutes=2))
    leaving = {visit.signup_ref: letter(rng, *visit.give_back(), _BEFORE + timedelta(minutes=3)) for visit in all_}
    said += list(leaving.values())[:_LEAVING]
    stand = {"post": _POSTS, "waitlisted": _ASKING - _POSTS - _LEAVING, "withdrawn": _LEAVING}
    ends = Signups(first.home, first.host, tuple(leaving), stand)
    return Story(first, tuple(said), signups=(ends,), may_leave=leaving)


def settled(story: Story, holders: Sequence[str]) -> Story:
    """The same, where all but what is said late is applied: they are linked, and in a crowd those leave who hold the
    posts, so that as many others are promoted."""
    story = replace(story, linked_before=True)
    if not story.may_leave:
        return story
    stay = [one for one in story.said if not isinstance(one.event.data, SignupWithdrawn)]
    gone = [story.may_leave[ref] for ref in holders[:_LEAVING]]
    (ends,) = story.signups
    return replace(story, said=(*stay, *gone), signups=(replace(ends, promoted=len(gone)),))


def _clash(rng: random.Random, direction: Direction) -> Story:
    """One person asks for two shifts of different projects that overlap: whichever is decided first, she gets one."""
    one = _visitor(rng, direction)
    other = _visitor(rng, direction, who=one.mark, start=one.start + timedelta(hours=2))
    said = told(rng, [*one.link(), *one.publish(), *other.publish(), one.sign_up(), other.sign_up()], _BEFORE)
    ends = Signups(one.home, one.host, (one.signup_ref, other.signup_ref), {"post": 1, "clash": 1})
    return Story(one, tuple(said), signups=(ends,))


def _unaccompanied(rng: random.Random, direction: Direction) -> Story:
    """A minor whose guardian said nothing gets no post."""
    visit = _visitor(rng, direction, age_band=AgeBand.FROM_16)
    said = told(rng, [*visit.link(), *visit.publish(), visit.sign_up()], _BEFORE)
    return Story(
        visit, tuple(said), signups=(Signups(visit.home, visit.host, (visit.signup_ref,), {"guardian_missing": 1}),)
    )
