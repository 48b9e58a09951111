"""The linkage's messages in the words of a ``rest_api`` system."""

from __future__ import annotations

from typing import Any, Final

from contracts.messages.service import ServiceRecord
from services.adapters.kinds.rest_api.words import CATEGORIES
from services.adapters.states import Notice

__all__ = ["has_word", "letter"]

_CATEGORIES: Final = {message.TYPE: word for message, word in CATEGORIES.items()}
_WORDS: Final = {
    "answers": "答复消息号",
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
    "standing_version": "现行版本",
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


def has_word(notice: Notice) -> bool:
    """Whether this kind of system has a word for the message."""
    return notice.type in _CATEGORIES


def letter(notice: Notice) -> dict[str, Any]:
    """A notice in the form of this kind of system: flat, in its own words. A field without a word is left out."""
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
        content |= {"消息号": notice.message_id, "分钟": ServiceRecord.model_validate(body).minutes}
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
