"""The list of all reasons that the linkage gives. README, pages, operators' view and commands take their words from it.

On the wire a reason is an open ``ReasonCode``: a reader of a code that is not on this list goes on, and shows the code.
Each service has its own closed list, a part of this list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from contracts.reason import (
    BAD,
    BROKEN,
    CORRECTED,
    CREDITED,
    ENDED,
    HELD,
    LINK,
    MESSAGE,
    QUEUED,
    REFUSED,
    SET_ASIDE,
    SIGNUP,
    UNCERTAIN,
    WITHHELD,
    Party,
    Reason,
    Stand,
)

__all__ = ["REASONS", "who_acts", "words_of"]


def _of(code: str, zh: str, en: str, example: str, *stands: Stand) -> Reason:
    return Reason(code, zh, en, example, stands)


def _word(code: str, zh: str, en: str, example: str, *stands: Stand) -> Reason:
    """A registry's own word."""
    return Reason(code, zh, en, example, stands, registrys=True)


_AGAIN: Final = HELD.until("when the record that competes with it is corrected, revoked or lowered")
_REVIEWED: Final = HELD.until("when a later version fits, or the host's reviewer approves")
_OBSTACLE: Final = UNCERTAIN.until("asked about or sent again when the obstacle is gone; or an operator settles it")
_RESUMED: Final = (
    "when an operator has resumed the registry and all that it said is applied; paused by its file: when the file says "
    "`active`, looked at every 5 min"
)
_ASKED: Final = "60 s after it came, unless the fact came first"

# fmt: off
_MESSAGES: Final = (
    _of("bytes", "不是 JSON 文本", "Its bytes are no JSON", "A body in GB 18030", BAD),
    _of("too_large", "太大", "Too large", "A body of 40 KiB; 32 KiB are read", BAD),
    _of("unreadable", "整批读不出", "The batch cannot be read", "A batch whose checksum is wrong", BAD),
    _of("envelope", "信封不合约定", "Its envelope is not in the contract", "A record without `ce_id`", BAD),
    _of("unknown_type", "没有这种消息", "There is no message of this type", "`….link_offered.v9`", BAD),
    _of("schema", "内容不合约定", "Its body is not in the contract", "A shift that ends before it starts", BAD),
    _of("wrong_source", "发送者不符", "Its sender may not write to this topic", "A host writes a home's receipts", BAD),
    _of("wrong_topic", "主题不符", "It does not travel on this topic", "A check-in on the topic of sign-ups", BAD),
    _of("wrong_key", "键不符", "Its key is not the key of its body", "A record keyed by a document number", BAD),
    _of("wrong_partition", "分区不符", "It is not in the partition of its key", "Another partitioner is set", BAD),
    _of("reused_id", "编号重复而内容不同", "Its id was used for something else before",
        "A restarted client counts its ids from 1 again", BAD.until("never; the message that came first counts")),
    _of("time_in_future", "时间在未来", "Its time lies more than 24 hours ahead", "A check-in of next week", MESSAGE),
    _of("time_in_past", "时间过早", "It came too long after its own time",
        "A sign-up stamped a year ago, for a shift that is over", MESSAGE),
    _of("unknown_registry", "没有这个登记系统", "No registry of this code takes part", "An offer for `zz`", MESSAGE),
    _of("same_registry", "对方就是本系统", "It names its own registry as the other one",
        "A home offers a volunteer to itself", MESSAGE),
    _of("not_yours", "这是另一个登记系统的事", "Another registry may say this, the sender may not",
        "A host withdraws the consent that her home keeps", MESSAGE),
    _of("version_conflict", "同一版本内容不同", "This version was said with other content",
        "Version 2 of a record comes twice, with other minutes", MESSAGE.until("never; say it as a higher version")),
    _of("registry_closed", "对方已关闭", "The registry is closed", "An offer for a registry that closed in June",
        MESSAGE, QUEUED.by("operator").until("when its file says `active` again; looked at every 5 min")),
    _of("registry_left", "对方已离开", "The registry has left", "A credit whose home's file was taken away",
        MESSAGE, QUEUED.by("operator").until("when its file is back, or an operator settles it")),
    _of("registry_paused", "对方暂停", "The registry is paused", "A credit while the home replaces its ledger",
        QUEUED.by("operator").until(_RESUMED)),
)
_LINKS: Final = (
    _of("not_linked", "两地账号尚未关联", "The accounts are not linked", "A check-in of a volunteer who never linked",
        MESSAGE.told_when("60 s after it came; behind a link request when that is answered, after a day at most")),
    _of("guest_account", "这是来访账号，要由户籍方发起", "The account is a visitor's: only her home can offer her",
        "A host offers a visitor's account to a third registry", MESSAGE),
    _of("wrong_code", "代码不对", "The code is not right", "She typed the code and missed a letter",
        LINK.told_when("at once while an offer stands; else 5 min after the request")),
    _of("expired", "已过期，请回本市重新开始", "It expired; please start again at home",
        "She brings a code that is an hour old", LINK),
    _of("code_used", "这个代码已经用过", "The code was used already", "A link that was passed on", LINK),
    _of("other_registry", "这个代码是给另一个城市的", "The code is for another city",
        "She brings the code to a city for which it was not made", LINK.told_when("5 min after the request")),
    _of("no_offer", "户籍方没有这次申请", "The home registry did not offer this",
        "A request with a number that its home never spoke of", LINK.told_when("5 min after the request")),
    _of("already_linked", "两地账号早已关联", "The accounts are linked already",
        "She brings a second number at the same host", LINK),
    _of("too_many_attempts", "试得太多了，请回本市重新开始", "Too many tries; please start again at home",
        "A stranger guesses codes for her number", LINK),
    _of("already_broken", "关联早已断开", "The sender broke the link already", "A break is sent twice", MESSAGE),
    _of("not_broken", "关联没有断开", "The link holds", "A restoration of a link that nobody broke", MESSAGE),
    _of("not_yours_to_restore", "关联是另一方断开的", "The other side broke the link",
        "The home restores a link that the host broke", MESSAGE),
    _word("volunteer_asked", "本人要求", "The volunteer asked for it", "She ends the linkage in her app", BROKEN),
    _word("account_closed", "账号已注销", "The account was closed", "She closes her account at home", BROKEN),
    _word("wrong_person", "不是同一个人", "It is another person", "Two sisters shared a phone", BROKEN),
    _word("abuse", "涉嫌滥用", "Abuse is suspected", "A host reports sign-ups that were sold", BROKEN),
    _of("link_broken", "两地账号的关联已暂停", "The link between the accounts rests",
        "A sign-up while the link rests; minutes that were confirmed before go home later",
        MESSAGE, _OBSTACLE,
        WITHHELD.by("registries").until("when the side that broke the link restores it")),
    _of("consent_missing", "没有授权", "There is no consent", "A first offer without `consent`",
        MESSAGE, WITHHELD, _OBSTACLE),
    _of("consent_incomplete", "授权内容不全", "The consent is incomplete", "A giving with two versions", MESSAGE),
    _of("stale_consent", "授权版本过旧", "A higher version of consent was seen",
        "A home was restored from last week's copy; `standing_version` says which version to exceed", MESSAGE),
    _of("consent_withdrawn", "已撤回授权", "Consent withdrawn",
        "She withdraws on Friday, and Saturday's minutes wait until she agrees again",
        WITHHELD, _OBSTACLE, QUEUED.until("withheld instead at the next try, after seconds")),
    _of("consent_expired", "授权已到期", "Consent has expired", "A year has passed since she agreed",
        WITHHELD, _OBSTACLE),
)
_SIGNUPS: Final = (
    _of("full", "名额已满", "All posts are taken", "The 21st request for 20 posts, without a waitlist", SIGNUP),
    _of("clash", "与您的另一个班次时间冲突", "It overlaps another shift of yours",
        "A morning shift in one city and one from 11:00 in the other",
        SIGNUP.until("never; a window that home reported is kept, and noted when the other window ends")),
    _of("too_young", "未到这个班次的最低年龄", "Below this shift's minimum age", "She is 15, not 16", SIGNUP),
    _of("needs_age", "户籍城市须确认年龄", "Her home must confirm her age",
        "A shift is from 15, and her age band is 14 to 15: her home asks again with `at_least`", SIGNUP.by("home")),
    _of("guardian_missing", "需要监护人同意", "A guardian's approval is missing", "She is 16", SIGNUP),
    _of("not_open", "报名还没开始或已经截止", "Sign-up is not open", "A request on the day of the shift", SIGNUP),
    _of("already_signed_up", "已经报过名", "Signed up already", "An app asks a 17th time under a new number",
        SIGNUP.by("nobody"), MESSAGE.by("nobody")),
    _of("shift_unknown", "没有这个班次", "There is no such shift", "A request for a shift that was never published",
        SIGNUP.told_when(_ASKED)),
    _of("shift_cancelled", "班次已取消", "The shift was cancelled", "The host cancels for a typhoon", SIGNUP, ENDED),
    _of("shift_started", "班次已经开始，不能退出", "The shift has begun: the post cannot be given back",
        "She gives her post back when she has served; what she served counts", MESSAGE),
    _of("waitlist_closed", "开始前没有名额空出", "No post came free before it began",
        "She is third in line when the shift begins", ENDED.told_when("15 min after the shift has begun")),
    _of("at_home", "这是本市的班次，请在本市系统报名", "This shift is in your own city: sign up there",
        "A home asks the linkage for a post of its own", MESSAGE),
    _of("no_signup", "没有报名记录", "There is no sign-up", "Somebody came along with a friend, and served",
        MESSAGE.told_when(_ASKED), HELD.told_when(_ASKED).until("when she has the post")),
    _of("too_many_reports", "时间冲突的报名过多，没有保留", "Too many windows overlap: it was not kept",
        "A home reports a 51st window that clashes", MESSAGE),
    _of("window_fixed", "班次时间不能改", "The window of a shift does not move",
        "A host moves a shift by an hour: cancel it, and publish another", MESSAGE),
)
_SERVICE: Final = (
    _of("no_check_in", "没有签到记录", "There is no check-in", "Five hours are attested, and she never checked in",
        HELD.until("when the host sends the check-in of that day, or its reviewer approves"), MESSAGE),
    _of("overlap", "与另一段服务时间重叠", "It overlaps another service", "Two hosts attest the same hour", _AGAIN),
    _of("duplicate", "与另一条记录重复", "It duplicates another record", "A second record of one shift", _AGAIN),
    _of("over_cap", "超过当天上限", "Over the day's limit", "A ninth hour on one day",
        HELD.until("when the day has room again, or the parent organisation or the province approves")),
    _of("no_evidence", "补录缺少原因或凭证", "A supplement lacks its reason or the digest of its evidence",
        "Hours are entered a week later, and nothing shows them",
        HELD.until("when a version has `reason_code` and `evidence_digest`")),
    _of("outside_shift", "服务时间超出班次", "The service lies outside its shift",
        "The shift ends at 12:00, and service until 14:00 is attested", _REVIEWED),
    _of("no_check_out", "没有签退记录", "There is no check-out", "She went home and did not scan",
        HELD.until("when the host sends the check-out, or its reviewer approves")),
    _of("beyond_presence", "服务时间多于在场时间", "The service is longer than her presence",
        "One minute present, and eight hours attested", _REVIEWED),
    _of("too_short", "服务时间太短", "The service is too short", "Ten minutes of a shift of three hours", _REVIEWED),
    _of("too_late", "登记太晚", "It was attested too late", "A record of last spring", _REVIEWED),
    _of("needs_review", "这种凭证须人工复核", "Evidence of this class needs a person's decision",
        "The organiser entered it by hand", _REVIEWED),
    _of("review_rejected", "复核未通过", "A reviewer did not approve it", "Nobody saw her there",
        HELD.until("when a later version is confirmed, or a reviewer approves after all")),
    _of("travel", "两地之间来不及赶到", "There was no time to travel between the two cities",
        "She serves in one city until 12:00, and in the other from 12:10", _REVIEWED),
    _of("stay_closed", "班次结束已久，签退时间不被采用", "The check-out is too long after the shift's end",
        "She scans when she comes by in the evening: say the moment at which she left", MESSAGE),
    _of("no_record", "没有这条服务记录", "There is no such service record", "A review of a record never sent", MESSAGE),
    _of("other_version", "复核的不是最新版本", "The review is of another version than the latest",
        "The times were corrected while the reviewer looked at them", MESSAGE),
    _of("not_held", "这条记录不待复核", "The record is not held", "Two reviewers approve the same record", MESSAGE),
    _of("not_reviewable", "这个原因不能靠复核解决", "No review ends this reason",
        "A reviewer approves an hour that another record has: correct one of them", MESSAGE),
    _of("no_attester", "记录没有写明由谁确认", "The record does not say who attested it",
        "A version without `attested_by` is reviewed: say it in a later version", MESSAGE),
    _of("self_review", "不能复核自己确认的记录", "Nobody reviews what they attested themselves",
        "A group leader approves the hours that she entered", MESSAGE),
    _of("tier_too_low", "复核级别不够", "The reviewer's tier is too low",
        "A ninth hour of a day is approved by the host itself", MESSAGE),
    _of("too_many_check_ins", "一天签到次数过多", "Too many check-ins of one day", "A fourth check-in", MESSAGE),
    _of("too_many_records", "这一天的记录过多，没有接受", "Too many records of this day: it was not taken",
        "A client makes a 51st `record_ref` for one day: correct those that are there", MESSAGE),
    _of("other_person", "这条记录是另一个人的", "The record is another person's", "A `record_ref` twice", MESSAGE),
    _word("correction", "更正", "Corrected", "The organiser mends the times", CORRECTED),
    _word("partial_retract", "部分撤回", "Taken back in part", "She left an hour earlier", CORRECTED),
    _word("retract", "撤回", "Taken back", "She was not there after all", CORRECTED),
    _word("restore", "恢复", "Restored", "The record was taken back by mistake", CORRECTED),
)
_TRANSFERS: Final = (
    _of("not_seen", "户籍方没有收到过", "The home never saw it", "A credit was lost before the ledger",
        QUEUED.until("sent again at once")),
    _of("no_receipt", "没有回执", "No receipt came", "The home was down after it was sent", UNCERTAIN),
    _of("unknown", "户籍方说不清", "The home cannot say", "An adapter lost the answer of a ledger that keeps no ids",
        UNCERTAIN.until("a home that can be asked is asked again within 15 min; else an operator settles it")),
    _of("delta_conflict", "回执时数不符", "The receipt says other minutes", "Sent 165 minutes, booked 160", UNCERTAIN),
    _of("nothing_to_post", "没有可记的时数", "There is nothing to post", "Taken back before it was sent", CREDITED),
    _of("settled_by_operator", "由管理员写明", "An operator settled it", "She looked into the home's ledger",
        CREDITED, REFUSED),
    _of("conflict", "流水号冲突", "The ledger has other minutes under this transfer", "165 minutes, then 160", REFUSED),
    _of("volunteer_unknown", "户籍方还不认识这个编号", "The home registry does not know this number yet",
        "A credit overtakes her registration at home", QUEUED.by("home"), REFUSED),
    _of("form_not_accepted", "户籍方的系统读不了这份表单", "The home's system cannot read the form",
        "A home has a new mandatory field", QUEUED.by("operator")),
    _of("refused_by_home", "户籍方没有接受", "The home refused it", "A ledger gives its reason in free words",
        QUEUED.by("home"), REFUSED),
    _word("maintenance", "户籍方系统维护", "The home's system is under maintenance", "A night of an upgrade",
          QUEUED.by("home"), REFUSED),
    _of("unknown_transfer", "没有这笔转移", "There is no such transfer", "A receipt for an id of last year", MESSAGE),
    _of("not_sent", "这笔转移还没有发出", "The transfer was not sent", "A receipt before its credit", MESSAGE),
    _of("receipt_conflict", "回执自相矛盾", "The receipt contradicts what stands",
        "Accepted, and refused a minute later", MESSAGE.by("operator")),
)
_OPERATIONS: Final = (
    _of("waiting", "等待", "Waiting for a fact", "A sign-up whose shift is not published yet",
        SET_ASIDE.by("linkage").until("when the fact comes, or after 60 s; behind a link request after a day at most")),
    _of("ready", "即将处理", "About to be decided", "The shift was just published",
        SET_ASIDE.by("linkage").until("within seconds")),
    _of("behind", "排队", "In line behind another message", "The next check-in of a volunteer whose first one waits",
        SET_ASIDE.by("linkage").until("when the message before it is decided")),
    _of("raised", "处理时出错", "Its decision raised an error", "A fault of the linkage", SET_ASIDE),
    _of("unwritable", "无法写入", "It cannot be written", "A fault of the linkage, met at its id", SET_ASIDE),
    _of("said_otherwise", "恢复后的内容与先前所发不同", "After a restore, other words under an id that was said",
        "A service was restored with another policy",
        SET_ASIDE.until("when an operator has settled what follows, and discards it")),
)
# fmt: on


def _listed(groups: Iterable[tuple[Reason, ...]]) -> dict[str, Reason]:
    reasons = [reason for group in groups for reason in group]
    listed = {reason.code: reason for reason in reasons}
    assert len(listed) == len(reasons), "a reason stands once"
    return listed


REASONS: Final[Mapping[str, Reason]] = _listed((_MESSAGES, _LINKS, _SIGNUPS, _SERVICE, _TRANSFERS, _OPERATIONS))
"""Every reason by its code."""


def words_of(code: str) -> tuple[str, str]:
    """What a reason means, in Chinese and in English. A code that is not on the list is shown as it is."""
    known = REASONS.get(code)
    return (
        (f"其他原因，代码 {code}", f"Another reason, with the code {code}") if known is None else (known.zh, known.en)
    )


def who_acts(where: str, code: str | None) -> Party | None:
    """Who must act on a reason that stands at this place (``Stand.where``); None where the list does not say."""
    known = REASONS.get(code or "")
    stands = () if known is None else known.stands
    return next((stand.acts for stand in stands if stand.where == where), None)
