"""The registry's own words: all fields and categories of its HTTP interface, and their meanings in the books."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from contracts.messages.base import Instant, Text
from deploy.tryout.sandbox import entries
from deploy.tryout.sandbox.ledger import Answer

__all__ = ["CreditForm", "Unreadable", "in_own_words", "read_letter", "receipt"]

_WORDS: Final = {
    "answers": "答复消息号",
    "asker": "申请方",
    "at": "时间",
    "break_minutes": "休息分钟",
    "campaign_ref": "专区编号",
    "campaign_title": "专区名称",
    "category": "分类",
    "confirmed": "已确认人数",
    "credits": "入账明细",
    "detail": "说明",
    "division_code": "区划代码",
    "ended_at": "结束时间",
    "ends_at": "结束时间",
    "evidence_class": "凭证类别",
    "home": "户籍方",
    "host": "服务方",
    "kind": "类别",
    "links": "关联",
    "message_id": "消息号",
    "method": "方式",
    "minimum_age": "最低年龄",
    "minutes": "分钟",
    "organiser_ref": "组织编号",
    "place": "地点",
    "pointer": "位置",
    "posts": "岗位",
    "project_ref": "项目编号",
    "reason": "原因",
    "record_ref": "记录编号",
    "ref": "志愿者编号",
    "registry": "对方",
    "revoked": "已撤销",
    "role": "角色",
    "services": "服务记录",
    "shift_ref": "班次编号",
    "shown_minutes": "显示分钟",
    "signup_closes_at": "报名截止",
    "signup_id": "报名流水",
    "signup_opens_at": "报名开始",
    "signup_ref": "报名编号",
    "signups": "报名",
    "standing_version": "现行版本",
    "started_at": "开始时间",
    "starts_at": "开始时间",
    "state": "状态",
    "status": "核定",
    "title": "名称",
    "total": "累计分钟",
    "total_minutes": "总分钟",
    "transfer": "入账进度",
    "transfer_id": "流水号",
    "version": "版本",
    "volunteer_ref": "志愿者编号",
    "waitlist_posts": "候补",
}


@dataclass(frozen=True, slots=True)
class _Form:
    """A category of letters: its entry in the books, and the values that it implies without fields."""

    adapter: TypeAdapter[Any] | None = None
    fields: dict[str, str] | None = None
    implied: dict[str, str] | None = None


def _form(entry: type[Any], **implied: str) -> _Form:
    names = [name for name in entry.__dataclass_fields__ if name not in implied]
    return _Form(TypeAdapter(entry), {_WORDS[name]: name for name in names}, implied)


_CATEGORIES: Final = {
    "外派申请": _form(entries.LinkAsked, role="home"),
    "来访申请": _form(entries.LinkAsked, role="host"),
    "授权": _Form(),
    "撤回授权": _Form(),
    "解除关联": _Form(),
    "恢复关联": _Form(),
    "项目": _form(entries.Project),
    "班次": _form(entries.Shift),
    "报名申请": _form(entries.SignupAsked, state="requested"),
    "退出报名": _form(entries.SignupAsked, state="withdrawn"),
    "本地报名": _form(entries.SignupAsked, state="reported"),
    "签到": _form(entries.Presence, kind="in"),
    "签退": _form(entries.Presence, kind="out"),
    "服务记录": _form(entries.Attested),
    "复核": _Form(),
    "关联结果": _form(entries.LinkTold),
    "授权结果": _form(entries.ConsentTold),
    "报名结果": _form(entries.SignupTold),
    "记录核定": _form(entries.Decided),
    "入账进度": _form(entries.TransferTold),
    "退回": _form(entries.Refused),
}


class Unreadable(ValueError):
    """A letter that is not of this interface. The text says why."""


class _LetterForm(BaseModel):
    model_config = ConfigDict(frozen=True)

    source: Text = Field(alias="来源", min_length=1)
    id: Text = Field(alias="消息号", min_length=1)
    at: Instant = Field(alias="时间")
    category: Text = Field(alias="类别")
    ref: Text | None = Field(alias="志愿者编号", default=None)
    content: dict[str, Any] = Field(alias="内容", default_factory=dict)


class CreditForm(BaseModel):
    """A credit in the form of this registry's interface."""

    model_config = ConfigDict(frozen=True)

    transfer_id: UUID = Field(alias="流水号")
    ref: Text = Field(alias="志愿者编号", min_length=1, max_length=64)
    host: Text = Field(alias="服务方", max_length=64)
    delta: int = Field(alias="分钟", ge=-1440, le=1440)
    total: int = Field(alias="累计分钟", ge=0, le=1440)
    record_ref: Text | None = Field(alias="记录编号", max_length=64, default=None)
    version: int | None = Field(alias="版本", ge=1, le=2**31 - 1, default=None)

    def credit(self) -> entries.Credit:
        """The credit for the ledger."""
        return entries.Credit(
            self.transfer_id, self.ref, self.host, self.delta, self.total, self.record_ref, self.version
        )


def read_letter(raw: object, *, own: bool) -> entries.Letter:
    """Read one letter.

    Raises ``Unreadable``.
    """
    try:
        letter = _LetterForm.model_validate(raw)
        form = _CATEGORIES.get(letter.category)
        if form is None:
            raise Unreadable(f"没有类别 {letter.category}")
        entry = None
        if form.adapter is not None and form.fields is not None:
            known = {form.fields[word]: value for word, value in letter.content.items() if word in form.fields}
            entry = form.adapter.validate_python(known | (form.implied or {}))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Unreadable(f"{'/'.join(map(str, first['loc']))}: {first['msg']}") from None
    return entries.Letter(letter.source, letter.id, letter.at, letter.category, own, letter.ref, entry)


_RESULTS = {"accepted": "已入账", "refused": "拒绝", "unknown": "查无"}
_REASONS = {"conflict": "流水号冲突", "volunteer_unknown": "查无此人"}


def receipt(answer: Answer) -> dict[str, Any]:
    """An answer in this registry's words."""
    said: dict[str, Any] = {
        "流水号": str(answer.transfer_id),
        "志愿者编号": answer.ref,
        "结果": _RESULTS[answer.result],
    }
    if answer.result == "accepted":
        said |= {"分钟": answer.delta, "入账时间": answer.posted_at}
    elif answer.result == "refused":
        said |= {"原因": _REASONS.get(answer.reason or "", answer.reason), "可重试": answer.retry}
    return said


def in_own_words(page: Any) -> Any:
    """A page of the books with every field in this registry's words."""
    if isinstance(page, dict):
        return {_WORDS[name]: in_own_words(value) for name, value in page.items()}
    if isinstance(page, list):
        return [in_own_words(one) for one in page]
    return page.isoformat() if isinstance(page, datetime) else page
