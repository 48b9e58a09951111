"""One home account and one host: what stands between them, and what a decision makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from hmac import compare_digest
from typing import Any, Literal
from uuid import UUID

from contracts.consent import Standing, standing_after
from contracts.messages import Message
from contracts.messages import identity as messages
from contracts.messages.base import Consent
from contracts.topics import IDENTITY_COMMANDS, IDENTITY_EVENTS
from services.chassis.decisions import Decision, Inbound, States
from services.chassis.draft import Draft
from services.identity.states import Account, ConsentState, Established, Link, LinkRefusal, Offer, Request, Role

__all__ = ["MOST_PENDING", "Case"]

MOST_PENDING = 5
"""Requests for one home account that may wait for an offer at one host."""


def _fits(code_hash: str, request: Request) -> bool:
    return compare_digest(code_hash, request.code_hash)


@dataclass(slots=True)
class Case:
    """Reads the loaded states, enters what follows into ``draft``. Lives for one message."""

    draft: Draft
    states: States
    home: str
    home_ref: str
    host: str
    nobody: UUID
    """Who a number is of which its home has not said anything."""
    account: Account | None
    """None while her home has not said anything about this number: it may be nobody's."""
    offer: Offer | None
    link: Link | None
    consent: ConsentState | None

    @classmethod
    def of(cls, states: States, inbound: Inbound, now: datetime) -> Case:
        """The case that this command is about."""
        command = inbound.data
        account = states.get(Account, (command.home, command.home_ref))
        key = None if account is None else (account.person, command.host)
        return cls(
            Draft(inbound, now),
            states,
            command.home,
            command.home_ref,
            command.host,
            inbound.own_id,
            account,
            offer=states.get(Offer, key),
            link=states.get(Link, key),
            consent=states.get(ConsentState, key),
        )

    @classmethod
    def of_home(cls, states: States, inbound: Inbound, now: datetime) -> Case:
        """The same for what a home says of its own: an account that is new gets its person here."""
        case = cls.of(states, inbound, now)
        if case.account is None:
            case.account = Account(case.home, case.home_ref, case.nobody)
            case.draft.change(case.account)
        return case

    @property
    def person(self) -> UUID:
        """Who she is."""
        return self.nobody if self.account is None else self.account.person

    def decision(self) -> Decision:
        """All of it."""
        return self.draft.decision()

    @property
    def given(self) -> Consent | None:
        """The consent that stands now; without it nothing is told to the host (promise 6)."""
        return self.consent.given_at(self.draft.now) if self.consent is not None else None

    @property
    def role(self) -> Literal["home", "host"] | None:
        """What this home account is so far: a guest's account is nobody's home."""
        known = self.states.get(Role, (self.home, self.home_ref))
        return None if known is None else known.role

    def keep_offer(self, offer: Offer) -> None:
        """Let this offer stand. The first one makes the account a home."""
        self.offer = offer
        if self.role is None:
            self.draft.change(Role(self.home, self.home_ref, "home"))
        self.draft.change(offer)

    def hear_consent(self, said: Standing, consent: Consent | None) -> bool | None:
        """Keep what this word leaves standing, and say whether anything changed; None for a giving that is stale."""
        before = None if self.consent is None else self.consent.standing
        standing = standing_after(before, said)
        if standing is None:
            return None
        if standing == before:
            return False
        self.consent = ConsentState(self.person, self.host, standing.state, standing.version, consent)
        self.draft.change(self.consent)
        return True

    def change_link(self, **changes: Any) -> Link:
        """The link changed, under its next version."""
        assert self.link is not None
        self.link = replace(self.link, version=self.link.version + 1, **changes)
        self.draft.change(self.link)
        return self.link

    def tell(self, kind: type[Message], *, time: datetime | None = None, **fields: Any) -> None:
        """Send a fact about this person and host, of this moment when no other is said."""
        about = {"person": self.person, **self._pair}
        self.draft.tell(IDENTITY_EVENTS, kind(**about, **fields), time=time)

    @property
    def _pair(self) -> dict[str, str]:
        return {"home": self.home, "home_ref": self.home_ref, "host": self.host}

    def tell_consent(self) -> None:
        """Consent as it stands."""
        assert self.consent is not None
        kept = self.consent
        self.tell(messages.ConsentChanged, state=kept.state, version=kept.version, consent=kept.consent)

    def tell_link(self, consent: Consent, answers: Request | None = None) -> None:
        """The whole link, as the border stamps it; in answer to a request, if to one."""
        assert self.link is not None
        link = self.link
        self.tell(
            messages.LinkEstablished,
            host_ref=link.host_ref,
            link_version=link.version,
            age_band=link.age_band,
            guardian_approved=link.guardian_approved,
            consent=consent,
            origin=None if answers is None else answers.origin,
        )

    def catch_up(self) -> None:
        """Let an active link take over what the newest offer says of her, once consent stands."""
        link, offer, consent = self.link, self.offer, self.given
        if link is None or offer is None or consent is None or not link.active:
            return
        news = {"age_band": offer.age_band, "guardian_approved": offer.guardian_approved}
        if news != {name: getattr(link, name) for name in news}:
            self.change_link(**news)
            self.tell_link(consent)

    def pending(self) -> list[Request]:
        """Requests of this host that wait for an offer."""
        return list(self.states.group(Request, "stands_at", (self.home, self.home_ref, self.host)))

    def settle(self, new: Request | None = None) -> LinkRefusal | Established | None:
        """Answer every request that can be answered now; give the outcome of the new one.

        Those that fit come first, so that guesses made before an offer came cannot stand in her way.
        """
        standing = self.pending() + ([new] if new is not None else [])
        offer = self.offer
        standing.sort(key=lambda r: (offer is None or not _fits(offer.code_hash, r), r.asked_at, r.request_id))
        of_new: LinkRefusal | Established | None = None
        for request in standing:
            outcome = self._judge(request)
            if request is new:
                of_new = outcome
            if outcome is not None:
                self._answer(request, outcome, stood=request is not new)
        return of_new

    def _judge(self, request: Request) -> LinkRefusal | Established | None:
        """None: an offer that is still under way may decide it, so it stands.

        Wrong codes are not counted: whoever knows her number could make her offer void by guessing, and 128 random
        bits are guessed by nobody.
        """
        link, offer = self.link, self.offer
        hers = link is not None and link.host_ref == request.host_ref
        if (link is not None and not link.active) or (not hers and self._taken(request)):
            return "already_linked"
        if link is not None and _fits(link.code_hash, request):
            # Repeated by the account that has it, for an answer that was lost. Anybody else comes too late.
            return "code_used" if not hers else "established" if self.given is not None else "already_linked"
        if offer is None or self.given is None:
            return None
        live = request.asked_at < offer.expires_at
        if _fits(offer.code_hash, request):
            return "established" if live else "expired"
        spent = link is not None and link.code_hash == offer.code_hash
        return "wrong_code" if live and not spent else None

    def _taken(self, request: Request) -> bool:
        """Whether the host account is another person's already, as a guest's or as a home."""
        return self.states.get(Role, (request.host, request.host_ref)) is not None

    def _answer(self, request: Request, outcome: LinkRefusal | Established, *, stood: bool) -> None:
        if stood:
            self.forget(request)
            self.draft.cancel(_timer_name(request))
        if outcome != "established":
            self.refuse(request, outcome)
            return
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
            self.draft.change(self.link)
            self.draft.change(Role(request.host, request.host_ref, "host"))
        elif self.link.code_hash != request.code_hash:
            # She comes again, under whatever number: she has her account there, and this code is spent as well.
            self.link = replace(self.link, code_hash=request.code_hash)
            self.draft.change(self.link)
        self.tell_link(consent, answers=request)

    def refuse(self, request: Request, reason: LinkRefusal) -> None:
        """Tell the host no, for good. Nothing is kept of it: not even whom it named need exist."""
        self.tell(messages.LinkRefused, host_ref=request.host_ref, reason=reason, origin=request.origin)

    def forget(self, request: Request) -> None:
        """It stood, and is answered."""
        self.draft.forget(request)

    def let_stand(self, request: Request, until: datetime) -> None:
        """Keep it until an offer comes, or its deadline."""
        self.draft.change(request)
        expire = messages.ExpireLinkRequest(**self._pair, origin=request.origin, request_id=request.request_id)
        self.draft.timer(_timer_name(request), until, IDENTITY_COMMANDS, expire)

    def last_word(self, request: Request) -> LinkRefusal:
        """Why a request whose time is up is refused. ``other_registry`` is said only to whoever has the code of an
        offer to another host: a guesser does not learn that there is one."""
        if self.account is None:
            return "no_offer"
        others = (o for o in self.states.group(Offer, "person", self.person) if o.host != self.host)
        if any(_fits(other.code_hash, request) for other in others):
            return "other_registry"
        return "no_offer" if self.offer is None or self.given is None else "wrong_code"


def _timer_name(request: Request) -> str:
    return f"link-request/{request.request_id}"
