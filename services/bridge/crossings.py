"""The bridge's table of contents: one row per message. A registry's message is admitted before it is decided."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, Literal, TypeAlias

from contracts.messages import (
    Message,
    attendance,
    bridge,
    identity,
    opportunities,
    receipts,
    service,
    shifts,
    signups,
    volunteers,
)
from contracts.messages.deliveries import SignupState
from services.bridge.border import notices, translation
from services.bridge.border.admission import Admission, Late, Other, admitted, sender
from services.bridge.border.names import account_name
from services.bridge.ledger import carrying
from services.bridge.links import consent, linking
from services.bridge.store import Needs
from services.chassis.decisions import Decide, Inbound, States
from services.chassis.reactions import Reaction

__all__ = ["FROM_REGISTRIES", "FROM_WITHIN", "REACTIONS"]

_Subject: TypeAlias = Callable[[Inbound], str]
_Account: TypeAlias = tuple[str, str]
_Accounts: TypeAlias = Callable[[Inbound], list[_Account]]
"""The refs (registry, ref) that a message is about. They are locked, and their rows may change."""
_Need: TypeAlias = Callable[[Inbound, Needs], None]


def _row(
    decide: Decide, subject: _Subject, accounts: _Accounts, needs: Iterable[_Need], transfers_go_on: bool
) -> Reaction:
    """``transfers_go_on``: after this message transfers of its accounts, or of its person, may go on that were
    withheld."""

    def locks(inbound: Inbound) -> Iterable[str]:
        # The store locks the persons behind these refs, after it has looked them up.
        return [account_name(registry, ref) for registry, ref in accounts(inbound)]

    def gather(inbound: Inbound, found: Needs) -> None:
        named = accounts(inbound)
        found.accounts.update(named)
        if transfers_go_on:
            found.accounts_going_on.update(named)
        for need in needs:
            need(inbound, found)

    return Reaction(decide, subject, locks, gather)


def _of_sender(inbound: Inbound) -> list[_Account]:
    return [(sender(inbound), inbound.data.volunteer_ref)]


def _of_nobody(_: Inbound) -> list[_Account]:
    return []


def _of_request(inbound: Inbound) -> list[_Account]:
    return [*_of_sender(inbound), (inbound.data.home, inbound.data.home_ref)]


def _of_both(inbound: Inbound) -> list[_Account]:
    return [(inbound.data.host, inbound.data.host_ref), *_of_home(inbound)]


def _of_link(inbound: Inbound) -> list[_Account]:
    asked = inbound.data.asked_as
    return _of_both(inbound) if asked is None else [*_of_both(inbound), (inbound.data.host, asked)]


def _of_home(inbound: Inbound) -> list[_Account]:
    return [(inbound.data.home, inbound.data.home_ref)]


def _person(inbound: Inbound, needs: Needs) -> None:
    needs.persons.add(inbound.data.person)


def _person_if_named(inbound: Inbound, needs: Needs) -> None:
    if inbound.data.person is not None:
        _person(inbound, needs)


def _going_on(inbound: Inbound, needs: Needs) -> None:
    needs.going_on.add(inbound.data.person)


def _answered(inbound: Inbound, needs: Needs) -> None:
    if inbound.data.origin is not None:
        needs.registry_messages.add(inbound.data.origin.message)


def _own_record(inbound: Inbound, needs: Needs) -> None:
    needs.records.add((sender(inbound), inbound.data.record_ref))


def _record(inbound: Inbound, needs: Needs) -> None:
    needs.records.add((inbound.data.host, inbound.data.record.record_ref))


def _transfer(inbound: Inbound, needs: Needs) -> None:
    needs.transfers.add(inbound.data.transfer_id)


def _timed(inbound: Inbound, needs: Needs) -> None:
    key = inbound.data.host, inbound.data.record_ref
    needs.records.add(key)
    needs.timed.add(key)
    needs.transfers.add(inbound.data.transfer_id)


def _never(_: States, __: Inbound) -> bool:
    return False


def _always(_: States, __: Inbound) -> bool:
    return True


def _crossing(
    decide: Decide,
    family: str,
    names: Other | None = None,
    accounts: _Accounts = _of_sender,
    needs: Iterable[_Need] = (),
    *,
    transfers_go_on: bool = False,
    begins: bool = False,
    lowers: Callable[[States, Inbound], bool] = _never,
    past: tuple[str, ...] = (),
    late: Late | None = None,
) -> Reaction:
    """A registry's message. Its subject is the sender's ref, with the registry that the message names if it names a
    registry. Messages of different ``family`` never wait behind each other. The other arguments are ``Admission``'s."""
    admission = Admission(names, begins, lowers, past, late)

    def subject(inbound: Inbound) -> str:
        account = f"account.{family}:{sender(inbound)}:{inbound.data.volunteer_ref}"
        return account if names is None else f"{account}:{getattr(inbound.data, names.field)}"

    return _row(admitted(admission, decide), subject, accounts, needs, transfers_go_on)


def _published(decide: Decide) -> Reaction:
    """A registry's message about a project of its own."""

    def subject(inbound: Inbound) -> str:
        return f"account.project:{sender(inbound)}:{inbound.data.project_ref}"

    return _row(
        admitted(Admission(None, False, _never, (), None), decide), subject, _of_nobody, (), transfers_go_on=False
    )


def _inner(
    decide: Decide,
    subject: _Subject,
    *needs: _Need,
    accounts: _Accounts = _of_nobody,
    transfers_go_on: bool = False,
) -> Reaction:
    """An inner service's message."""
    return _row(decide, subject, accounts, (*needs, _going_on) if transfers_go_on else needs, transfers_go_on)


def _from_identity(inbound: Inbound) -> str:
    return f"from.identity:{inbound.data.person}"


def _from_opportunities(inbound: Inbound) -> str:
    return f"from.opportunities:{inbound.data.key}:{inbound.data.subject}"


def _from_attendance(inbound: Inbound) -> str:
    return f"from.attendance:{inbound.data.key}"


def _of_record(inbound: Inbound) -> str:
    return f"from.record:{inbound.data.subject}"


def _of_timer(inbound: Inbound) -> str:
    """The subject of the record that the timer is about: a timer's key is that of the record's messages."""
    return f"from.record:{inbound.data.key}"


_HOST: Final = Other("host", own="may")
_OTHER: Final = Other("registry")
_LINK: Final = Late("links")
_SIGNUP: Final = Late("signups")
_PRESENCE: Final = Late("presence", ("at",))
_ATTESTATION: Final = Late("attestations")

# A break may wait for its link. Consent, and the offer or request that brings this link, must not wait behind the
# break, so they are of other families.
FROM_REGISTRIES: Final[Mapping[type[Message], Reaction]] = {
    volunteers.LinkOffered: _crossing(
        linking.link_offered,
        "link",
        Other("for_registry"),
        transfers_go_on=True,
        begins=True,
        past=("consent", "given_at"),
        late=_LINK,
    ),
    volunteers.LinkRequested: _crossing(
        linking.link_requested, "link", Other("home"), _of_request, begins=True, late=_LINK
    ),
    volunteers.ConsentGiven: _crossing(
        consent.consent_given, "consent", _OTHER, transfers_go_on=True, past=("consent", "given_at"), late=_LINK
    ),
    volunteers.ConsentWithdrawn: _crossing(consent.consent_withdrawn, "consent", _OTHER, lowers=_always),
    volunteers.LinkBroken: _crossing(linking.link_broken, "break", _OTHER, lowers=_always),
    volunteers.LinkRestored: _crossing(linking.link_restored, "break", _OTHER, late=_LINK),
    shifts.ProjectPublished: _published(translation.project_published),
    shifts.ShiftPublished: _published(translation.shift_published),
    signups.SignupRequested: _crossing(translation.signup_requested, "signup", _HOST, begins=True, late=_SIGNUP),
    signups.SignupWithdrawn: _crossing(translation.signup_withdrawn, "signup", _HOST, lowers=_always),
    # A window at home is only the home's to report (host = home).
    signups.SignupReported: _crossing(
        translation.signup_reported,
        "signup",
        Other("host", own="must"),
        lowers=translation.is_given_back,
        late=_SIGNUP,
    ),
    service.CheckedIn: _crossing(translation.presence_recorded, "attendance", past=("at",), late=_PRESENCE),
    service.CheckedOut: _crossing(translation.presence_recorded, "attendance", past=("at",), late=_PRESENCE),
    service.ServiceAttested: _crossing(
        translation.service_attested,
        "attendance",
        needs=(_own_record,),
        lowers=translation.is_lowered,
        past=("ended_at",),
        late=_ATTESTATION,
    ),
    service.ServiceReviewed: _crossing(translation.service_reviewed, "attendance", late=_ATTESTATION),
    receipts.CreditAccepted: _crossing(carrying.receipt, "receipt", needs=(_transfer,), lowers=_always),
    receipts.CreditRefused: _crossing(carrying.receipt, "receipt", needs=(_transfer,), lowers=_always),
    receipts.CreditUnknown: _crossing(carrying.receipt, "receipt", needs=(_transfer,), lowers=_always),
}


def _signup(state: SignupState) -> Reaction:
    return _inner(partial(notices.signup_changed, state), _from_opportunities, _person)


def _decided(state: Literal["confirmed", "held", "revoked"]) -> Reaction:
    return _inner(partial(carrying.service_decided, state), _of_record, _person, _record)


FROM_WITHIN: Final[Mapping[type[Message], Reaction]] = {
    identity.LinkEstablished: _inner(
        linking.link_established, _from_identity, _person, _answered, accounts=_of_link, transfers_go_on=True
    ),
    identity.LinkRefused: _inner(linking.link_refused, _from_identity, _answered, accounts=_of_both),
    identity.LinkBroken: _inner(linking.link_broken_or_restored, _from_identity, _person),
    identity.LinkRestored: _inner(linking.link_broken_or_restored, _from_identity, _person, transfers_go_on=True),
    identity.ConsentChanged: _inner(
        consent.consent_changed, _from_identity, _person, accounts=_of_home, transfers_go_on=True
    ),
    identity.CommandRefused: _inner(notices.command_refused, _from_identity, _person, _answered),
    opportunities.SignupConfirmed: _signup("confirmed"),
    opportunities.SignupWaitlisted: _signup("waitlisted"),
    opportunities.SignupPromoted: _signup("promoted"),
    opportunities.SignupRefused: _signup("refused"),
    opportunities.SignupWithdrawn: _signup("withdrawn"),
    opportunities.SignupNoted: _signup("reported"),
    opportunities.CommandRefused: _inner(notices.command_refused, _from_opportunities, _person_if_named, _answered),
    attendance.ServiceConfirmed: _decided("confirmed"),
    attendance.ServiceHeld: _decided("held"),
    attendance.ServiceRevoked: _decided("revoked"),
    attendance.CommandRefused: _inner(notices.command_refused, _from_attendance, _person, _answered),
    bridge.CheckReceipt: _inner(carrying.receipt_due, _of_timer, _timed),
    bridge.RetryTransfer: _inner(carrying.retry_due, _of_timer, _timed),
    bridge.SettleTransfer: _inner(carrying.settled_by_hand, _of_timer, _timed),
}

REACTIONS: Final[Mapping[type[Message], Reaction]] = {**FROM_REGISTRIES, **FROM_WITHIN}
