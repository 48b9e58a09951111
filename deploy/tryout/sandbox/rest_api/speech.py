"""Acts of people on the pages, told at ``/接口/上报``: letters in this registry's own words, in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson

from contracts.envelope import Event
from contracts.messages import Message, service, signups, volunteers
from deploy.tryout.sandbox import books
from deploy.tryout.sandbox.database import Connection
from deploy.tryout.sandbox.rest_api.forms import read_letter

__all__ = ["SpokenVoice", "spoken"]

_CATEGORIES: Final[dict[type[Message], str]] = {
    volunteers.LinkOffered: "外派申请",
    volunteers.LinkRequested: "来访申请",
    volunteers.ConsentGiven: "授权",
    volunteers.ConsentWithdrawn: "撤回授权",
    signups.SignupRequested: "报名申请",
    signups.SignupWithdrawn: "退出报名",
    signups.SignupReported: "本地报名",
    service.CheckedIn: "签到",
    service.CheckedOut: "签退",
    service.ServiceAttested: "服务记录",
    service.ServiceReviewed: "复核",
}
_WORDS: Final = {
    "age_band": "年龄段",
    "at": "时间",
    "at_least": "已满岁数",
    "attested_by": "确认人",
    "break_minutes": "休息分钟",
    "code": "代码",
    "code_hash": "代码摘要",
    "ended_at": "结束时间",
    "ends_at": "结束时间",
    "evidence_class": "凭证类别",
    "evidence_digest": "凭证摘要",
    "expires_at": "有效至",
    "for_registry": "对方",
    "guardian_approved": "监护人同意",
    "home": "对方",
    "home_ref": "户籍方编号",
    "host": "服务方",
    "method": "方式",
    "outcome": "复核结果",
    "project_ref": "项目编号",
    "reason": "复核原因",
    "reason_code": "更正原因",
    "record_ref": "记录编号",
    "registry": "对方",
    "reviewer": "复核人",
    "revoked": "已撤销",
    "shift_ref": "班次编号",
    "signup_ref": "报名编号",
    "started_at": "开始时间",
    "starts_at": "开始时间",
    "tier": "复核级别",
    "version": "版本",
    "volunteer_ref": "志愿者编号",
}
_SPEAK = "INSERT INTO spoken (letter) VALUES ($1::jsonb)"
_SPOKEN = "SELECT number, letter::text FROM spoken WHERE number > $1 ORDER BY number LIMIT $2"


class SpokenVoice:
    """Keeps letters until the adapter asks for them. Nobody is told, so nobody is woken."""

    async def say(self, connection: Connection, event: Event) -> bool:
        """See ``Voice``."""
        said = _letter(event)
        if not await books.keep(connection, [read_letter(said, own=True)]):
            return False
        # Numbers are given out before their transactions end, so a letter could be missed behind a letter with a higher
        # number.
        await connection.execute("LOCK TABLE spoken IN SHARE ROW EXCLUSIVE MODE")
        await connection.execute(_SPEAK, orjson.dumps(said).decode())
        return True

    def wake(self) -> None:
        """See ``Voice``."""


async def spoken(connection: Connection, after: int, limit: int) -> list[dict[str, Any]]:
    """The letters behind this number, in order, each with its number."""
    return [{"序号": row[0], **orjson.loads(row[1])} for row in await connection.fetch(_SPOKEN, after, limit)]


def _letter(event: Event) -> dict[str, Any]:
    data = event.data
    body = data.model_dump(mode="json", exclude_none=True)
    content = {_WORDS[name]: value for name, value in body.items() if name in _WORDS}
    category = _CATEGORIES[type(data)]
    if (add := _MORE.get(type(data))) is not None:
        content |= add(event, body)
    if body.get("state") == "withdrawn":
        category, content["状态"] = "退出报名", "withdrawn"
    return {
        "来源": event.source,
        "消息号": event.id,
        "时间": event.time.isoformat(),
        "类别": category,
        "志愿者编号": body["volunteer_ref"],
        "内容": content,
    }


def _consent(_: Event, body: dict[str, Any]) -> dict[str, Any]:
    consent = body.get("consent")
    return (
        {}
        if consent is None
        else {"授权版本": consent["version"], "同意时间": consent["given_at"], "授权至": consent.get("valid_until")}
    )


def _numbered(event: Event, _: dict[str, Any]) -> dict[str, Any]:
    return {"消息号": event.id}


def _minutes(event: Event, _: dict[str, Any]) -> dict[str, Any]:
    return {"消息号": event.id, "分钟": event.data.minutes}  # type: ignore[attr-defined]


_MORE: Final[dict[type[Message], Callable[[Event, dict[str, Any]], dict[str, Any]]]] = {
    volunteers.LinkOffered: _consent,
    volunteers.ConsentGiven: _consent,
    service.CheckedIn: _numbered,
    service.CheckedOut: _numbered,
    service.ServiceAttested: _minutes,
    service.ServiceReviewed: _numbered,
}
