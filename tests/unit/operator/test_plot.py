"""The picture of the last hour: what is drawn is what the bridge told, each minute at its place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deploy.operator.plot import HEIGHT, WIDTH, plot

NOW = datetime(2026, 7, 5, 10, 30, 17, tzinfo=UTC)


def row(ago: int, minutes: int, median: float | None = 0.4, host: str = "gz", home: str = "sz") -> dict[str, Any]:
    minute = NOW.replace(second=0) - timedelta(minutes=ago)
    return {
        "minute": minute.isoformat(), "host": host, "home": home, "transfers": 1, "minutes": minutes,
        "median": median, "slowest": median,
    }  # fmt: skip


def test_nothing_credited_is_an_empty_picture() -> None:
    drawn = plot([], NOW)
    assert (drawn.bars, drawn.line, drawn.dots, drawn.rows) == ([], "", [], [])


def test_the_newest_minute_stands_at_the_right_and_directions_on_each_other() -> None:
    drawn = plot([row(0, 60), row(0, 180, 0.8, "sz", "gz"), row(59, 120)], NOW)
    assert drawn.directions == [("gz", "sz"), ("sz", "gz")]
    assert (drawn.most_minutes, drawn.most_seconds) == (240, 0.8)
    first, below, above = sorted(drawn.bars, key=lambda bar: (bar.x, -bar.y))
    assert (first.x, round(below.x + below.width)) == (1, WIDTH - 1)
    assert (below.y + below.height, above.y + above.height) == (HEIGHT, below.y)
    assert (below.height, above.height) == (HEIGHT / 4, HEIGHT * 3 / 4)
    assert len(drawn.dots) == 2


def test_a_minute_of_corrections_downwards_has_no_bar_but_stands_in_the_table() -> None:
    drawn = plot([row(3, -30), row(90, 60)], NOW)
    assert drawn.bars == []
    assert [one["minutes"] for one in drawn.rows] == [-30, 60]


def test_a_credit_whose_attestation_is_not_known_has_no_latency() -> None:
    assert plot([row(3, 60, None)], NOW).line == ""


@given(
    st.lists(
        st.tuples(
            st.integers(0, 59), st.integers(-1440, 100_000), st.one_of(st.none(), st.floats(0, 1e5)), st.booleans()
        ),
        max_size=120,
    )
)
def test_whatever_is_told_stays_inside_the_picture(told: list[tuple[int, int, float | None, bool]]) -> None:
    drawn = plot(
        [row(ago, minutes, median, *("gz", "sz")[:: 1 if way else -1]) for ago, minutes, median, way in told], NOW
    )
    for bar in drawn.bars:
        assert bar.x >= 0
        assert bar.x + bar.width <= WIDTH
        assert bar.y >= -1e-6
        assert bar.y + bar.height <= HEIGHT + 1e-6
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in drawn.dots)
