"""Where are my hours: a person's history as one viewer may see it, and who must act next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from contracts.messages.deliveries import TransferState
from contracts.reason import HELD, QUEUED, REFUSED, UNCERTAIN, WITHHELD, Stand
from contracts.reasons import who_acts
from services.bridge.border.people import obstacle
from services.bridge.states import ConsentState, Link, ServiceState, Step, Transfer
from services.bridge.steps import OF_SERVICE, SIGNUP_STATE

__all__ = ["next_to_act", "timeline"]

_UNDER_WAY: Final[Mapping[TransferState, Stand | None]] = {
    "queued": QUEUED,
    "withheld": WITHHELD,
    "sent": None,
    "uncertain": UNCERTAIN,
    "refused": REFUSED,
}
"""States of a transfer in which somebody must act. A transfer that was sent has no reason: its home must answer."""
_NOT_ENDED: Final = ("confirmed", "waitlisted", "promoted", "reported")


def next_to_act(service: ServiceState, transfer: Transfer | None) -> str | None:
    """Who must act next, by the list of reasons: volunteer, host, home, registries, linkage or operator. None when
    nobody must."""
    if service.state == "held":
        return who_acts(HELD.where, service.reason) or HELD.acts
    if transfer is None or transfer.state not in _UNDER_WAY:
        return None
    stand = _UNDER_WAY[transfer.state]
    return "home" if stand is None else who_acts(stand.where, transfer.reason) or stand.acts


def timeline(
    viewer: str | None,
    links: Sequence[Link],
    consents: Iterable[ConsentState],
    services: Iterable[ServiceState],
    transfers: Mapping[UUID, Transfer],
    steps: Iterable[Step],
    now: datetime,
) -> dict[str, Any]:
    """Links, sign-ups and services with times, as the registry ``viewer`` (None: an operator) may see them.

    A host sees its own sign-ups and services. The home sees those that were sent to it or that it asked for, and all
    others while consent covers them. Of withheld services the home sees only how many there are, so that the volunteer
    learns that her consent is missing.
    """
    consent_for = {consent.host: consent for consent in consents}
    open_to_home = {link.host for link in links if obstacle(link, consent_for.get(link.host), now) is None}

    def visible(host: str, home_has_it: bool) -> bool:
        is_home = any(link.home == viewer for link in links)
        return viewer is None or host == viewer or (is_home and (home_has_it or host in open_to_home))

    by_subject: defaultdict[tuple[str, str], list[Step]] = defaultdict(list)
    for step in steps:
        by_subject[step.host, step.subject].append(step)
    withheld: defaultdict[str, int] = defaultdict(int)
    shown_services: list[dict[str, Any]] = []
    for service in sorted(services, key=lambda row: (row.record.started_at, row.host, row.record_ref)):
        transfer = transfers.get(service.transfer_id) if service.transfer_id is not None else None
        of_service = by_subject.pop((service.host, service.record_ref), [])
        if transfer is not None and transfer.state == "withheld":
            withheld[service.host] += 1
        if visible(service.host, transfer is not None and transfer.attempts > 0):
            shown_services.append(_service(service, transfer, of_service))
    signups = [
        _signup(host, subject, rows)
        for (host, subject), rows in by_subject.items()
        # Steps of a service without its record: the record is not decided yet, or refused. They are no sign-up.
        if subject
        and rows[0].what not in OF_SERVICE
        and visible(host, any(row.detail.get("asker") == viewer for row in rows))
    ]
    shown_links = [
        _link(link, consent_for.get(link.host), by_subject[link.host, ""], withheld[link.host], now)
        for link in links
        if viewer in (None, link.host, link.home)
    ]
    return {"links": shown_links, "signups": signups, "services": shown_services}


def _link(
    link: Link, consent: ConsentState | None, steps: Iterable[Step], withheld: int, now: datetime
) -> dict[str, Any]:
    return {
        "home": link.home,
        "host": link.host,
        "state": link.state,
        "since": link.since,
        "consent": _stands(consent, now),
        "consent_version": consent.version if consent is not None else None,
        "consent_valid_until": consent.valid_until if consent is not None else None,
        "services_withheld": withheld,
        "steps": _steps(steps),
    }


def _stands(consent: ConsentState | None, now: datetime) -> Literal["given", "withdrawn", "expired"] | None:
    """How consent stands at this moment. Given consent expires without a message; None before any word on it."""
    if consent is None:
        return None
    return "expired" if consent.state == "given" and consent.expired(now) else consent.state


def _signup(host: str, signup_id: str, steps: Sequence[Step]) -> dict[str, Any]:
    state: str = "requested"
    reason: str | int | None = None
    place: dict[str, str | int | None] = {}
    for step in steps:
        place |= {name: step.detail[name] for name in ("project_ref", "shift_ref") if name in step.detail}
        new_state = SIGNUP_STATE.get(step.what)
        # The refusal of a second request does not change the state of the first.
        if new_state is not None and not (new_state == "refused" and state in _NOT_ENDED):
            state, reason = new_state, step.detail.get("reason")
    return {"signup_id": signup_id, "host": host, **place, "state": state, "reason": reason, "steps": _steps(steps)}


def _service(service: ServiceState, transfer: Transfer | None, steps: Iterable[Step]) -> dict[str, Any]:
    record = service.record
    return {
        "host": service.host,
        "home": service.home,
        "record_ref": service.record_ref,
        "version": record.version,
        "project_ref": record.project_ref,
        "shift_ref": record.shift_ref,
        "started_at": record.started_at,
        "ended_at": record.ended_at,
        "minutes": service.minutes,
        "state": service.state,
        "reason": service.reason,
        "confirmed_minutes": service.total,
        "credited_minutes": service.posted,
        "transfer": None if transfer is None else _transfer(transfer),
        "next": next_to_act(service, transfer),
        "steps": _steps(steps),
    }


def _transfer(transfer: Transfer) -> dict[str, Any]:
    return {
        "transfer_id": transfer.id,
        "version": transfer.version,
        "state": transfer.state,
        "reason": transfer.reason,
        "total": transfer.total,
        "delta": transfer.delta,
        "since": transfer.changed_at,
    }


def _steps(steps: Iterable[Step]) -> list[dict[str, Any]]:
    return [
        {"at": step.at, "happened_at": step.happened_at, "what": step.what}
        | {name: value for name, value in step.detail.items() if value is not None}
        for step in steps
    ]
