"""Seats whose policy asks for what a shift, presence and evidence support, and days of service under it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from contracts.messages import Message
from contracts.registry import Registry
from tests.support.attendance import XIA, World, at, attest, check_in, check_out, signup, told

__all__ = ["SINCE", "Strict", "asking"]

SINCE: Final = "2026-07-01T00:00:00+08:00"
"""From when the policy of these seats counts."""


def asking(code: str, host: dict[str, Any] | None = None, home: dict[str, Any] | None = None) -> Registry:
    """A seat whose policy has these values besides the shipped ones."""
    return Registry.model_validate(
        {
            "code": code,
            "names": {"zh": "试", "en": "test"},
            "division_code": "440300",
            "capability": "idempotent",
            "system": {"kind": "kafka_native"},
            "policy": [{"valid_from": SINCE, "as_host": host or {}, "as_home": home or {}}],
        }
    )


class Strict(World):
    """Attendance under such a policy at the registries ``aa`` and ``bb``. Xia is of ``zz``. Her shift is from 9 to 12,
    if the test says no other, and she has a post."""

    def __init__(
        self,
        host: dict[str, Any] | None = None,
        home: dict[str, Any] | None = None,
        *,
        cap: int = 480,
        patient: bool = False,
    ) -> None:
        super().__init__(cap, patient=patient, seats={code: asking(code, host, home) for code in ("aa", "bb", "zz")})

    def shift(
        self, name: str = "s1", start: datetime | None = None, end: datetime | None = None, *, host: str = "aa"
    ) -> Strict:
        """She has a post in a shift of this window."""
        self.deliver(signup(name, host=host, starts_at=start or at("09:00"), ends_at=end or at("12:00")))
        return self

    def stay(
        self, came: datetime, left: datetime | None, *, shift: str = "s1", host: str = "aa", method: str = "scan"
    ) -> list[str]:
        """She was there from then until then; without ``left`` she has not checked out."""
        messages = [check_in(shift, came, host=host, method=method)]
        if left is not None:
            messages.append(check_out(shift, left, host=host, method=method))
        return list(told(self.deliver(*messages)))

    def leave(self, left: datetime, *, shift: str = "s1") -> list[str]:
        """She checks out."""
        return list(told(self.deliver(check_out(shift, left))))

    def attested(self, start: datetime, end: datetime, ref: str = "r1", *, shift: str = "s1", **more: Any) -> list[str]:
        """What follows from a record of this time."""
        time: dict[str, datetime] = {"time": more.pop("said_at")} if "said_at" in more else {}
        return list(told(self.deliver(attest(ref, shift, start, end, **{"home": "zz"} | more), **time)))

    def ended(self, kind: Any, shift: str = "s1", **more: Any) -> list[Message]:
        """What opportunities says when her sign-up ends."""
        return self.deliver(signup(shift, kind, starts_at=at("09:00"), ends_at=at("12:00"), **more))

    def minutes(self) -> int:
        """All minutes of hers that count."""
        return sum(row.counted_minutes or 0 for row in self.standings() if row.person == XIA)
