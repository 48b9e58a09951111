"""Names that follow from their causes: a decision that is made again, from the same message, gives the same ids.

An id is a MAC of its cause under the service's secret: nobody outside can reckon one, or join one to its cause. It is
keyed BLAKE2b (RFC 7693): a MAC by design, half the price of HMAC-SHA256, and the digest that is used here already.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import Final, Literal, NamedTuple
from uuid import UUID

import uuid_utils

from contracts.envelope import Event, microseconds
from services.chassis.records import Record

__all__ = ["Cause", "Naming"]

_LATEST: Final = (1 << 48) - 1
_VERSION_8: Final = 0x8 << 76
_VARIANT: Final = 0b10 << 62
_WITHOUT_BOTH: Final = ~(0xF << 76 | 0b11 << 62)
_WITHOUT_TIME: Final = (1 << 80) - 1


class Cause(NamedTuple):
    """What an id follows from. Of two causes of one service no two are equal: the inbox takes in each message once."""

    kind: Literal["message", "place", "released", "job"]
    source: str
    id: str
    timestamp: int
    """Kafka's of its record, in milliseconds since 1970: what is said of it is ordered by it."""

    @classmethod
    def message(cls, event: Event, record: Record) -> Cause:
        """A message that is decided."""
        return cls("message", event.source, event.id, record.timestamp)

    @classmethod
    def place(cls, record: Record) -> Cause:
        """A record that nobody decides: it may have no id, or that of another message."""
        return cls("place", record.topic, f"{record.partition}/{record.offset}", record.timestamp)

    @classmethod
    def released(cls, record: Record) -> Cause:
        """A message that an operator has decided although its id is another one's."""
        return cls.place(record)._replace(kind="released")

    @classmethod
    def job(cls, name: str, due: datetime, portion: int) -> Cause:
        """A portion of what a job of the service does for the moment at which it is due."""
        moment = microseconds(due)
        return cls("job", f"job:{name}", f"{moment}/{portion}", int(moment) // 1000)


class Naming:
    """The names that a service gives. Pure: the same secret and cause give the same name, on every machine."""

    def __init__(self, secret: str) -> None:
        # A key of BLAKE2b has 64 bytes at most.
        key = blake2b(secret.encode(), digest_size=64, person=b"naming").digest()
        self._keyed = blake2b(key=key, digest_size=16)

    @property
    def digest(self) -> bytes:
        """By which a database knows its secret again, and from which nobody can reckon it."""
        return self._mac("secret", Cause("place", "", "", 0), 0).to_bytes(16, "big")

    def own_id(self, cause: Cause) -> UUID:
        """The id of a cause, for whatever a decision names (UUIDv8 without time: what is named must not tell when)."""
        return UUID(int=self._mac("own", cause, 0) & _WITHOUT_BOTH | _VERSION_8 | _VARIANT)

    def send_id(self, cause: Cause, place: int) -> str:
        """The id of the message that its decision sends in this place, counted from 0."""
        return self._event_id("send", cause, place)

    def timer_id(self, cause: Cause, place: int) -> str:
        """The id of the message of the timer that its decision sets in this place, counted from 0.

        It has the time of the cause, not of the timer: when that is due was reckoned from the moment of deciding.
        """
        return self._event_id("timer", cause, place)

    def _event_id(self, label: str, cause: Cause, place: int) -> str:
        """UUIDv8, 48 bits of the cause's time first: whoever keeps ids in an index adds them at its end."""
        rest = self._mac(label, cause, place) & _WITHOUT_TIME & _WITHOUT_BOTH | _VERSION_8 | _VARIANT
        # A stranger may have written the time: one that no UUID holds is the first or the last one.
        return str(uuid_utils.UUID(int=min(max(cause.timestamp, 0), _LATEST) << 80 | rest))

    def _mac(self, label: str, cause: Cause, place: int) -> int:
        mac = self._keyed.copy()
        # The length of the source says where it ends, whatever a stranger has in it.
        said = f"{label} {place} {cause.kind} {len(cause.source)} {cause.source}{cause.id}"
        mac.update(said.encode("utf-8", "surrogatepass"))
        return int.from_bytes(mac.digest(), "big")
