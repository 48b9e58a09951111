"""What an invariant finds: who is concerned, where it stands, and a sentence."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tests.support.checker.world import Line

__all__ = ["Violation", "at"]


@dataclass(frozen=True, slots=True)
class Violation:
    """One finding; what is not known stays None."""

    invariant: str
    what: str
    person: str | None = None
    record: str | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None

    def __str__(self) -> str:
        where = None if self.topic is None else f"{self.topic}/{self.partition}/{self.offset}"
        parts = (("person", self.person), ("record", self.record), ("at", where))
        return f"{self.invariant}: {self.what}" + "".join(f" [{name} {part}]" for name, part in parts if part)

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def at(invariant: str, line: Line, what: str, *, person: Any = None, record: str | None = None) -> Violation:
    """A finding at a message; person and service record are read from it where it names them."""
    data = line.event.data if line.event is not None else None
    if person is None:
        person = getattr(data, "person", None)
    if record is None and data is not None:
        inner = getattr(data, "record", data)
        record = getattr(inner, "record_ref", None)
    return Violation(
        invariant, what, None if person is None else str(person), record, line.topic, line.partition, line.offset
    )
