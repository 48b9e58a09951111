"""Registries of the kind ``rest_api``: the linkage's messages in their words, over HTTP, and their answers in ours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final
from urllib.parse import quote
from uuid import UUID

import httpx
import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.messages.base import Delta, Instant
from services.adapters.asked import LeftAlone, Quiet, retry_after
from services.adapters.credentials import Credentials, certificate_refused
from services.adapters.lines import Lines
from services.adapters.portions import Unreadable, in_portions
from services.adapters.rest_api_said import read
from services.adapters.rest_api_told import has_word, letter
from services.adapters.states import (
    Away,
    Credit,
    CreditRefusal,
    Lost,
    Notice,
    NotPosted,
    Outcome,
    Posted,
    Refused,
    Said,
)
from services.adapters.systems import SystemAway, Told
from services.adapters.worker import IN_FLIGHT
from services.chassis.database import describe

__all__ = ["RestApi", "read_answer"]

_POST = quote("/接口/入账")
_LISTEN = quote("/接口/上报")
_TELL = {True: (quote("/接口/报送"), "报送"), False: (quote("/接口/通知"), "通知")}
_REASONS: Final[Mapping[str, CreditRefusal]] = {"流水号冲突": "conflict", "查无此人": "volunteer_unknown"}
_REASON = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NOT_READ = frozenset({400, 413, 415, 422})
"""It could not read what it was sent. Any other fault of ours, as it says, may come from behind the ledger."""
_NOT_LET_IN = frozenset({401, 403})
"""It asks for other credentials than ours. That is no word about a credit, whatever else the answer says."""
_NEVER_TAKEN = frozenset({404, 405, 429})
"""Without a receipt in the answer these come from before the ledger: wrong address, too fast."""
_CLOSED = 503
"""Closed; but a gateway also says so of a system that it gave the request to and no longer hears."""

_RECEIPT_BYTES: Final = 64 * 1024
_LIST_BYTES: Final = 4 * 1024 * 1024
"""Longest answers that are read: to one credit, and to many notices or of many letters."""


class _Booking(BaseModel):
    """What a receipt says was posted, within the bounds of the contract: beyond them it could not be told."""

    model_config = ConfigDict(strict=True)

    delta: Annotated[Delta, Field(alias="分钟")]
    posted_at: Annotated[Instant, Field(alias="入账时间")]


class RestApi:
    """A client of one such system."""

    def __init__(
        self,
        url: str,
        registry: str = "",
        quiet: Quiet | None = None,
        credentials: Credentials | None = None,
        *,
        seconds: float = 5.0,
    ) -> None:
        self._registry = registry
        self._quiet = quiet or Quiet()
        self._lines = Lines(url, IN_FLIGHT, seconds=seconds, credentials=credentials or Credentials())

    async def post(self, credit: Credit) -> Outcome:
        """POST 入账: any answer that cannot be read as one is no answer."""
        body = credit.body
        assert body is not None
        form = {
            "流水号": str(body.transfer_id),
            "志愿者编号": body.volunteer_ref,
            "服务方": body.host,
            "分钟": body.delta,
            "累计分钟": body.total,
            "记录编号": body.record.record_ref,
            "版本": body.record.version,
        }
        return await self._outcome(credit, "POST", _POST, orjson.dumps(form))

    async def ask(self, credit: Credit) -> Outcome:
        """GET 入账."""
        address = f"{_POST}/{credit.transfer_id}?{quote('志愿者编号')}={quote(credit.volunteer_ref)}"
        return await self._outcome(credit, "GET", address, None)

    async def tell(self, notices: Sequence[Notice]) -> Told:
        """POST 报送 what was sent in its name, then 通知 what the linkage says; what failed before comes last.

        A message for which this kind of system has no word counts as taken.
        """
        kinds = ((again, own) for again in (False, True) for own in (True, False))
        worded = [one for one in notices if has_word(one)]
        portions = [[one for one in worded if (one.tries > 0, one.own) == kind] for kind in kinds]
        told = await in_portions(portions, self._tell)
        told.taken.update(one.id for one in notices if not has_word(one))
        return told

    async def listen(self, after: int) -> Sequence[Said]:
        """GET 上报. A system that has no such page has nothing to say."""
        try:
            answer = await self._request("GET", f"{_LISTEN}?{quote('序号')}={after}")
        except LeftAlone as error:
            raise SystemAway(str(error), error.seconds) from None
        except httpx.HTTPError as error:
            raise SystemAway(_failure(error)) from None
        if answer.status_code == 404:
            return []
        if answer.status_code in _NOT_LET_IN:
            raise SystemAway(_not_let_in(f"上报 answered {answer.status_code}"))
        if not answer.is_success:
            raise SystemAway(f"上报 answered {answer.status_code}", retry_after(answer))
        try:
            said = [read(one, self._registry) for one in orjson.loads(answer.content)["上报"]]
        except (ValueError, KeyError, TypeError) as error:
            raise SystemAway(f"上报 gave what cannot be read: {type(error).__name__}") from None
        return [one for one in said if one.number is None or one.number > after]

    async def close(self) -> None:
        """Let go of connections."""
        await self._lines.close()

    async def _request(
        self, method: str, address: str, content: bytes | None = None, *, most: int = _LIST_BYTES
    ) -> httpx.Response:
        self._quiet.check()
        answer = await self._lines.request(method, address, content, most=most)
        self._quiet.heard(answer)
        return answer

    async def _outcome(self, credit: Credit, method: str, address: str, content: bytes | None) -> Outcome:
        try:
            answer = await self._request(method, address, content, most=_RECEIPT_BYTES)
        except LeftAlone as error:
            return Away(str(error), seconds=error.seconds)
        except httpx.HTTPError as error:
            return Away(_failure(error)) if _surely_not_read(error) else Lost(_failure(error))
        return read_answer(credit, answer, asked=method == "GET")

    async def _tell(self, notices: Sequence[Notice]) -> Mapping[UUID, str]:
        address, name = _TELL[notices[0].own]
        content = orjson.dumps({name: [letter(notice) for notice in notices]})
        try:
            answer = await self._request("POST", address, content)
        except LeftAlone as error:
            raise SystemAway(str(error), error.seconds) from None
        except httpx.HTTPError as error:
            if not _surely_not_read(error):
                raise
            raise SystemAway(_failure(error)) from None
        status = answer.status_code
        if status in _NOT_LET_IN:
            raise SystemAway(_not_let_in(f"{name} answered {status}"))
        if answer.is_success:
            return _rejected(notices, answer)
        if status in _NOT_READ:
            raise Unreadable(f"answered {status}")
        if status in _NEVER_TAKEN or status == _CLOSED:
            raise SystemAway(f"{address} answered {status}", retry_after(answer))
        raise RuntimeError(f"answered {status}")


def _surely_not_read(error: httpx.HTTPError) -> bool:
    """Whether the system cannot have read the request over which this was met."""
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) or certificate_refused(error) is not None


def _failure(error: httpx.HTTPError) -> str:
    alert = certificate_refused(error)
    return _not_let_in(alert) if alert else f"{type(error).__name__}: {error}"


def _not_let_in(how: str) -> str:
    return f"refuses our credentials ({how}): see SHUANGCHENG_SYSTEM_TOKEN and SHUANGCHENG_SYSTEM_CERTIFICATE"


def _rejected(notices: Sequence[Notice], answer: httpx.Response) -> dict[UUID, str]:
    try:
        named = {one["消息号"]: str(one["原因"]) for one in answer.json()["未收"]}
    except (ValueError, KeyError, TypeError) as error:
        raise RuntimeError(f"an answer that cannot be read: {error!r}") from None
    return {notice.id: named[notice.message_id] for notice in notices if notice.message_id in named}


def read_answer(credit: Credit, answer: httpx.Response, *, asked: bool = False) -> Outcome:
    """What an answer to a post, or to a question, means. One that says two things, or nonsense, is none."""
    status = answer.status_code
    receipts = _receipts(credit, answer)
    if status in _NOT_LET_IN and all(one["结果"] != "已入账" for one in receipts):
        return Away(_not_let_in(f"answered {status}"))
    if receipts:
        said = receipts[0]
        if any(other != said for other in receipts):
            return Lost("two answers that contradict each other")
        if said["结果"] == "已入账" and status == 200:
            return _posted(receipts)
        if said["结果"] == "拒绝" and 400 <= status < 500:
            return _refused(said)
        if said["结果"] == "查无" and status == 404:
            return NotPosted()
    elif status in _NEVER_TAKEN:
        return Away(f"answered {status}", seconds=retry_after(answer))
    elif status == _CLOSED:
        return Away(f"answered {status}", surely=False, seconds=retry_after(answer))
    elif status in _NOT_READ and not asked:
        # It could not read the form: our mistake or its new field. Nothing is lost, and somebody must look.
        return Refused("form_not_accepted", retry=True)
    return Lost(f"answered {status} without a receipt that can be read")


def _posted(receipts: Sequence[Mapping[str, Any]]) -> Outcome:
    try:
        booking = _Booking.model_validate(receipts[0])
    except ValidationError as error:
        return Lost(f"a receipt that cannot be read: {describe(error)}")
    return Posted(booking.delta, booking.posted_at, times=len(receipts))


def _refused(said: Mapping[str, Any]) -> Outcome:
    why, retry = str(said.get("原因")), said.get("可重试", False)
    if not isinstance(retry, bool):
        return Lost("a refusal that does not say whether it is for good")
    reason = _REASONS.get(why) or (why if _REASON.fullmatch(why) else "refused_by_home")
    return Refused(reason, retry=retry)


def _receipts(credit: Credit, answer: httpx.Response) -> list[Mapping[str, Any]]:
    """The receipts in an answer, if they are about this transfer."""
    try:
        found = answer.json()["回执"]
        mine = [one for one in found if UUID(one["流水号"]) == credit.transfer_id and "结果" in one]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    return mine
