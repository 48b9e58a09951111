"""The only task that posts. Requests that come at the same time are answered from one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from deploy.tryout.sandbox import ledger
from deploy.tryout.sandbox.database import Pool
from deploy.tryout.sandbox.entries import Credit, Query
from deploy.tryout.sandbox.ledger import Answer
from deploy.tryout.sandbox.mischief import Mischief
from deploy.tryout.sandbox.settings import Seat

__all__ = ["Clerk"]

_AT_ONCE = 200
_Waiting: TypeAlias = "tuple[Credit | Query, asyncio.Future[Answer]]"


class Clerk:
    """Answers one request after another, in the order in which they came."""

    def __init__(self, pool: Pool, seat: Seat, mischief: Mischief) -> None:
        self._pool = pool
        self._seat = seat
        self._mischief = mischief
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()

    async def ask(self, request: Credit | Query) -> Answer:
        """The answer, once it is committed. Raises the database's error; then nobody knows whether it was posted."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((request, future))
        return await future

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            waiting = [await self._queue.get()]
            while len(waiting) < _AT_ONCE and not self._queue.empty():
                waiting.append(self._queue.get_nowait())
            try:
                answers = await self._answer([request for request, _ in waiting])
            except Exception as error:
                for _, future in waiting:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), answer in zip(waiting, answers, strict=True):
                if not future.done():
                    future.set_result(answer)

    async def _answer(self, requests: Sequence[Credit | Query]) -> list[Answer]:
        async with self._pool.acquire() as connection, connection.transaction():
            return await ledger.answer(connection, self._seat, self._mischief, requests, datetime.now(UTC))
