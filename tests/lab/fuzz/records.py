"""Whole Kafka records, drawn by a seed: honest ones between everything else that a log may legally hold.

Each record says beforehand what has to become of it. The good ones carry oddities that are no reason to refuse (headers
of other tools); the bad ones are wrong in one way each; the doubtful ones are good ones with a few bytes changed, which
may be applied or turned away, but never lost.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from contracts.envelope import MAX_BYTES, Event, encode
from contracts.messages import Message
from contracts.messages.base import AgeBand, Consent
from contracts.messages.service import CheckedIn
from contracts.messages.shifts import Category, ProjectPublished
from contracts.messages.volunteers import LinkOffered
from contracts.partitioner import partition_for
from contracts.topics import ATTENDANCE, OPPORTUNITIES, VOLUNTEERS, TopicEntry, registry_source
from tests.support.batches import CODECS

__all__ = ["DENSE_BOMB", "REGISTRIES", "Becomes", "Parcel", "Spec", "parcels"]

REGISTRIES: Final = ("gz", "sz")
DENSE_BOMB: Final = "dense_bomb"
"""A bomb that hardly gets smaller: ``wire`` fills most of a mebibyte of it with noise."""
Header = tuple[bytes, bytes | None]


class Becomes(StrEnum):
    """What has to become of a record."""

    APPLIED = "applied"
    TURNED_AWAY = "turned away"
    EITHER = "either"
    NOTHING = "nothing"
    """It stands in a transaction that was aborted, so nobody may see it."""


@dataclass(frozen=True)
class Spec:
    """One record before it is written. ``id`` is its CloudEvents id, where it has one."""

    id: str
    kind: str
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    becomes: Becomes
    timestamp: int | None = None

    def header(self, name: bytes, value: bytes | None) -> Spec:
        """The same with one more header."""
        return replace(self, headers=(*self.headers, (name, value)))

    def instead(self, name: bytes, value: bytes | None) -> Spec:
        """The same with another value in this header."""
        return replace(self, headers=tuple((n, value if n == name else v) for n, v in self.headers))


@dataclass(frozen=True)
class Parcel:
    """Records that go out as one batch to one partition. ``ends``: how its transaction ends, if it is in one."""

    topic: str
    partition: int
    codec: int
    specs: tuple[Spec, ...]
    ends: str | None = None
    cut: bool = False
    """Whether bytes of the finished batch are changed."""


def parcels(seed: int, count: int) -> Iterator[Parcel]:
    """Parcels with at least ``count`` records in all, the same for the same seed."""
    rng = random.Random(seed)
    made = 0
    while made < count:
        parcel = _parcel(rng, f"{seed}-{made}")
        made += len(parcel.specs)
        yield parcel


def _parcel(rng: random.Random, name: str) -> Parcel:
    code = rng.choice(REGISTRIES)
    entry = rng.choice((OPPORTUNITIES, VOLUNTEERS, ATTENDANCE)).of(code)
    partition = rng.randrange(entry.partitions)
    codec = rng.choice(list(CODECS.values()))
    lot = rng.random()
    if lot < 0.01:
        return Parcel(entry.name, partition, codec or 1, _bomb(rng, name))
    draw = _Drawing(rng, entry, code, partition)
    specs = tuple(draw.one() for _ in range(rng.choice((1, 1, 2, 5, 20, 60))))
    if lot < 0.04:
        return Parcel(entry.name, partition, codec, _at_odd_times(rng, specs))
    if lot < 0.07:
        return _in_transaction(rng, entry, partition, specs)
    return Parcel(entry.name, partition, codec, specs, cut=lot < 0.08)


def _bomb(rng: random.Random, name: str) -> tuple[Spec, ...]:
    """Batches that are larger when they are opened than a batch may be: of a few bytes on the wire, or of nearly the
    mebibyte that a broker takes."""
    kind, mebibytes, records = rng.choice(
        (("bomb", 9, 1), ("bomb", 40, 1), ("bomb", 300, 1), ("bomb", 0.1, 120), (DENSE_BOMB, 9, 1))
    )
    value = bytes(int(mebibytes * (1 << 20)))
    return tuple(
        Spec(f"bomb-{name}-{number}", kind, b"bomb", value, (), Becomes.TURNED_AWAY) for number in range(records)
    )


def _at_odd_times(rng: random.Random, specs: tuple[Spec, ...]) -> tuple[Spec, ...]:
    odd = rng.choice((0, 1, -1, -(2**63), 2**31, 2**41, 2**62, 2**63 - 1))
    return tuple(replace(spec, timestamp=odd) for spec in specs)


def _in_transaction(rng: random.Random, entry: TopicEntry, partition: int, specs: tuple[Spec, ...]) -> Parcel:
    # The ordinary producer writes these, and writes no header name that is not UTF-8.
    plain = tuple(spec for spec in specs if all(name.isascii() for name, _ in spec.headers)) or specs[:0]
    if rng.random() < 0.5:
        return Parcel(entry.name, partition, 0, plain, "commit")
    return Parcel(entry.name, partition, 0, tuple(replace(s, becomes=Becomes.NOTHING) for s in plain), "abort")


class _Drawing:
    """Records for one partition of one registry's topic."""

    def __init__(self, rng: random.Random, entry: TopicEntry, code: str, partition: int) -> None:
        self.rng = rng
        self.entry = entry
        self.code = code
        self.partition = partition

    def one(self) -> Spec:
        """The next record."""
        # An id far from any other, whatever bits of it are changed.
        good = self._good(f"f-{self.rng.getrandbits(80):020x}")
        lot = self.rng.random()
        if lot < 0.35:
            return good
        if lot < 0.6:
            kind = self.rng.choice(list(ODDITIES))
            return replace(ODDITIES[kind](good), kind=kind)
        if lot < 0.9:
            kind = self.rng.choice(list(FAULTS))
            return replace(FAULTS[kind](self.rng, good), kind=kind, becomes=Becomes.TURNED_AWAY)
        return self._changed(good)

    def _good(self, id: str) -> Spec:
        now = datetime.now(UTC)
        event = Event(id, registry_source(self.code), now, self._message(self._ref(), now))
        value, headers = encode(event)
        packed = tuple((name.encode(), text) for name, text in headers)
        # Nobody is linked, so presence is refused once it has waited for a link.
        stranger = self.entry.name.endswith("attendance.v1")
        becomes = Becomes.TURNED_AWAY if stranger else Becomes.APPLIED
        return Spec(id, "good", event.key.encode(), value, packed, becomes)

    def _message(self, ref: str, now: datetime) -> Message:
        other = next(code for code in REGISTRIES if code != self.code)
        if "opportunities" in self.entry.name:
            title = self.rng.choice(("护绿驿站", "Green station", "清晨巡河"))
            return ProjectPublished(
                project_ref=ref, version=1, title=title, category=Category.ECOLOGY, organiser_ref="org-1"
            )
        if "attendance" in self.entry.name:
            return CheckedIn(volunteer_ref=ref, project_ref="p-1", shift_ref="s-1", at=now, method="scan")
        return LinkOffered(
            volunteer_ref=ref,
            for_registry=other,
            code_hash=self.rng.randbytes(32).hex(),
            age_band=AgeBand.ADULT,
            guardian_approved=False,
            consent=Consent(version=1, given_at=now),
            expires_at=now + timedelta(minutes=30),
        )

    def _ref(self) -> str:
        while True:
            ref = f"r-{self.rng.getrandbits(60):015x}"
            if partition_for(ref, self.entry.partitions) == self.partition:
                return ref

    def _changed(self, good: Spec) -> Spec:
        """A few bytes of the value, or of one header, are others."""
        value, headers = bytearray(good.value or b""), list(good.headers)
        for _ in range(self.rng.randint(1, 4)):
            if self.rng.random() < 0.6:
                value[self.rng.randrange(len(value))] = self.rng.randrange(256)
            else:
                at = self.rng.randrange(len(headers))
                name, text = headers[at]
                headers[at] = name, bytes(byte ^ (self.rng.random() < 0.1) for byte in text or b"")
        return replace(good, value=bytes(value), headers=tuple(headers), kind="changed", becomes=Becomes.EITHER)


ODDITIES: Final[dict[str, Callable[[Spec], Spec]]] = {
    "null_header": lambda good: good.header(b"trace", None),
    "nameless_header": lambda good: good.header(b"", b"nameless"),
    "nameless_null_header": lambda good: good.header(b"", None),
    "name_not_utf8": lambda good: good.header(b"\xff\xfe", b"a name that is not UTF-8"),
    "name_not_utf8_null": lambda good: good.header("名".encode("gb18030"), None),
    "doubled_header": lambda good: good.header(b"app", b"\x00\xff" * 40).header(b"app", None).header(b"app", b""),
    "long_header": lambda good: good.header(b"x" * 5000, b"y" * 5000),
    "headers_reversed": lambda good: replace(good, headers=tuple(reversed(good.headers))),
    "binary_traceparent": lambda good: good.header(b"traceparent", b"\xff" * 55),
    "doubled_traceparent": lambda good: good.header(b"traceparent", b"0" * 400).header(b"traceparent", b"1" * 400),
}
"""What changes nothing about a message."""


def _later(good: Spec, ahead: timedelta) -> Spec:
    return good.instead(b"ce_time", (datetime.now(UTC) + ahead).isoformat().encode())


FAULTS: Final[dict[str, Callable[[random.Random, Spec], Spec]]] = {
    "no_value": lambda rng, good: replace(good, value=None),
    "empty_value": lambda rng, good: replace(good, value=b""),
    "noise": lambda rng, good: replace(good, value=rng.randbytes(rng.randint(1, 3000))),
    "cut_value": lambda rng, good: replace(good, value=(good.value or b"")[: rng.randrange(1, 40)]),
    "deep": lambda rng, good: replace(good, value=b"[" * 9000 + b"]" * 9000),
    "too_large": lambda rng, good: replace(good, value=b" " * (MAX_BYTES + rng.randint(0, 400_000)) + b"{}"),
    "no_key": lambda rng, good: replace(good, key=None),
    "other_key": lambda rng, good: replace(good, key=rng.randbytes(rng.randint(0, 300))),
    "key_of_zeros": lambda rng, good: replace(good, key=b"\0" * 20),
    "null_attribute": lambda rng, good: good.instead(b"ce_source", None),
    "null_attribute_and_header": lambda rng, good: good.instead(b"ce_type", None).header(b"trace", None),
    "two_ids": lambda rng, good: good.header(b"ce_id", b"another"),
    "id_of_noise": lambda rng, good: good.instead(b"ce_id", rng.randbytes(12) + b"\xff\x00"),
    "no_headers": lambda rng, good: replace(good, headers=()),
    "only_a_null_header": lambda rng, good: replace(good, headers=((b"trace", None),)),
    "unreadable_names": lambda rng, good: replace(good, headers=((b"\xff", b"\xfe"), (b"\xc3\x28", None))),
    "far_ahead": lambda rng, good: _later(good, timedelta(days=3)),
    "an_hour_ahead": lambda rng, good: _later(good, timedelta(hours=1)),
    "end_of_time": lambda rng, good: good.instead(b"ce_time", b"9999-12-31T23:59:59.999999Z"),
    "before_time": lambda rng, good: good.instead(b"ce_time", b"0000-00-00T00:00:00Z"),
    "time_in_words": lambda rng, good: good.instead(b"ce_time", b"yesterday"),
    "nul_in_source": lambda rng, good: good.instead(b"ce_source", b"urn:\x00"),
    "unknown_type": lambda rng, good: good.instead(b"ce_type", b"shuangcheng.service.teleported.v1"),
}
"""Every way in which a record is wrong."""
