"""One message that a registry must get: the registry, the exact words, and the decision that it tells."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.messages import Message
from deploy.audit.world import Line

__all__ = ["Due", "deliveries_of", "refusals_of"]


def deliveries_of(code: str) -> str:
    """The topic of a registry's deliveries."""
    return f"registry.{code}.deliveries.v1"


def refusals_of(code: str) -> str:
    """The topic of a registry's refusals."""
    return f"registry.{code}.refusals.v1"


@dataclass(frozen=True, slots=True)
class Due:
    """A message that must be there. ``cause`` is the message whose decision tells it."""

    topic: str
    cause: str | None
    said: Message
    line: Line
    optional: bool = False

    def fits(self, told: Message) -> bool:
        """Whether this message is the message that is due."""
        return type(told) is type(self.said) and not self._differences(told)

    def differing(self, told: Message) -> str:
        """The differences of a message from the message that is due, in words."""
        parts = [f"{n} is {getattr(told, n)!s}, not {getattr(self.said, n)!s}" for n in self._differences(told)]
        return f"this {type(told).__name__} differs from the decision: {'; '.join(parts)}"

    def _differences(self, told: Message) -> list[str]:
        return [name for name in type(self.said).model_fields if getattr(told, name) != getattr(self.said, name)]
