"""Ids that follow from their causes: a decision that is made again from the same message gives the same ids.

An id is a MAC of its cause under the service's secret, so nobody outside can compute an id or find its cause. The MAC
is keyed BLAKE2b (RFC 7693): it takes half the time of HMAC-SHA256, and the chassis uses this digest anyway.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import Final, Literal, NamedTuple
from uuid import UUID

import uuid_utils

from contracts.envelope import Event, microseconds
from services.chassis.log.records import Record

__all__ = ["Cause", "Naming"]

_LATEST: Final = (1 << 48) - 1
_VERSION_8: Final = 0x8 << 76
_VARIANT: Final = 0b10 << 62
_WITHOUT_BOTH: Final = ~(0xF << 76 | 0b11 << 62)
_WITHOUT_TIME: Final = (1 << 80) - 1


class Cause(NamedTuple):
    """The cause from which ids follow. No two causes of a service are equal: the inbox takes in each message once."""

    kind: Literal["message", "place", "released", "job"]
    source: str
    id: str
    timestamp: int
    """Kafka's timestamp of the record, in milliseconds since 1970. Ids are in its order."""

    @classmethod
    def message(cls, event: Event, record: Record) -> Cause:
        """A message that is decided."""
        return cls("message", event.source, event.id, record.timestamp)

    @classmethod
    def place(cls, record: Record) -> Cause:
        """A record that nobody decides: it may have no id, or the id of another message."""
        return cls("place", record.topic, f"{record.partition}/{record.offset}", record.timestamp)

    @classmethod
    def released(cls, record: Record) -> Cause:
        """A message that an operator has released although another message has its id."""
        return cls.place(record)._replace(kind="released")

    @classmethod
    def job(cls, name: str, due: datetime, portion: int) -> Cause:
        """One portion of a due of a job."""
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
        """A digest by which a database recognises its secret. Nobody can compute the secret from it."""
        return self._mac("secret", Cause("place", "", "", 0), 0).to_bytes(16, "big")

    def own_id(self, cause: Cause) -> UUID:
        """The id for whatever a decision creates (UUIDv8 without a time, since such an id must not tell when)."""
        return UUID(int=self._mac("own", cause, 0) & _WITHOUT_BOTH | _VERSION_8 | _VARIANT)

    def send_id(self, cause: Cause, place: int) -> str:
        """The id of the message that its decision sends in this place, counted from 0."""
        return self._event_id("send", cause, place)

    def timer_id(self, cause: Cause, place: int) -> str:
        """The id of the message of the timer that its decision sets in this place, counted from 0.

        Its time is that of the cause, not of the timer, whose due moment was computed from the moment of the decision.
        """
        return self._event_id("timer", cause, place)

    def _event_id(self, label: str, cause: Cause, place: int) -> str:
        """UUIDv8 that begins with 48 bits of the cause's time, so that an index of ids grows at its end."""
        rest = self._mac(label, cause, place) & _WITHOUT_TIME & _WITHOUT_BOTH | _VERSION_8 | _VARIANT
        # A stranger may have written the time. A time that no UUID can hold becomes the first or the last that it can.
        return str(uuid_utils.UUID(int=min(max(cause.timestamp, 0), _LATEST) << 80 | rest))

    def _mac(self, label: str, cause: Cause, place: int) -> int:
        mac = self._keyed.copy()
        # The length says where the source ends, whatever text a stranger has written into it.
        said = f"{label} {place} {cause.kind} {len(cause.source)} {cause.source}{cause.id}"
        mac.update(said.encode("utf-8", "surrogatepass"))
        return int.from_bytes(mac.digest(), "big")
