"""The one wait of deploy: it ends when nothing is missing, at its deadline, and at an error of the look."""

from __future__ import annotations

import asyncio

import pytest

from deploy.operate.errors import LocalError
from deploy.operate.waiting import wait_until_done


def late(words: str) -> LocalError:
    return LocalError(f"not drained: {words}", todo="see the logs")


async def test_a_wait_ends_when_nothing_is_missing_any_more() -> None:
    answers = ["two rows", "one row", None]

    async def look() -> str | None:
        return answers.pop(0)

    await wait_until_done(look, late, seconds=120, every=0)
    assert answers == []


async def test_an_empty_text_is_not_taken_for_the_end() -> None:
    answers = ["", None]

    async def look() -> str | None:
        return answers.pop(0)

    await wait_until_done(look, late, seconds=120, every=0)
    assert answers == []


async def test_a_wait_that_is_too_long_says_the_last_words_and_what_to_do_next() -> None:
    answers = ["two rows", "one row"]

    async def look() -> str | None:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    with pytest.raises(LocalError) as raised:
        await wait_until_done(look, late, seconds=0.05, every=0)
    assert str(raised.value) == "not drained: one row\n  What to do: see the logs"


async def test_a_look_that_never_ends_is_cancelled_at_the_deadline() -> None:
    cancelled = False

    async def look() -> str | None:
        nonlocal cancelled
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise
        return None

    with pytest.raises(LocalError, match="not drained: no answer yet"):
        await wait_until_done(look, late, seconds=0)
    assert cancelled


@pytest.mark.parametrize("error", [LookupError("no such table"), TimeoutError("the time of one question is up")])
async def test_an_error_of_a_look_ends_the_wait_as_it_is(error: Exception) -> None:
    async def look() -> str | None:
        raise error

    with pytest.raises(type(error), match=str(error)):
        await wait_until_done(look, late, seconds=120)
