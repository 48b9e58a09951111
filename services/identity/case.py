"""One home account and one host: the rows that concern both, and the changes that a decision makes to them."""

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
"""How many requests of one host for one home account may wait for an offer."""


def _fits(code_hash: str, request: Request) -> bool:
    return compare_digest(code_hash, request.code_hash)


@dataclass(slots=True)
class Case:
    """Reads the loaded states and writes changes into ``draft``. Made for one message."""

    draft: Draft
    states: States
    home: str
    home_ref: str
    host: str
    new_person: UUID
    """The person id of a home account that is new with this message."""
    account: Account | None
    """None while her home has not said anything about this ref: it may be nobody's."""
    offer: Offer | None
    link: Link | None
    consent: ConsentState | None

    @classmethod
    def of(cls, states: States, inbound: Inbound, now: datetime) -> Case:
        """The case of this command."""
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
        """The case of a home's message about its own volunteer: an account that is new gets its person here."""
        case = cls.of(states, inbound, now)
        if case.account is None:
            case.account = Account(case.home, case.home_ref, case.new_person)
            case.draft.change(case.account)
        return case

    @property
    def person(self) -> UUID:
        """The person behind the home account."""
        return self.new_person if self.account is None else self.account.person

    def decision(self) -> Decision:
        """All changes and messages of the draft."""
        return self.draft.decision()

    @property
    def given(self) -> Consent | None:
        """The consent, while it is given and not run out. Without it nothing is told to the host (promise 6)."""
        return self.consent.given_at(self.draft.now) if self.consent is not None else None

    @property
    def role(self) -> Literal["home", "host"] | None:
        """Whether this account is a volunteer's home or a guest's account; None while it is neither."""
        row = self.states.get(Role, (self.home, self.home_ref))
        return None if row is None else row.role

    def keep_offer(self, offer: Offer) -> None:
        """Keep this offer as the newest. The first offer makes the account a home."""
        self.offer = offer
        if self.role is None:
            self.draft.change(Role(self.home, self.home_ref, "home"))
        self.draft.change(offer)

    def take_consent(self, said: Standing, consent: Consent | None) -> bool | None:
        """Keep the standing of consent after this message. Returns whether it changed; None where a consent is given
        under a stale version."""
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
        """Change the link and give it its next version."""
        assert self.link is not None
        self.link = replace(self.link, version=self.link.version + 1, **changes)
        self.draft.change(self.link)
        return self.link

    def tell(self, kind: type[Message], *, time: datetime | None = None, **fields: Any) -> None:
        """Send an event about this person and host. ``time``: this moment where none is given."""
        about = {"person": self.person, **self._pair}
        self.draft.tell(IDENTITY_EVENTS, kind(**about, **fields), time=time)

    @property
    def _pair(self) -> dict[str, str]:
        return {"home": self.home, "home_ref": self.home_ref, "host": self.host}

    def tell_consent(self) -> None:
        """Tell the standing of consent."""
        assert self.consent is not None
        kept = self.consent
        self.tell(messages.ConsentChanged, state=kept.state, version=kept.version, consent=kept.consent)

    def tell_link(self, consent: Consent, answers: Request | None = None) -> None:
        """Tell the link with all that the border copies into commands. ``answers``: the request that led to it."""
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
            asked_as=None if answers is None else answers.host_ref,
        )

    def catch_up(self) -> None:
        """Copy age band and guardian's approval from the newest offer into an active link, if consent is given."""
        link, offer, consent = self.link, self.offer, self.given
        if link is None or offer is None or consent is None or not link.active:
            return
        news = {"age_band": offer.age_band, "guardian_approved": offer.guardian_approved}
        if news != {name: getattr(link, name) for name in news}:
            self.change_link(**news)
            self.tell_link(consent)

    def pending(self) -> list[Request]:
        """Requests of this host that wait for an offer."""
        return list(self.states.group(Request, "pending_at", (self.home, self.home_ref, self.host)))

    def answer(self, new: Request | None = None) -> LinkRefusal | Established | None:
        """Answer every request that can be answered now. Returns the outcome of ``new``, None where it must wait.

        Requests whose code fits the offer are answered first, so that guesses made before the offer came do not get in
        her way.
        """
        requests = self.pending() + ([new] if new is not None else [])
        offer = self.offer
        requests.sort(key=lambda r: (offer is None or not _fits(offer.code_hash, r), r.asked_at, r.request_id))
        outcome_of_new: LinkRefusal | Established | None = None
        for request in requests:
            outcome = self._judge(request)
            if request is new:
                outcome_of_new = outcome
            if outcome is not None:
                self._close(request, outcome, was_pending=request is not new)
        return outcome_of_new

    def _judge(self, request: Request) -> LinkRefusal | Established | None:
        """The outcome of a request; None where an offer that is still under way may decide it.

        Wrong codes are not counted. If they were, anybody who knows her ref could make her offer void by guessing, and
        nobody can guess 128 random bits.
        """
        link, offer = self.link, self.offer
        hers = link is not None and link.host_ref == request.host_ref
        if (link is not None and not link.active) or (not hers and self._taken(request)):
            return "already_linked"
        if link is not None and _fits(link.code_hash, request):
            # The account that used this code may ask again, since its answer may be lost. Every other is too late.
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

    def _close(self, request: Request, outcome: LinkRefusal | Established, *, was_pending: bool) -> None:
        if was_pending:
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
            # She asks again, under the same host_ref or another one. She keeps her account there; this code is spent.
            self.link = replace(self.link, code_hash=request.code_hash)
            self.draft.change(self.link)
        self.tell_link(consent, answers=request)

    def refuse(self, request: Request, reason: LinkRefusal) -> None:
        """Refuse the request for good. No row is kept: the account that it names need not exist."""
        self.tell(messages.LinkRefused, host_ref=request.host_ref, reason=reason, origin=request.origin)

    def forget(self, request: Request) -> None:
        """Delete a pending request that is answered."""
        self.draft.forget(request)

    def keep_pending(self, request: Request, until: datetime) -> None:
        """Keep the request until an offer decides it or its deadline comes."""
        self.draft.change(request)
        expire = messages.ExpireLinkRequest(**self._pair, origin=request.origin, request_id=request.request_id)
        self.draft.timer(_timer_name(request), until, IDENTITY_COMMANDS, expire)

    def refusal_at_deadline(self, request: Request) -> LinkRefusal:
        """The reason for refusing a request whose time is up. Only a request with the code of an offer to another host
        is refused(other_registry): a guesser does not learn that there is such an offer."""
        if self.account is None:
            return "no_offer"
        others = (o for o in self.states.group(Offer, "person", self.person) if o.host != self.host)
        if any(_fits(other.code_hash, request) for other in others):
            return "other_registry"
        return "no_offer" if self.offer is None or self.given is None else "wrong_code"


def _timer_name(request: Request) -> str:
    return f"link-request/{request.request_id}"
