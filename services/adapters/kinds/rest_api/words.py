"""The words of a ``rest_api`` system for the linkage's messages: one for each, in letters and in notices."""

from __future__ import annotations

from typing import Final

from contracts.messages import Message, deliveries, refusals, service, shifts, signups, volunteers

__all__ = ["CATEGORIES"]

CATEGORIES: Final[dict[type[Message], str]] = {
    volunteers.LinkOffered: "外派申请",
    volunteers.LinkRequested: "来访申请",
    volunteers.ConsentGiven: "授权",
    volunteers.ConsentWithdrawn: "撤回授权",
    volunteers.LinkBroken: "解除关联",
    volunteers.LinkRestored: "恢复关联",
    shifts.ProjectPublished: "项目",
    shifts.ShiftPublished: "班次",
    signups.SignupRequested: "报名申请",
    signups.SignupWithdrawn: "退出报名",
    signups.SignupReported: "本地报名",
    service.CheckedIn: "签到",
    service.CheckedOut: "签退",
    service.ServiceAttested: "服务记录",
    service.ServiceReviewed: "复核",
    deliveries.LinkChanged: "关联结果",
    deliveries.ConsentChanged: "授权结果",
    deliveries.SignupChanged: "报名结果",
    deliveries.ServiceDecided: "记录核定",
    deliveries.CreditReported: "入账进度",
    refusals.MessageRefused: "退回",
}
"""Its system is not told what has no word here; only a message that is ``OPTIONAL`` may have none."""
