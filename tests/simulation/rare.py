"""Safeguards of which a run seldom shows that they are gone: a race, or several faults at once, must come first."""

from __future__ import annotations

from typing import Final

from services.attendance import rules as attendance
from services.attendance import working_copy
from services.attendance.working_copy import WorkingCopy
from services.bridge.ledger import attempts, carrying
from services.bridge.ledger.transfer import RecordTransfers
from services.bridge.links import linking
from services.bridge.operate import operating
from services.chassis.aside.reentry import Reentry
from services.chassis.batch import inbox, set_aside
from services.chassis.batch.passed import passed_at
from services.chassis.batch.processing import Processor
from services.chassis.lanes.heard import HeardPartitions
from services.chassis.restoring import merging
from services.chassis.restoring.replay import Replay, _Again
from services.identity import rules as identity
from services.identity.case import Case
from services.opportunities.rules import signups, windows
from tests.simulation.removing import Planted, without

__all__ = ["RARE"]

RARE: Final[dict[str, Planted]] = {
    # The chassis
    "blocked subjects not seen": without(
        "in one batch a message overtakes the one before it, which waits",
        Processor.decide, ("if subject in blocked:", "if False:"),
    ),
    "repeats held against the batch": without(
        "a repeat behind a message that used its id again in the same batch is refused too", inbox.first_sightings,
        ("known.get(name,", "(known if candidate is unique[name] else {}).get(name,"),
    ),
    "facts before waits": without(
        "a message that begins to wait in the batch that brings its fact waits on",
        Processor.write,
        ("effects.made_ready = await storage.make_ready(db, effects.facts)", "pass"),
        ("await storage.set_timers(", "effects.made_ready = await storage.make_ready(db, effects.facts)\n"
         "    await storage.set_timers("),
    ),
    "time before what is ready": without(
        "a wait ends though what brings its fact is ready to be decided",
        Reentry._heard_out, (" and ready.isdisjoint(topics_of(channels))", ""),
    ),
    "waits end by the clock": without(
        "a wait ends though what brings its fact lies in the log", Reentry._heard_out,
        ("moment = self._heard(channels, deadline)", "moment = deadline"),
    ),
    "clocks set back unseen": without(
        "what came after a clock was set back counts as heard by the clock of before", HeardPartitions.now,
        ("if self._latest is not None and now < self._latest:", "if False:"),
    ),
    "any order of re-entry": without(
        "what stands behind a message that waits is decided", set_aside.decidable,
        ("if row.subject not in closed:", "if row.reason in ('ready', 'behind') or row.subject not in closed:"),
    ),
    # The replay
    "replayed at one moment": without(
        "what a replay decides has no order for the next replay", _Again.moment, ("self._shown.passes(moment)", "pass"),
    ),
    "replayed as they lie": without(
        "a replay decides a message later than one that lies behind it", merging._PartitionAhead.add,
        ("moment = min(moment, bound)", "pass"),
    ),
    "one long batch": without(
        "a replay decides in one batch what had a decision in between", merging.in_one_batch,
        ("return later - earlier <= _ONE_BATCH", "return True"),
    ),
    "overtaken is over": without(
        "in a replay a message does not wait for one that lies behind it", merging._PartitionAhead.overtakes,
        ("return any(one.decided_at is None for one in behind)", "return False"),
    ),
    "silent ones later": without(
        "in a replay a message that waits is decided before the one that lay there", merging.Merged.take_unsaid,
        ("return [ahead.take() for _ in range(count)]", "return []"),
    ),
    "waits go on in a replay": without(
        "a wait that was over is not over in the replay", _Again.ends_unheard,
        ("return _place(work.record) in self._moments and", "return False and"),
    ),
    "silence is not told": without(
        "a replay decides at the time of the record what was passed in silence", Replay._earliest,
        ("return passed_at(written, passed.get(record.offset) or self._silent.untold(written))", "return written"),
    ),
    "silence by the broker's clock": without(
        "a replay decides by the broker's clock what was passed in silence, though that clock runs ahead", passed_at,
        ("min(written_at, told.before - _MICROSECOND)", "written_at"),
    ),
    "what stands behind is due": without(
        "a replay takes what stands behind a message for due with it", Replay._decide_next,
        (" for row in rows if row.seq in due)", " for row in rows)"),
    ),
    # The bridge
    "one answer ends all": without(
        "a home that did not book one attempt is believed for all", attempts.left_open,
        ("return tuple(post for post in posts if post != attempt)", "return ()"),
    ),
    "any answer is the last": without(
        "an answer to an earlier question counts for the last", attempts._answers_the_question,
        ("return transfer.queried and attempt == transfer.attempts", "return transfer.queried"),
    ),
    "earlier attempts forgotten": without(
        "who did not book the last attempt may have booked an earlier one", RecordTransfers._post,
        ("unanswered = (*transfer.unanswered, attempt)", "unanswered = (attempt,)"),
    ),
    "attempts left open": without(
        "a refusal of one attempt sends it again while another is open", RecordTransfers._refused_for_now,
        ("if transfer.state in WAITING or (left and not idempotent):", "if transfer.state in WAITING:"),
    ),
    "refused twice": without(
        "a refusal that comes again counts again", RecordTransfers._refused_for_now,
        ("elif left != transfer.unanswered or (attempt is None and idempotent):", "else:"),
    ),
    "booked twice": without(
        "a receipt of a transfer that has ended counts again", RecordTransfers.accepted,
        ("if transfer.state not in OPEN:", "if False:"),
    ),
    "unknown at any time": without(
        "a late answer sends again what waits or is booked", RecordTransfers.unknown,
        ("if transfer.state not in UNDER_WAY or is_contradicted(transfer):", "if False:"),
    ),
    "an old difference": without(
        "a version goes with the difference to what was booked long ago", RecordTransfers._send,
        ("if not transfer.unanswered:", "if False:"),
    ),
    "sent without asking": without(
        "a home is given again what it may have booked", RecordTransfers._send,
        ('elif transfer.unanswered and self._capability != "idempotent":', "elif False:"),
    ),
    "uncertain for ever": without(
        "a transfer that may be booked is not repeated when consent comes back", RecordTransfers.go_on,
        ('if transfer.state == "uncertain" and transfer.reason in OBSTACLES:', "if False:"),
    ),
    "withheld for ever": without(
        "a transfer that was withheld in the middle is not sent when consent comes back", RecordTransfers.go_on,
        ('elif transfer.state == "withheld" and transfer.in_the_way:', "elif False:"),
    ),
    "asked once": without(
        "who gives the same consent again does not have what may be booked asked about", carrying.go_on,
        ("if reason != still or asked", "if reason != still"),
    ),
    "any timer": without(
        "the timer of an earlier attempt asks about a later one", RecordTransfers.receipt_is_due,
        (" and transfer.attempts == attempt", ""),
    ),
    "any retry": without(
        "the timer of an earlier attempt sends a later one", RecordTransfers.retry_is_due,
        (" and transfer.attempts == attempt", ""),
    ),
    "asked while paused": without(
        "a registry that is paused is sent what it may have booked", RecordTransfers._ask_again,
        ('if self._home_state != "active":', "if False:"),
    ),
    "sent while paused": without(
        "a registry that is paused is sent credits", RecordTransfers._send,
        ('elif self._home_state != "active":', "elif False:"),
    ),
    "pauses end at once": without(
        "credits go though what the registry said in its pause is not applied", operating.heard_out,
        (" if heard(_all_of(pause[0]), since) is not None", ""),
    ),
    "an old copy of consent": without(
        "a link brings consent back that was taken back meanwhile", linking.link_established,
        ("if consent is None:", "if True:"),
    ),
    # Attendance
    "doubles stay held": without(
        "a second record is held though the first counts no longer", WorkingCopy._put,
        ("if before.counted_signup not in old.by_signup:", "if False:"),
    ),
    "freed time unused": without(
        "a record stays held for time that another has left", WorkingCopy._put,
        ('self._look_again(self._states.group(Standing, "waits_on", (self._person, old_day)))', "pass"),
    ),
    "corrections need a post": without(
        "a correction is held for want of a sign-up that was there once", working_copy._entitled,
        ("if row.counted_signup == row.signup_id:", "if False:"),
    ),
    "a post that comes late": without(
        "records are not looked at again when the sign-up counts again", WorkingCopy.note,
        ('self._look_again(self._states.group(Standing, "waits_under", signup.id))', "pass"),
    ),
    "the second request counts": without(
        "the refusal of a second request takes the right of the first", attendance.note_signup,
        (' or (signup.state == "refused" and before is not None and before.state != "withdrawn")', ""),
    ),
    # Identity and opportunities
    "codes for ever": without(
        "a code that has expired links", Case._judge, ("live = request.asked_at < offer.expires_at", "live = True"),
    ),
    "one break is all": without(
        "who takes back her own break takes back the other's", identity.restore_link,
        ("if not link.active:", "if False:"),
    ),
    "broken twice": without(
        "a break that stands is told again", identity.break_link,
        ("if getattr(case.link, side) is not None:", "if False:"),
    ),
    "a full shift is silent": without(
        "who asks for a shift that is full, with a full line, is never answered", signups.request_signup,
        ('return draft.decision() if give(draft, command, shift) else _refuse(draft, command, shift, "full")',
         "give(draft, command, shift)\n    return draft.decision()"),
    ),
    "given back too late": without(
        "a post is given back though its shift has begun", signups.withdraw_signup,
        ("if inbound.time >= signup.starts_at:", "if False:"),
    ),
    "an end takes all": without(
        "a cancellation at half time takes the hours before it", working_copy._entitled,
        ("(signup.active or signup.was_active(record.started_at))", "signup.active"),
    ),
    "passed over for good": without(
        "a window that was passed over is not looked at again", windows._first_come, ("\n            at = 0\n", "\n"),
    ),
}  # fmt: skip
