"""Letters of a ``rest_api`` system, in its own words, are read as our messages."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from contracts.envelope import Event
from contracts.messages import Message
from contracts.messages.base import EventId
from contracts.topics import registry_source
from services.adapters.kinds.rest_api.words import CATEGORIES
from services.adapters.states import Letter
from services.chassis.base.database import describe

__all__ = ["read"]

_SIGNUP: Final = {
    "signup_ref": "报名编号",
    "volunteer_ref": "志愿者编号",
    "host": "服务方",
    "project_ref": "项目编号",
    "shift_ref": "班次编号",
}
_CONSENT: Final = {"version": "授权版本", "given_at": "同意时间", "valid_until": "授权至"}
_RECORD: Final = {
    "record_ref": "记录编号",
    "version": "版本",
    "project_ref": "项目编号",
    "shift_ref": "班次编号",
    "started_at": "开始时间",
    "ended_at": "结束时间",
    "break_minutes": "休息分钟",
    "evidence_class": "凭证类别",
    "revoked": "已撤销",
    "reason_code": "更正原因",
    "attested_by": "确认人",
    "evidence_digest": "凭证摘要",
    "volunteer_ref": "志愿者编号",
}
_REVIEW: Final = {
    "volunteer_ref": "志愿者编号",
    "project_ref": "项目编号",
    "shift_ref": "班次编号",
    "record_ref": "记录编号",
    "version": "版本",
    "reviewer": "复核人",
    "tier": "复核级别",
    "outcome": "复核结果",
    "reason": "复核原因",
    "evidence_digest": "凭证摘要",
}
_PRESENCE: Final = {
    "volunteer_ref": "志愿者编号",
    "project_ref": "项目编号",
    "shift_ref": "班次编号",
    "at": "时间",
    "method": "方式",
}
_FORMS: Final[dict[str, Mapping[str, Any]]] = {
    "外派申请": {
        "volunteer_ref": "志愿者编号",
        "for_registry": "对方",
        "code_hash": "代码摘要",
        "age_band": "年龄段",
        "guardian_approved": "监护人同意",
        "expires_at": "有效至",
        "consent": _CONSENT,
    },
    "来访申请": {"volunteer_ref": "志愿者编号", "home": "对方", "home_ref": "户籍方编号", "code": "代码"},
    "授权": {"volunteer_ref": "志愿者编号", "registry": "对方", "consent": _CONSENT},
    "撤回授权": {"volunteer_ref": "志愿者编号", "registry": "对方", "version": "版本"},
    "报名申请": {**_SIGNUP, "at_least": "已满岁数"},
    "退出报名": _SIGNUP,
    "本地报名": {**_SIGNUP, "starts_at": "开始时间", "ends_at": "结束时间", "state": "状态"},
    "签到": _PRESENCE,
    "签退": _PRESENCE,
    "服务记录": _RECORD,
    "复核": _REVIEW,
}
"""By category: the word of each field of the message. Fields of an inner object lie flat beside the others."""
_MESSAGES: Final = {word: message for message, word in CATEGORIES.items()}


class _LetterForm(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    number: int = Field(alias="序号", ge=1)
    id: EventId = Field(alias="消息号")
    at: AwareDatetime = Field(alias="时间", strict=False)
    category: str = Field(alias="类别")
    content: dict[str, Any] = Field(alias="内容")


_LARGEST: Final = 2**63 - 1


def read(raw: object, registry: str) -> Letter:
    """One letter of an answer that was read as JSON. Where it is no message, the letter says why, and letters behind it
    are not delayed. A letter without a number that can be kept has no message: nothing could say that it was heard."""
    number = _number(raw)
    digest = _digest(raw, number)
    if number is None:
        return Letter(None, None, f"its 序号 is no whole number from 1 to {_LARGEST}", digest)
    try:
        form = _LetterForm.model_validate(raw)
        message = _message(form)
    except ValidationError as error:
        return Letter(number, None, describe(error), digest)
    except ValueError as error:
        return Letter(number, None, str(error), digest)
    return Letter(number, Event(form.id, registry_source(registry), form.at, message), None, digest)


def _digest(raw: object, number: int | None) -> bytes:
    try:
        packed = orjson.dumps(raw, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # orjson reads deeper nesting than it writes; such letters differ by their numbers alone
        packed = f"nested too deeply, {number}".encode()
    return hashlib.sha256(packed).digest()


def _number(raw: object) -> int | None:
    number = raw.get("序号") if isinstance(raw, dict) else None
    return number if type(number) is int and 1 <= number <= _LARGEST else None  # True is no number


def _message(form: _LetterForm) -> Message:
    category, content = form.category, form.content
    if category == "退出报名" and "开始时间" in content:
        category = "本地报名"  # with a window in it, the letter says that a sign-up of the registry's own ended
    if category not in _FORMS:
        raise ValueError(f"no message for the category {category!r}")
    fields = _fields(content, _FORMS[category])
    return _MESSAGES[category].model_validate(fields, strict=False, extra="forbid")


def _fields(content: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, word in fields.items():
        if isinstance(word, str):
            if content.get(word) is not None:
                found[name] = content[word]
        elif inner := _fields(content, word):
            found[name] = inner
    return found
