"""When a job is due: in Shanghai's time, whatever the clocks of other places do."""

from __future__ import annotations

import time as clock
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.messages.service import SHANGHAI, shanghai_day
from services.chassis.base.clock import Clock
from services.chassis.batch.naming import Cause, Naming
from services.chassis.schedule import Job, Run


async def nothing(run: Run) -> bool:
    return False


def daily(hour: int, minute: int = 0) -> Job:
    return Job("daily", nothing, at=time(hour, minute))


def every(span: timedelta) -> Job:
    return Job("often", nothing, every=span)


def in_shanghai(day: int, hour: int, minute: int = 0, month: int = 3) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=SHANGHAI)


@pytest.fixture(params=["UTC", "Europe/Berlin", "America/New_York"])
def elsewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process stands where summer time begins on 29 March 2026, or on 8 March."""
    monkeypatch.setenv("TZ", request.param)
    clock.tzset()
    yield
    monkeypatch.undo()
    clock.tzset()


@pytest.mark.usefixtures("elsewhere")
def test_a_job_is_due_at_its_time_in_shanghai_also_where_the_process_stands_in_summer_time() -> None:
    due, dues = daily(4, 30).first(datetime(2026, 3, 6, 0, 0, tzinfo=UTC)), []
    for _ in range(30):
        dues.append(due)
        due = daily(4, 30).after(due)
    assert dues == [in_shanghai(7, 4, 30) + timedelta(days=n) for n in range(30)]
    assert {one.astimezone(UTC).time() for one in dues} == {time(20, 30)}


def test_a_job_of_midnight_is_due_when_its_day_begins_in_shanghai() -> None:
    due = daily(0).first(datetime(2026, 3, 9, 15, 59, 59, 999999, tzinfo=UTC))
    assert due == datetime(2026, 3, 9, 16, 0, tzinfo=UTC)
    run = Run(None, due.astimezone(UTC), Clock())  # type: ignore[arg-type]
    assert run.day == date(2026, 3, 10)
    assert daily(0).first(due) == due + timedelta(days=1), "a due is never due again"


def test_a_job_whose_time_is_moved_is_done_once_on_each_day() -> None:
    assert daily(3).after(in_shanghai(10, 4)) == in_shanghai(11, 3)
    assert daily(5).after(in_shanghai(10, 4)) == in_shanghai(11, 5)


def test_dues_of_every_so_often_do_not_depend_on_when_a_process_started() -> None:
    six = every(timedelta(hours=6))
    assert six.first(in_shanghai(10, 5, 59)) == six.first(in_shanghai(10, 0)) == in_shanghai(10, 6)
    assert six.after(in_shanghai(10, 6)) == in_shanghai(10, 12)


def test_three_days_without_a_process_are_three_dues_or_the_last_one() -> None:
    due, now = in_shanghai(10, 4), in_shanghai(12, 23)
    assert (daily(4).missed(due, now), daily(4).last(due, now)) == (3, in_shanghai(12, 4))
    assert daily(4).missed(due, due - timedelta(microseconds=1)) == 0
    assert daily(4).missed(due, due) == 1


@given(
    job=st.one_of(
        st.builds(daily, st.integers(0, 23), st.integers(0, 59)),
        st.timedeltas(timedelta(minutes=1), timedelta(days=3)).map(every),
    ),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),
    span=st.timedeltas(timedelta(), timedelta(days=2)),
)
def test_dues_follow_one_another_and_none_is_left_out(job: Job, start: datetime, span: timedelta) -> None:
    began = start.replace(tzinfo=UTC)
    now, due, dues = began + span, job.first(began), []
    assert due > began
    while due <= now:
        dues.append(due)
        due = job.after(due)
    assert job.missed(job.first(began), now) == len(dues)
    if dues:
        assert job.last(dues[0], now) == dues[-1]
    if job.at is not None:
        assert [shanghai_day(one) for one in dues] == sorted({shanghai_day(one) for one in dues})


@pytest.mark.parametrize(
    "wrong",
    [{}, {"at": time(4), "every": timedelta(hours=1)}, {"at": time(4, tzinfo=UTC)}, {"every": timedelta()}],
)
def test_a_job_that_is_never_due_or_in_another_places_time_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="job x"):
        Job("x", nothing, **wrong)  # type: ignore[arg-type]


def test_what_a_due_sends_is_named_by_job_due_portion_and_place_alone() -> None:
    naming = Naming("a secret of a service that has thirty-two characters")
    due = in_shanghai(10, 4)
    names = {
        naming.send_id(Cause.job(job, moment, portion), place)
        for job in ("a", "b")
        for moment in (due, due + timedelta(days=1))
        for portion in (0, 1)
        for place in (0, 1)
    }
    assert len(names) == 16
    assert naming.send_id(Cause.job("a", due.astimezone(UTC), 0), 0) in names
