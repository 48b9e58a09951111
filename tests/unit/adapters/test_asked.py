"""What an answer asks for with Retry-After, in seconds or as a date."""

from __future__ import annotations

import httpx
import pytest

from services.adapters.kinds.asked import retry_after

_DATE = "Sun, 29 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("status", "said", "seconds"),
    [
        (429, "5", 5),
        (503, "120", 120),
        (429, " 7 ", 7),
        (503, "Sun, 29 Nov 2026 12:01:30 GMT", 90),
        (429, "0", 0),
        (429, "86400", 3600),
        (429, "9" * 400, 3600),
        (503, "Mon, 30 Nov 2026 12:00:00 GMT", 3600),
        (503, "Sun, 29 Nov 2026 11:00:00 GMT", 0),
        (429, "-5", 0),
        (429, "1.5", 0),
        (429, "soon", 0),
        (429, "", 0),
        (500, "5", 0),
        (200, "5", 0),
    ],
)
def test_an_answer_asks_for_a_time_within_an_hour_or_for_none(status: int, said: str, seconds: float) -> None:
    assert retry_after(httpx.Response(status, headers={"retry-after": said, "date": _DATE})) == seconds


def test_a_date_says_nothing_without_the_answers_own_time() -> None:
    assert retry_after(httpx.Response(503, headers={"retry-after": _DATE})) == 0


def test_an_answer_without_the_header_asks_for_nothing() -> None:
    assert retry_after(httpx.Response(503)) == 0
