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
from contracts.messages.service import ServiceAttested
from services.adapters.asked import LeftAlone, Quiet, retry_after
from services.adapters.lines import Lines
from services.adapters.portions import Unreadable, in_portions
from services.adapters.rest_api_said import read
from services.adapters.states import Away, Credit, Lost, Notice, NotPosted, Outcome, Posted, Refused, Said
from services.adapters.systems import SystemAway, Told
from services.adapters.worker import IN_FLIGHT
from services.chassis.database import describe

__all__ = ["RestApi", "letter", "read_answer"]

_POST = quote("/接口/入账")
_LISTEN = quote("/接口/上报")
_TELL = {True: (quote("/接口/报送"), "报送"), False: (quote("/接口/通知"), "通知")}
_REASONS: Final = {"流水号冲突": "conflict", "查无此人": "volunteer_unknown"}
_REASON = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NOT_READ = frozenset({400, 413, 415, 422})
"""It could not read what it was sent. Any other fault of ours, as it says, may come from behind the ledger."""
_NEVER_TAKEN = frozenset({401, 403, 404, 405, 429})
"""Without a receipt in the answer these come from before the ledger: wrong key, wrong address, too fast."""
_CLOSED = 503
"""Closed; but a gateway also says so of a system that it gave the request to and no longer hears."""

_CATEGORIES: Final = {
    "shuangcheng.volunteers.link_offered.v1": "外派申请",
    "shuangcheng.volunteers.link_requested.v1": "来访申请",
    "shuangcheng.volunteers.consent_given.v1": "授权",
    "shuangcheng.volunteers.consent_withdrawn.v1": "撤回授权",
    "shuangcheng.volunteers.link_broken.v1": "解除关联",
    "shuangcheng.volunteers.link_restored.v1": "恢复关联",
    "shuangcheng.shifts.project_published.v1": "项目",
    "shuangcheng.shifts.shift_published.v1": "班次",
    "shuangcheng.signups.signup_requested.v1": "报名申请",
    "shuangcheng.signups.signup_withdrawn.v1": "退出报名",
    "shuangcheng.signups.signup_reported.v1": "本地报名",
    "shuangcheng.service.checked_in.v1": "签到",
    "shuangcheng.service.checked_out.v1": "签退",
    "shuangcheng.service.service_attested.v1": "服务记录",
    "shuangcheng.deliveries.link_changed.v1": "关联结果",
    "shuangcheng.deliveries.consent_changed.v1": "授权结果",
    "shuangcheng.deliveries.signup_changed.v1": "报名结果",
    "shuangcheng.deliveries.service_decided.v1": "记录核定",
    "shuangcheng.deliveries.credit_reported.v1": "入账进度",
    "shuangcheng.refusals.message_refused.v1": "退回",
}
_WORDS: Final = {
    "asker": "申请方",
    "at": "时间",
    "break_minutes": "休息分钟",
    "category": "分类",
    "detail": "说明",
    "ended_at": "结束时间",
    "ends_at": "结束时间",
    "evidence_class": "凭证类别",
    "for_registry": "对方",
    "home": "户籍方",
    "host": "服务方",
    "message_id": "消息号",
    "method": "方式",
    "minimum_age": "最低年龄",
    "minutes": "分钟",
    "organiser_ref": "组织编号",
    "pointer": "位置",
    "posts": "岗位",
    "project_ref": "项目编号",
    "reason": "原因",
    "record_ref": "记录编号",
    "registry": "对方",
    "revoked": "已撤销",
    "shift_ref": "班次编号",
    "signup_closes_at": "报名截止",
    "signup_id": "报名流水",
    "signup_opens_at": "报名开始",
    "signup_ref": "报名编号",
    "started_at": "开始时间",
    "starts_at": "开始时间",
    "state": "状态",
    "title": "名称",
    "total": "累计分钟",
    "transfer_id": "流水号",
    "version": "版本",
    "volunteer_ref": "志愿者编号",
    "waitlist_posts": "候补",
}


def letter(notice: Notice) -> dict[str, Any]:
    """A notice as this kind of system takes it: flat, in its own words; what it has no word for stays behind."""
    body = notice.body
    content = {_WORDS[name]: value for name, value in body.items() if name in _WORDS}
    category = _CATEGORIES[notice.type]
    if category == "来访申请":
        content["对方"] = body["home"]
    elif category == "项目" and "campaign" in body:
        content |= {"专区编号": body["campaign"]["ref"], "专区名称": body["campaign"]["title"]}
    elif category == "班次":
        content |= {"区划代码": body["place"]["division_code"], "地点": body["place"]["text"]}
    elif category == "本地报名" and body.get("state") == "withdrawn":
        category = "退出报名"
    elif category == "服务记录":
        content |= {"消息号": notice.message_id, "分钟": ServiceAttested.model_validate(body).minutes}
    elif category in ("签到", "签退"):
        content["消息号"] = notice.message_id
    return {
        "来源": notice.source,
        "消息号": notice.message_id,
        "时间": notice.time.isoformat(),
        "类别": category,
        "志愿者编号": body.get("volunteer_ref"),
        "内容": content,
    }


class _Booking(BaseModel):
    """What a receipt says was posted, within the bounds of the contract: beyond them it could not be told."""

    model_config = ConfigDict(strict=True)

    delta: Annotated[Delta, Field(alias="分钟")]
    posted_at: Annotated[Instant, Field(alias="入账时间")]


class RestApi:
    """A client of one such system."""

    def __init__(self, url: str, registry: str = "", quiet: Quiet | None = None, *, seconds: float = 5.0) -> None:
        self._registry = registry
        self._quiet = quiet or Quiet()
        self._lines = Lines(url, IN_FLIGHT, seconds=seconds)

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
        """POST 报送 what was sent in its name, then 通知 what the linkage says; what failed before comes last."""
        kinds = ((again, own) for again in (False, True) for own in (True, False))
        portions = [[one for one in notices if (one.tries > 0, one.own) == kind] for kind in kinds]
        return await in_portions(portions, self._tell)

    async def listen(self, after: int) -> Sequence[Said]:
        """GET 上报. A system that has no such page has nothing to say."""
        try:
            answer = await self._request("GET", f"{_LISTEN}?{quote('序号')}={after}")
        except LeftAlone as error:
            raise SystemAway(str(error), error.seconds) from None
        except httpx.HTTPError as error:
            raise SystemAway(f"{type(error).__name__}: {error}") from None
        if answer.status_code == 404:
            return []
        if not answer.is_success:
            raise SystemAway(f"上报 answered {answer.status_code}", retry_after(answer))
        try:
            said = [read(one, self._registry) for one in answer.json()["上报"]]
        except (ValueError, KeyError, TypeError) as error:
            raise SystemAway(f"上报 gave what cannot be read: {type(error).__name__}") from None
        return [one for one in said if one.number > after]

    async def close(self) -> None:
        """Let go of connections."""
        await self._lines.close()

    async def _request(self, method: str, address: str, content: bytes | None = None) -> httpx.Response:
        self._quiet.check()
        answer = await self._lines.request(method, address, content)
        self._quiet.heard(answer)
        return answer

    async def _outcome(self, credit: Credit, method: str, address: str, content: bytes | None) -> Outcome:
        try:
            answer = await self._request(method, address, content)
        except LeftAlone as error:
            return Away(str(error), seconds=error.seconds)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return Away(f"{type(error).__name__}: {error}")
        except httpx.HTTPError as error:
            return Lost(f"{type(error).__name__}: {error}")
        return read_answer(credit, answer, asked=method == "GET")

    async def _tell(self, notices: Sequence[Notice]) -> Mapping[UUID, str]:
        address, name = _TELL[notices[0].own]
        content = orjson.dumps({name: [letter(notice) for notice in notices]})
        try:
            answer = await self._request("POST", address, content)
        except LeftAlone as error:
            raise SystemAway(str(error), error.seconds) from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise SystemAway(f"{type(error).__name__}: {error}") from None
        status = answer.status_code
        if answer.is_success:
            return _rejected(notices, answer)
        if status in _NOT_READ:
            raise Unreadable(f"answered {status}")
        if status in _NEVER_TAKEN or status == _CLOSED:
            raise SystemAway(f"{address} answered {status}", retry_after(answer))
        raise RuntimeError(f"answered {status}")


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
    reason, retry = str(said.get("原因")), said.get("可重试", False)
    if not isinstance(retry, bool):
        return Lost("a refusal that does not say whether it is for good")
    typed = _REASONS.get(reason) or (reason if _REASON.fullmatch(reason) else "refused_by_home")
    return Refused(typed, retry=retry)


def _receipts(credit: Credit, answer: httpx.Response) -> list[Mapping[str, Any]]:
    """The receipts in an answer, if they are about this transfer."""
    try:
        found = answer.json()["回执"]
        mine = [one for one in found if UUID(one["流水号"]) == credit.transfer_id and "结果" in one]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    return mine
