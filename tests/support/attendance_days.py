"""Days of persons in two registries, by seed, so that everything meets everything."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, get_args
from uuid import UUID

from contracts.messages import Message
from contracts.messages.attendance import RecordCheckIn, RecordCheckOut
from contracts.messages.base import EvidenceClass
from contracts.messages.opportunities import (
    SignupConfirmed,
    SignupNoted,
    SignupPromoted,
    SignupRefused,
    SignupWaitlisted,
    SignupWithdrawn,
)
from contracts.messages.service import Tier
from tests.support.attendance import SignupFact, at, attest, check_in, check_out, review, signup

__all__ = ["crowd"]


def crowd(seed: int, persons: Sequence[UUID], *, judged: bool = False) -> list[Message]:
    """Some days of these persons in two registries, with everything missing, moved, revoked and in conflict.

    ``judged``: shifts have windows, most people check out, methods and classes differ, and persons decide about some
    records.
    """
    draw = random.Random(seed)
    messages: list[Message] = []
    for number, person in enumerate(persons):
        for host in ("aa", "bb"):
            who: dict[str, Any] = {"person": person, "host": host}
            for shift in ("s1", "s2", "s3"):
                kinds = draw.choice(((), "c", "c", "c", "w", "cx", "rc", "rn", "wp", "nrx"))
                names: dict[str, type[SignupFact]] = {
                    **{"w": SignupWaitlisted, "x": SignupWithdrawn, "r": SignupRefused},
                    **{"n": SignupNoted, "p": SignupPromoted},
                }
                for kind in kinds:
                    more: dict[str, Any] = {"reason": "clash"} if kind == "r" else {}
                    if judged:
                        more |= {"starts_at": at("06:00"), "ends_at": at("24:00", 2)}
                    messages.append(signup(shift, names.get(kind, SignupConfirmed), **who, **more))
                for day in (0, 1, 2):
                    method = draw.choice(("scan", "scan", "scan", "self_location")) if judged else "scan"
                    if draw.random() < 0.8:
                        messages.append(check_in(shift, at("07:00", day), **who, method=method))
                    if draw.random() < (0.95 if judged else 0.3):
                        messages.append(check_out(shift, at("02:00", day + 1), **who, method=method))
            for record in range(draw.randint(1, 4)):
                for version in range(1, draw.randint(2, 4)):
                    start, hours = draw.randint(6, 16), draw.randint(1, 3)
                    day = draw.randint(0, 2)
                    begin, end = at(f"{start}:00", day), at(f"{start + hours}:30", day)
                    shift = draw.choice(("s1", "s2", "s3"))
                    revoked = draw.random() < 0.15
                    ref = f"r{seed}-{number}-{record}"
                    said = _said(draw) if judged else {}
                    messages.append(attest(ref, shift, begin, end, version=version, revoked=revoked, **who, **said))
                    if judged and draw.random() < 0.4:
                        said = {
                            "tier": draw.choice(get_args(Tier)),
                            "outcome": draw.choice(("approved", "approved", "rejected")),
                        }
                        messages.append(review(ref, shift, version, **who, **said))
    draw.shuffle(messages)
    return _in_turn(messages) if judged else messages


def _in_turn(messages: list[Message]) -> list[Message]:
    """The same, sign-ups first, and each check-out behind its check-in: in any other order most are refused."""
    messages = sorted(messages, key=lambda message: not isinstance(message, SignupFact))
    places = [place for place, message in enumerate(messages) if isinstance(message, RecordCheckIn | RecordCheckOut)]
    ordered = sorted((messages[place] for place in places), key=lambda message: message.at)  # type: ignore[attr-defined]
    for place, message in zip(places, ordered, strict=True):
        messages[place] = message
    return messages


def _said(draw: random.Random) -> dict[str, Any]:
    evidence = draw.choice([EvidenceClass.SCAN] * 3 + [EvidenceClass.ROSTER, EvidenceClass.SUPPLEMENT])
    whole = {"reason_code": "forgot", "evidence_digest": "d" * 64} if draw.random() < 0.5 else {}
    return {"evidence": evidence, "home": "zz", "attested_by": draw.choice(("leader", "chief", None)), **whole}
