"""Days of persons in two registries, by seed, so that everything meets everything."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from contracts.messages import Message
from contracts.messages.opportunities import (
    SignupNoted,
    SignupPromoted,
    SignupRefused,
    SignupWaitlisted,
    SignupWithdrawn,
)
from tests.support.attendance import SignupFact, at, attest, check_in, check_out, signup

__all__ = ["crowd"]


def crowd(seed: int, persons: Sequence[UUID]) -> list[Message]:
    """Some days of these persons in two registries, with everything missing, moved, revoked and in conflict."""
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
                    fact = signup(shift, names[kind], **who, **more) if kind in names else signup(shift, **who)
                    messages.append(fact)
                for day in (0, 1, 2):
                    if draw.random() < 0.8:
                        messages.append(check_in(shift, at("07:00", day), **who))
                    if draw.random() < 0.3:
                        messages.append(check_out(shift, at("02:00", day + 1), **who))
            for record in range(draw.randint(1, 4)):
                for version in range(1, draw.randint(2, 4)):
                    start, hours = draw.randint(6, 16), draw.randint(1, 3)
                    day = draw.randint(0, 2)
                    span = at(f"{start}:00", day), at(f"{start + hours}:30", day)
                    shift = draw.choice(("s1", "s2", "s3"))
                    revoked = draw.random() < 0.15
                    ref = f"r{seed}-{number}-{record}"
                    messages.append(attest(ref, shift, *span, version=version, revoked=revoked, **who))
    draw.shuffle(messages)
    return messages
