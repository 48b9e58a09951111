"""The transfers of one service record: one is under way at a time, each is sent with consent, each is accounted for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from contracts.ids import transfer_id
from contracts.messages.bridge import CheckReceipt, RetryTransfer
from contracts.messages.deliveries import CreditPosted, CreditQueried, TransferState
from contracts.messages.service import ServiceRecord
from contracts.topics import BRIDGE_COMMANDS
from services.bridge.border.people import OBSTACLES, obstacle
from services.bridge.draft import Draft
from services.bridge.ledger.attempts import is_contradicted, left_open, of_unknown
from services.bridge.ledger.reports import report
from services.bridge.ledger.settling import BY_HAND, Outcome, not_settleable
from services.bridge.policy import Policy
from services.bridge.reasons import NOT_ACTIVE, ReceiptRefusal
from services.bridge.states import OPEN, UNDER_WAY, WAITING, ConsentState, Link, ServiceState, Transfer
from services.chassis.base.backoff import growing

__all__ = ["RecordTransfers"]

_FIRST_RETRY: Final = timedelta(seconds=1)
_LONGEST_RETRY: Final = timedelta(minutes=5)
_LONGEST_ASKING: Final = timedelta(minutes=15)


class RecordTransfers:
    """A service record and its open transfers while one message is decided. Changes go into the draft."""

    def __init__(
        self,
        draft: Draft,
        policy: Policy,
        link: Link,
        consent: ConsentState | None,
        service: ServiceState,
        transfers: Iterable[Transfer],
        *,
        paused: bool = False,
    ) -> None:
        self.service = service
        self._draft = draft
        self._link = link
        self._obstacle = obstacle(link, consent, draft.now)
        self._receipt_due = policy.receipt_due_of(service.home, draft.now)
        home = policy.seat(service.home)
        self._capability = home.capability
        self._home_state = "paused" if paused and home.state == "active" else home.state
        self._transfers = {transfer.version: transfer for transfer in transfers}

    def add(self, record: ServiceRecord) -> None:
        """A version newer than all before was confirmed or revoked: make its transfer, and send it if none is in the
        way. The transfer is reported once, in the state that it then has: queued only where it waits.
        """
        service = self.service
        fresh = Transfer(
            id=transfer_id(service.host, service.record_ref, record.version),
            host=service.host,
            record_ref=service.record_ref,
            person=service.person,
            home=service.home,
            home_ref=self._link.home_ref,
            version=record.version,
            record=record,
            total=service.total,
            delta=service.total - service.posted,
            state="queued",
            reason=None,
            attempts=0,
            unanswered=(),
            queried=False,
            changed_at=self._draft.now,
        )
        self.service = replace(service, transfer_id=fresh.id)
        self._draft.change(self.service)
        self._transfers[fresh.version] = fresh
        self._advance()
        if self._transfers[fresh.version] is fresh:
            self._keep(fresh, new=True)

    def go_on(self) -> None:
        """The link is active again, or consent given again: transfers go on that waited for it."""
        for transfer in self._open():
            if transfer.state == "uncertain" and transfer.reason in OBSTACLES:
                self._ask_again(transfer)
            elif transfer.state == "withheld" and transfer.in_the_way:
                self._send(transfer)
        self._advance()

    def accepted(self, transfer: Transfer, delta: int) -> ReceiptRefusal | None:
        """The home booked ``delta`` under this transfer. A late receipt counts; other minutes are a conflict."""
        if transfer.attempts == 0:
            return "not_sent"
        if transfer.state not in OPEN:
            same = transfer.state == "credited" and transfer.delta == delta
            return None if same else "receipt_conflict"
        if transfer.delta != delta:
            self._stop(transfer, "uncertain", "delta_conflict", unanswered=transfer.unanswered)
            return "receipt_conflict"
        self._credit(transfer, None)
        return None

    def refused(self, transfer: Transfer, reason: str, retry: bool, attempt: int | None) -> ReceiptRefusal | None:
        """The home did not book it. With ``retry`` it is sent again later; else it is refused, and a later version may
        go."""
        if transfer.attempts < (attempt or 1):
            return "not_sent"
        if transfer.state == "credited" or is_contradicted(transfer):
            return "receipt_conflict"
        if transfer.state not in OPEN:
            return None
        if retry:
            self._refused_for_now(transfer, reason, attempt)
        else:
            self._stop(transfer, "refused", reason)
        self._advance()
        return None

    def unknown(self, transfer: Transfer, attempt: int | None) -> ReceiptRefusal | None:
        """The home cannot say. In answer to a query: it never saw the transfer. Else nobody knows whether it booked."""
        if transfer.attempts < (attempt or 1):
            return "not_sent"
        if transfer.state not in UNDER_WAY or is_contradicted(transfer):
            return None
        match of_unknown(transfer, attempt):
            case "never_seen":
                self._keep(replace(transfer, state="queued", reason="not_seen", unanswered=(), queried=False))
                self._advance(retried=True)
            case "cannot_say":
                self._not_known(transfer)
            case "may_be_old":
                # Its timer goes on asking. Until the home says that it booked the transfer, an operator should look.
                self._keep(replace(transfer, state="uncertain", reason="unknown"))
            case "nothing":
                pass
        return None

    def receipt_is_due(self, transfer: Transfer, attempt: int) -> None:
        """No receipt came in time: repeat or ask, as the home's capability allows, else it is uncertain."""
        if transfer.state in UNDER_WAY and transfer.attempts == attempt:
            self._ask_again(transfer)

    def retry_is_due(self, transfer: Transfer, attempt: int) -> None:
        """The backoff after a refusal with ``retry`` is over."""
        if transfer.state == "queued" and transfer.attempts == attempt:
            self._send(transfer)

    def settle_by_hand(self, transfer: Transfer, outcome: Outcome) -> None:
        """An operator's word, in place of a receipt. A receipt that came after the word was given counts instead."""
        if not_settleable(transfer.state, transfer.attempts, self._home_state, outcome) is not None:
            return
        if outcome == "credited":
            self._credit(transfer, BY_HAND)
        else:
            self._stop(transfer, "refused", BY_HAND)
            self._advance()

    def _credit(self, transfer: Transfer, reason: str | None) -> None:
        self.service = replace(self.service, posted=self.service.posted + transfer.delta)
        self._draft.change(self.service)
        self._stop(transfer, "credited", reason)
        self._advance()

    def _advance(self, *, retried: bool = False) -> None:
        """Send the newest waiting version if no transfer is in the way. Older waiting versions are superseded."""
        waiting = [t for t in self._open() if t.state in WAITING and not t.in_the_way]
        if not waiting:
            return
        for older in waiting[:-1]:
            self._stop(older, "superseded", None)
        newest = waiting[-1]
        backing_off = newest.state == "queued" and newest.attempts > 0 and not retried
        if not backing_off and not any(t.in_the_way for t in self._open()):
            self._send(newest)

    def _send(self, transfer: Transfer) -> None:
        if not transfer.unanswered:
            transfer = replace(transfer, delta=transfer.total - self.service.posted)
        if transfer.attempts == 0 and transfer.delta == transfer.total == 0:
            # Nothing was booked of a record that is worth nothing: the home has nothing to change.
            self._stop(transfer, "credited", "nothing_to_post")
        elif transfer.unanswered and self._capability != "idempotent":
            # Only an idempotent home may be given again what it may have booked.
            self._ask_again(self._keep(replace(transfer, state="uncertain", reason="no_receipt")))
        elif self._waits_for_consent(transfer):
            self._withhold(transfer, "withheld")
        elif self._home_state != "active":
            self._queue_again(transfer, NOT_ACTIVE[self._home_state], _LONGEST_RETRY)
        else:
            self._post(transfer)

    def _post(self, transfer: Transfer) -> None:
        attempt = transfer.attempts + 1
        unanswered = (*transfer.unanswered, attempt)
        sent = replace(transfer, state="sent", reason=None, attempts=attempt, unanswered=unanswered, queried=False)
        credit = CreditPosted(
            volunteer_ref=sent.home_ref,
            transfer_id=sent.id,
            host=sent.host,
            total=sent.total,
            delta=sent.delta,
            record=sent.record if self._obstacle is None else None,
            attempt=attempt,
        )
        self._draft.deliver(sent.home, credit)
        self._await_receipt(self._keep(sent))

    def _ask_again(self, transfer: Transfer) -> None:
        if self._home_state != "active":
            self._await_receipt(transfer)
        elif self._capability == "neither":
            self._stop(transfer, "uncertain", "no_receipt", unanswered=transfer.unanswered)
        elif self._capability == "queryable":
            asked = self._keep(replace(transfer, attempts=transfer.attempts + 1, queried=True))
            query = CreditQueried(volunteer_ref=asked.home_ref, transfer_id=asked.id, attempt=asked.attempts)
            self._draft.deliver(transfer.home, query)
            self._await_receipt(asked)
        elif self._waits_for_consent(transfer):
            # To repeat a credit needs consent. It may have been booked, so its state is not withheld.
            self._withhold(transfer, "uncertain")
        else:
            self._post(transfer)

    def _waits_for_consent(self, transfer: Transfer) -> bool:
        """Only a credit waits. What takes minutes back goes whatever became of consent and link since: otherwise who
        bought hours would keep them by a withdrawal."""
        return self._obstacle is not None and transfer.delta >= 0

    def _withhold(self, transfer: Transfer, state: TransferState) -> None:
        # The decision that ends the obstacle writes the link too (``carrying.go_on``): the later of two is overtaken.
        self._draft.change(self._link)
        self._stop(transfer, state, self._obstacle, unanswered=transfer.unanswered)

    def _await_receipt(self, transfer: Transfer) -> None:
        longest = max(self._receipt_due, _LONGEST_ASKING)
        after = growing(self._receipt_due, longest, transfer.attempts)
        due = CheckReceipt(
            host=transfer.host, record_ref=transfer.record_ref, transfer_id=transfer.id, attempt=transfer.attempts
        )
        self._draft.timer(_timer_name(transfer), self._draft.now + after, BRIDGE_COMMANDS, due)

    def _refused_for_now(self, transfer: Transfer, reason: str, attempt: int | None) -> None:
        left = left_open(transfer, attempt)
        answered = replace(transfer, unanswered=left)
        idempotent = self._capability == "idempotent"
        if transfer.state in WAITING or (left and not idempotent):
            # It waits for its next attempt already, or the other attempts are asked about when their receipt is due.
            self._keep(answered)
        elif left != transfer.unanswered or (attempt is None and idempotent):
            backoff = growing(_FIRST_RETRY, _LONGEST_RETRY, transfer.attempts)
            self._queue_again(answered, reason, backoff)

    def _not_known(self, transfer: Transfer) -> None:
        if self._capability == "neither":
            self._stop(transfer, "uncertain", "unknown", unanswered=transfer.unanswered)
            return
        doubtful = self._keep(replace(transfer, state="uncertain", reason="unknown"))
        (self._ask_again if self._capability == "queryable" else self._await_receipt)(doubtful)

    def _queue_again(self, transfer: Transfer, reason: str, after: timedelta) -> None:
        """Queue it, with a timer that sends it again."""
        queued = self._keep(replace(transfer, state="queued", reason=reason, queried=False))
        retry = RetryTransfer(
            host=queued.host, record_ref=queued.record_ref, transfer_id=queued.id, attempt=queued.attempts
        )
        self._draft.timer(_timer_name(queued), self._draft.now + after, BRIDGE_COMMANDS, retry)

    def _stop(
        self, transfer: Transfer, state: TransferState, reason: str | None, *, unanswered: tuple[int, ...] = ()
    ) -> None:
        """Put it into a state without a timer."""
        self._keep(replace(transfer, state=state, reason=reason, unanswered=unanswered, queried=False))
        if transfer.attempts > 0 or transfer.reason is not None:
            self._draft.cancel(_timer_name(transfer))

    def _open(self) -> list[Transfer]:
        return sorted((t for t in self._transfers.values() if t.state in OPEN), key=lambda t: t.version)

    def _keep(self, transfer: Transfer, *, new: bool = False) -> Transfer:
        """Keep the transfer. Where its state or reason is another than before, it is reported."""
        before = self._transfers.get(transfer.version)
        moved = new or before is None or (before.state, before.reason) != (transfer.state, transfer.reason)
        if moved:
            transfer = replace(transfer, changed_at=self._draft.now)
        self._transfers[transfer.version] = transfer
        self._draft.change(transfer)
        if moved:
            report(self._draft, self._link, transfer)
        return transfer


def _timer_name(transfer: Transfer) -> str:
    return f"transfer:{transfer.id}"
