"""Sessions of the operator's page: in memory, bounded, and never the same before and after a sign-in."""

from __future__ import annotations

import time

import pytest

from deploy.operator.sessions import Sessions


def test_a_session_is_found_by_its_own_cookie_only() -> None:
    sessions = Sessions()
    one = sessions.open("the-bearer")
    assert sessions.find(one.token) is one
    assert [sessions.find(other) for other in (None, "", "x", one.csrf)] == [None] * 4
    sessions.end(one)
    assert sessions.find(one.token) is None


def test_strangers_who_open_many_push_out_each_other_and_no_operator() -> None:
    sessions = Sessions()
    operator, first = sessions.open("the-bearer"), sessions.open()
    for _ in range(1000):
        sessions.open()
    assert sessions.find(operator.token) is operator
    assert sessions.find(first.token) is None


def test_a_session_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions()
    one = sessions.open("the-bearer")
    monkeypatch.setattr(time, "monotonic", lambda: one.ends + 1)
    assert sessions.find(one.token) is None


def test_what_has_ended_is_forgotten_though_nobody_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions()
    ended = [sessions.open("the-bearer"), sessions.open()]
    monkeypatch.setattr(time, "monotonic", lambda: ended[0].ends + 1)
    sessions.open()
    assert (len(sessions._operators), len(sessions._strangers)) == (0, 1)


def test_a_session_shows_none_of_its_secrets() -> None:
    one = Sessions().open("the-bearer")
    assert not any(secret in repr(one) for secret in (one.token, one.csrf, "the-bearer"))
