"""The HTTP interface: 入账 posts a credit and answers, 通知 and 报送 take letters in by the batch, 上报 gives what
people did on the pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import SecretStr, ValidationError

from deploy.tryout.sandbox import books
from deploy.tryout.sandbox.credentials import bearer_of
from deploy.tryout.sandbox.database import Pool
from deploy.tryout.sandbox.entries import Letter, Query
from deploy.tryout.sandbox.ledger import Answer
from deploy.tryout.sandbox.mischief import Mischief
from deploy.tryout.sandbox.rest_api.clerk import Clerk
from deploy.tryout.sandbox.rest_api.forms import CreditForm, Unreadable, read_letter, receipt
from deploy.tryout.sandbox.rest_api.speech import spoken
from deploy.tryout.sandbox.settings import Seat
from deploy.web.bounds import allow

__all__ = ["interface"]

_LONGEST_SILENCE = 60.0
"""The seconds for which a request stays open whose answer gets lost, unless its client leaves earlier."""
_AT_ONCE = 200
_MOST_BYTES = 1024 * 1024
_NOT_KEPT = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, OverflowError)
"""Errors of a letter that no column takes: NUL, numbers and moments that are too large, minutes without a service."""
_STATUS = {"conflict": 409, "volunteer_unknown": 404}


def _open_for_business(mischief: Mischief) -> None:
    if mischief.down:
        raise HTTPException(503, "系统维护中")
    if seconds := mischief.asks_for():
        raise HTTPException(429, "请求过多", {"Retry-After": str(seconds)})


async def _roomy(request: Request) -> None:
    """A batch of letters is larger than people's requests. An adapter halves a batch that is too large."""
    allow(request, _MOST_BYTES)


def interface(
    seat: Seat, token: SecretStr, mischief: Mischief, pool: Callable[[], Pool], clerk: Callable[[], Clerk]
) -> APIRouter:
    """The routes under ``/接口``, for the bearer of this token, since they book minutes and tell codes in clear."""

    dependencies = [Depends(bearer_of(token)), Depends(lambda: _open_for_business(mischief)), Depends(_roomy)]
    router = APIRouter(prefix="/接口", dependencies=dependencies)

    @router.post("/入账")
    async def post(request: Request) -> Response:
        try:
            form = CreditForm.model_validate_json(await request.body())
        except ValidationError as error:
            return _json({"错误": error.errors(include_url=False, include_input=False)[0]["msg"]}, 400)
        await asyncio.sleep(mischief.delay())
        answer = await clerk().ask(form.credit())
        if not answer.copies:
            return await _silence(request)
        return _json({"回执": [receipt(answer)] * answer.copies}, _status(answer))

    @router.get("/入账/{number}")
    async def query(request: Request, number: str) -> Response:
        if seat.capability == "neither":
            raise HTTPException(405, "本系统不支持查询")
        try:
            transfer_id = UUID(number)
        except ValueError:
            raise HTTPException(400, "流水号有误") from None
        answer = await clerk().ask(Query(transfer_id, request.query_params.get("志愿者编号", "")))
        return _json({"回执": [receipt(answer)]}, 200 if answer.result == "accepted" else 404)

    @router.get("/上报")
    async def said(request: Request) -> Response:
        given = request.query_params.get("序号", "0")
        if not (given.isascii() and given.isdecimal() and len(given) < 19):  # the largest bigint
            raise HTTPException(400, "序号有误")
        after = int(given)
        async with pool().acquire() as connection:
            return _json({"上报": await spoken(connection, after, _AT_ONCE)}, 200)

    @router.post("/通知")
    async def told(request: Request) -> Response:
        return await _take_in(request, pool(), "通知", own=False)

    @router.post("/报送")
    async def reported(request: Request) -> Response:
        return await _take_in(request, pool(), "报送", own=True)

    return router


async def _take_in(request: Request, pool: Pool, name: str, *, own: bool) -> Response:
    """Keep a batch of letters, each once. Letters that cannot be read are named, and all others are kept."""
    try:
        sent = orjson.loads(await request.body())[name]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return _json({"错误": f"需要 {name}"}, 400)
    if not isinstance(sent, list):
        return _json({"错误": f"{name} 需要列表"}, 400)
    letters, unreadable = [], []
    for raw in sent:
        try:
            letters.append(read_letter(raw, own=own))
        except Unreadable as error:
            number = raw.get("消息号") if isinstance(raw, dict) else None
            unreadable.append({"消息号": number if isinstance(number, str) else None, "原因": str(error)})
    fresh, not_kept = await _keep(pool, letters)
    return _json({"已收": fresh, "未收": unreadable + not_kept}, 200)


async def _keep(pool: Pool, letters: Sequence[Letter]) -> tuple[int, list[dict[str, str | None]]]:
    """How many letters were new, and which of them the books do not take. Such a letter prevents no other from being
    kept."""
    try:
        async with pool.acquire() as connection, connection.transaction():
            return len(await books.keep(connection, letters)), []
    except _NOT_KEPT as error:
        if len(letters) == 1:
            return 0, [{"消息号": letters[0].id, "原因": f"无法入账册: {type(error).__name__}"}]
    fresh = 0
    not_kept: list[dict[str, str | None]] = []
    for one in letters:
        more, odd = await _keep(pool, [one])
        fresh, not_kept = fresh + more, not_kept + odd
    return fresh, not_kept


async def _silence(request: Request) -> Response:
    async def until_gone() -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(0.05)

    try:
        await asyncio.wait_for(until_gone(), _LONGEST_SILENCE)
    except TimeoutError:
        return _json({"错误": "超时"}, 504)
    return Response(status_code=504)


def _status(answer: Answer) -> int:
    return 200 if answer.result == "accepted" else _STATUS.get(answer.reason or "", 422)


def _json(body: Any, status: int) -> Response:
    return Response(orjson.dumps(body), status_code=status, media_type="application/json")
