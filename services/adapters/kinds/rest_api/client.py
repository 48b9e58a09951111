"""The client of a system of the kind ``rest_api``: HTTP, with bodies in the registry's own words."""

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
from services.adapters.kinds.asked import LeftAlone, Quiet, retry_after
from services.adapters.kinds.connections import Connections
from services.adapters.kinds.credentials import Credentials, certificate_refused
from services.adapters.kinds.portions import Unreadable, in_portions
from services.adapters.kinds.rest_api.said import read
from services.adapters.kinds.rest_api.told import has_word, letter
from services.adapters.kinds.systems import NoticeOutcomes, SystemAway
from services.adapters.states import (
    Away,
    Credit,
    CreditRefusal,
    Letter,
    Lost,
    Notice,
    NotPosted,
    Outcome,
    Posted,
    Refused,
)
from services.adapters.worker import IN_FLIGHT
from services.chassis.base.database import describe

__all__ = ["RestApi", "read_answer"]

_POST = quote("/接口/入账")
_LISTEN = quote("/接口/上报")
_TELL = {True: (quote("/接口/报送"), "报送"), False: (quote("/接口/通知"), "通知")}
_REASONS: Final[Mapping[str, CreditRefusal]] = {"流水号冲突": "conflict", "查无此人": "volunteer_unknown"}
_REASON = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NOT_READ = frozenset({400, 413, 415, 422})
"""The system could not read the request. Any other 4xx may come from behind the ledger."""
_NOT_LET_IN = frozenset({401, 403})
"""The system does not accept our credentials. Then the answer says nothing of a credit, whatever else is in it."""
_NEVER_TAKEN = frozenset({404, 405, 429})
"""Without a receipt in the answer, the request did not reach the ledger: wrong address, too fast."""
_CLOSED = 503
"""The system is closed. A gateway also answers 503 where it passed the request on and got no answer."""

_RECEIPT_BYTES: Final = 64 * 1024
_LIST_BYTES: Final = 4 * 1024 * 1024
"""Longest answers that are read: to one credit, and to many notices or of many letters."""


class _Booking(BaseModel):
    """The posting in a receipt, within the bounds of the contract: other values could not be told to the border."""

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
        self._connections = Connections(url, IN_FLIGHT, seconds=seconds, credentials=credentials or Credentials())

    async def post(self, credit: Credit) -> Outcome:
        """POST 入账. An answer that cannot be read is no answer."""
        body = credit.body
        assert body is not None
        form = {
            "流水号": str(body.transfer_id),
            "志愿者编号": body.volunteer_ref,
            "服务方": body.host,
            "分钟": body.delta,
            "累计分钟": body.total,
        }
        if body.record is not None:
            form |= {"记录编号": body.record.record_ref, "版本": body.record.version}
        return await self._outcome(credit, "POST", _POST, orjson.dumps(form))

    async def ask(self, credit: Credit) -> Outcome:
        """GET 入账."""
        address = f"{_POST}/{credit.transfer_id}?{quote('志愿者编号')}={quote(credit.volunteer_ref)}"
        return await self._outcome(credit, "GET", address, None)

    async def tell(self, notices: Sequence[Notice]) -> NoticeOutcomes:
        """POST 报送 for messages that were sent in the registry's name, then 通知 for the linkage's. Notices that
        failed before come last. A notice for which this kind of system has no word counts as taken.
        """
        kinds = ((again, own) for again in (False, True) for own in (True, False))
        worded = [notice for notice in notices if has_word(notice)]
        portions = [[notice for notice in worded if (notice.tries > 0, notice.own) == kind] for kind in kinds]
        outcomes = await in_portions(portions, self._tell)
        outcomes.taken.update(notice.id for notice in notices if not has_word(notice))
        return outcomes

    async def listen(self, after: int) -> Sequence[Letter]:
        """GET 上报. A system that has no such page has no letters."""
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
            letters = [read(raw, self._registry) for raw in orjson.loads(answer.content)["上报"]]
        except (ValueError, KeyError, TypeError) as error:
            raise SystemAway(f"上报 gave what cannot be read: {type(error).__name__}") from None
        return [letter for letter in letters if letter.number is None or letter.number > after]

    async def close(self) -> None:
        """Close all connections."""
        await self._connections.close()

    async def _request(
        self, method: str, address: str, content: bytes | None = None, *, most: int = _LIST_BYTES
    ) -> httpx.Response:
        self._quiet.check()
        answer = await self._connections.request(method, address, content, most=most)
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
    """Whether the system cannot have read the request that ended with this error."""
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
    """The outcome that an answer to a credit, or to a question (``asked``), means. An answer that contradicts itself,
    or cannot be read, is like a lost one."""
    status = answer.status_code
    receipts = _receipts(credit, answer)
    if status in _NOT_LET_IN and all(one["结果"] != "已入账" for one in receipts):
        return Away(_not_let_in(f"answered {status}"))
    if receipts:
        receipt = receipts[0]
        if any(other != receipt for other in receipts):
            return Lost("two answers that contradict each other")
        if receipt["结果"] == "已入账" and status == 200:
            return _posted(receipts)
        if receipt["结果"] == "拒绝" and 400 <= status < 500:
            return _refused(receipt)
        if receipt["结果"] == "查无" and status == 404:
            return NotPosted()
    elif status in _NEVER_TAKEN:
        return Away(f"answered {status}", seconds=retry_after(answer))
    elif status == _CLOSED:
        return Away(f"answered {status}", surely=False, seconds=retry_after(answer))
    elif status in _NOT_READ and not asked:
        # The system could not read the form: our mistake, or a new field there. Nothing is lost; an operator must look.
        return Refused("form_not_accepted", retry=True)
    return Lost(f"answered {status} without a receipt that can be read")


def _posted(receipts: Sequence[Mapping[str, Any]]) -> Outcome:
    try:
        booking = _Booking.model_validate(receipts[0])
    except ValidationError as error:
        return Lost(f"a receipt that cannot be read: {describe(error)}")
    return Posted(booking.delta, booking.posted_at, times=len(receipts))


def _refused(receipt: Mapping[str, Any]) -> Outcome:
    why, retry = str(receipt.get("原因")), receipt.get("可重试", False)
    if not isinstance(retry, bool):
        return Lost("a refusal that does not say whether it is for good")
    reason = _REASONS.get(why) or (why if _REASON.fullmatch(why) else "refused_by_home")
    return Refused(reason, retry=retry)


def _receipts(credit: Credit, answer: httpx.Response) -> list[Mapping[str, Any]]:
    """The receipts in an answer that are about this transfer."""
    try:
        found = answer.json()["回执"]
        mine = [one for one in found if UUID(one["流水号"]) == credit.transfer_id and "结果" in one]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    return mine
