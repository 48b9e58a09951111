"""One home account and one host: what stands between them, and what a decision makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from hmac import compare_digest
from typing import Any, Literal

from contracts.consent import Standing, standing_after
from contracts.messages import Message
from contracts.messages import identity as messages
from contracts.messages.base import Consent
from contracts.messages.identity import LinkRefusal
from contracts.topics import IDENTITY_COMMANDS, IDENTITY_EVENTS
from services.chassis.decisions import CancelTimer, Decision, Inbound, Send, States, Timer
from services.identity.states import Account, ConsentState, Link, Offer, Outcome, Request, Role

__all__ = ["MOST_PENDING", "MOST_WRONG_CODES", "Case"]

MOST_WRONG_CODES = 5
"""Wrong codes that an offer bears; then it is void."""
MOST_PENDING = 5
"""Requests for one home account that may wait for an offer at one host."""


def _fits(code_hash: str, request: Request) -> bool:
    return compare_digest(code_hash, request.code_hash)


@dataclass(slots=True)
class Case:
    """Reads the loaded states, gathers the decision. Lives for one message."""

    states: States
    account: Account
    host: str
    now: datetime
    offer: Offer | None
    link: Link | None
    consent: ConsentState | None
    changes: list[Any] = field(default_factory=list)
    sends: list[Send] = field(default_factory=list)
    timers: list[Timer | CancelTimer] = field(default_factory=list)

    @classmethod
    def of(cls, states: States, inbound: Inbound, now: datetime) -> Case:
        """The case that this command is about. A home account seen for the first time gets its person here."""
        command = inbound.data
        account = states.get(Account, (command.home, command.home_ref))
        made = account is None
        if account is None:
            account = Account(command.home, command.home_ref, inbound.own_id)
        key = account.person, command.host
        case = cls(
            states,
            account,
            command.host,
            now,
            offer=states.get(Offer, key),
            link=states.get(Link, key),
            consent=states.get(ConsentState, key),
        )
        if made:
            case.changes.append(account)
        return case

    def decision(self) -> Decision:
        """All of it."""
        return Decision(tuple(self.changes), tuple(self.sends), tuple(self.timers))

    @property
    def given(self) -> Consent | None:
        """The consent that stands now; without it nothing is told to the host (promise 6)."""
        return self.consent.given_at(self.now) if self.consent is not None else None

    @property
    def role(self) -> Literal["home", "host"] | None:
        """What this home account is so far: a guest's account is nobody's home."""
        known = self.states.get(Role, (self.account.home, self.account.home_ref))
        return None if known is None else known.role

    def keep_offer(self, offer: Offer) -> None:
        """Let this offer stand. The first one makes the account a home."""
        self.offer = offer
        if self.role is None:
            self.changes.append(Role(self.account.home, self.account.home_ref, "home"))
        self.changes.append(offer)

    def hear_consent(self, said: Standing, consent: Consent | None) -> bool | None:
        """Keep what this word leaves standing, and say whether anything changed; None for a giving that is stale."""
        before = None if self.consent is None else self.consent.standing
        standing = standing_after(before, said)
        if standing is None:
            return None
        if standing == before:
            return False
        self.consent = ConsentState(self.account.person, self.host, standing.state, standing.version, consent)
        self.changes.append(self.consent)
        return True

    def change_link(self, **changes: Any) -> Link:
        """The link changed, under its next version."""
        assert self.link is not None
        self.link = replace(self.link, version=self.link.version + 1, **changes)
        self.changes.append(self.link)
        return self.link

    def tell(self, kind: type[Message], *, time: datetime | None = None, **fields: Any) -> None:
        """Send a fact about this person and host, of this moment when no other is said."""
        account = self.account
        head = {"person": account.person, "home": account.home, "home_ref": account.home_ref, "host": self.host}
        self.sends.append(Send(IDENTITY_EVENTS, kind(**head, **fields), time))

    def tell_consent(self) -> None:
        """Consent as it stands."""
        assert self.consent is not None
        kept = self.consent
        self.tell(messages.ConsentChanged, state=kept.state, version=kept.version, consent=kept.consent)

    def tell_link(self, consent: Consent) -> None:
        """The whole link, as the border stamps it."""
        assert self.link is not None
        link = self.link
        self.tell(
            messages.LinkEstablished,
            host_ref=link.host_ref,
            link_version=link.version,
            age_band=link.age_band,
            guardian_approved=link.guardian_approved,
            consent=consent,
        )

    def catch_up(self, *, always: bool = False) -> None:
        """Let an active link take over what the newest offer says of her, once consent stands."""
        link, offer, consent = self.link, self.offer, self.given
        if link is None or offer is None or consent is None or not link.active:
            return
        news = {"age_band": offer.age_band, "guardian_approved": offer.guardian_approved}
        if always or news != {name: getattr(link, name) for name in news}:
            self.change_link(**news)
            self.tell_link(consent)

    def pending(self) -> list[Request]:
        """Requests of this host that wait for an offer."""
        return list(self.states.group(Request, "stands_at", (self.account.person, self.host)))

    def settle(self, new: Request | None = None) -> Outcome | None:
        """Answer every request that can be answered now; give the outcome of the new one.

        Those that fit come first, so that guesses made before an offer came cannot stand in her way.
        """
        standing = self.pending() + ([new] if new is not None else [])
        offer = self.offer
        standing.sort(key=lambda r: (offer is None or not _fits(offer.code_hash, r), r.asked_at, r.request_id))
        of_new: Outcome | None = None
        for request in standing:
            outcome = self._judge(request)
            if request is new:
                of_new = outcome
            if outcome is not None:
                self._answer(request, outcome, timer=request is not new)
        return of_new

    def _judge(self, request: Request) -> Outcome | None:
        """None: an offer that is still under way may decide it, so it stands."""
        if self.link is not None:
            return self._judge_linked(self.link, request)
        if self._taken(request):
            return "already_linked"
        offer = self.offer
        if offer is None or self.given is None:
            return None
        void = offer.wrong_codes >= MOST_WRONG_CODES
        live = request.asked_at < offer.expires_at
        if _fits(offer.code_hash, request):
            return "too_many_attempts" if void else "established" if live else "expired"
        return "wrong_code" if live and not void else None

    def _judge_linked(self, link: Link, request: Request) -> Outcome:
        spent = _fits(link.code_hash, request)
        if link.host_ref != request.host_ref:
            return "code_used" if spent else "already_linked"
        known = spent or (self.offer is not None and _fits(self.offer.code_hash, request))
        return "established" if known and link.active and self.given is not None else "already_linked"

    def _taken(self, request: Request) -> bool:
        """Whether the host account is another person's already, as a guest's or as a home."""
        return self.states.get(Role, (request.host, request.host_ref)) is not None

    def _answer(self, request: Request, outcome: Outcome, *, timer: bool) -> None:
        if timer:
            self.timers.append(CancelTimer(_timer_name(request)))
        if outcome != "established":
            self.refuse(request, outcome)
            return
        self.changes.append(replace(request, outcome=outcome))
        offer, consent = self.offer, self.given
        assert offer is not None
        assert consent is not None
        if self.link is None:
            self.link = Link(
                offer.person,
                offer.host,
                request.host_ref,
                1,
                offer.code_hash,
                offer.age_band,
                offer.guardian_approved,
            )
            self.changes += (self.link, Role(request.host, request.host_ref, "host"))
        self.tell_link(consent)

    def refuse(self, request: Request, reason: LinkRefusal) -> None:
        """Close the request and tell the host no, for good."""
        self.changes.append(replace(request, outcome=reason))
        self.tell(messages.LinkRefused, host_ref=request.host_ref, reason=reason, origin=request.origin)

    def let_stand(self, request: Request, until: datetime) -> None:
        """Keep it until an offer comes, or its deadline."""
        self.changes.append(request)
        account = self.account
        expire = messages.ExpireLinkRequest(
            home=account.home,
            home_ref=account.home_ref,
            host=self.host,
            origin=request.origin,
            request_id=request.request_id,
        )
        self.timers.append(Timer(_timer_name(request), until, IDENTITY_COMMANDS, expire))

    def last_word(self, request: Request) -> LinkRefusal:
        """Why a request whose time is up is refused. Of offers elsewhere only who holds their code is told."""
        others = (o for o in self.states.group(Offer, "person", self.account.person) if o.host != self.host)
        if any(_fits(other.code_hash, request) for other in others):
            return "other_registry"
        if self.offer is None or self.given is None:
            return "no_offer"
        return "too_many_attempts" if self.offer.wrong_codes >= MOST_WRONG_CODES else "wrong_code"


def _timer_name(request: Request) -> str:
    return f"link-request/{request.request_id}"
