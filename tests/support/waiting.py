"""Waiting for a condition: the only place in the tests that polls."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, overload

from tests.support.standing import standing

Found = TypeVar("Found")
PATIENCE: Final = 120.0
"""Seconds after which a wait gives up. Only a failure takes so long; a loaded machine is many times slower than an
idle machine."""


@overload
async def eventually(
    condition: Callable[[], Awaitable[Found]], timeout: float = ..., *, every: float = ..., what: str = ...
) -> Found: ...


@overload
async def eventually(
    condition: Callable[[], Found], timeout: float = ..., *, every: float = ..., what: str = ...
) -> Found: ...


async def eventually(
    condition: Callable[[], Any], timeout: float = PATIENCE, *, every: float = 0.02, what: str = ""
) -> Any:
    """Ask until the answer is true, and give that answer; an assertion that fails counts as not yet.

    After `timeout` seconds fail with the last answer, or with the assertion itself, and with the positions of lanes.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout
    while True:
        failed: AssertionError | None = None
        answer: Any = None
        try:
            given = condition()
            answer = await given if inspect.isawaitable(given) else given
        except AssertionError as error:
            failed = error
        if failed is None and answer:
            return answer
        if loop.time() >= end:
            subject = what or getattr(condition, "__name__", "the condition")
            last = f"last: {failed or answer!r}{await standing()}"
            raise AssertionError(f"{subject} did not come true within {timeout} s; {last}") from failed
        await asyncio.sleep(every)
