"""A seed that fails: made smaller by itself, told as a short story, with the command that repeats it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from services.chassis.service import Service
from tests.simulation.run import failure_of
from tests.simulation.shrinking import shrunk
from tests.simulation.steps import Step, steps_of

__all__ = ["Failing", "failing", "numbers_of"]

_SAME = 24
"""So many characters tell one kind of failure from another: what comes after names persons and records."""


class Failing(NamedTuple):
    """``kept``: numbers of the steps that are enough. ``whole``: what the seed broke before it was made smaller."""

    seed: int
    whole: str
    kept: list[int]
    broken: str
    story: list[str]

    def __str__(self) -> str:
        """For who reads the output of a test."""
        lines = [f"seed {self.seed}: {self.broken}", *(f"  {line}" for line in self.story)]
        command = f'make simulate ARGS="--from {self.seed} --seeds 1 --keep {numbers_text(self.kept)}"'
        return "\n".join([*lines, f"{len(self.kept)} steps; to repeat: {command}"])


def failing(
    seed: int, change: Callable[[Service], Service] | None = None, kept: Sequence[int] | None = None, most: int = 400
) -> Failing | None:
    """Run a seed, or these steps of it; gives None where everything holds, else the smallest part found that fails."""
    steps = list(enumerate(steps_of(seed)))
    if kept is not None:
        steps = [steps[number] for number in kept]
    found = failure_of(seed, _plain(steps), change)
    if found is None:
        return None
    whole = found[0]

    def fails(some: Sequence[tuple[int, Step]]) -> bool:
        again = failure_of(seed, _plain(some), change)
        return again is not None and again[0][:_SAME] == whole[:_SAME]

    fewest = shrunk(steps, fails, most)
    again = failure_of(seed, _plain(fewest), change)
    assert again is not None
    return Failing(seed, whole, [number for number, _ in fewest], again[0], again[1].story)


def _plain(steps: Sequence[tuple[int, Step]]) -> list[Step]:
    return [step for _, step in steps]


def numbers_text(numbers: Sequence[int]) -> str:
    """As the command takes them."""
    return ",".join(map(str, numbers))


def numbers_of(text: str) -> list[int]:
    """What the command was given."""
    return [int(number) for number in text.split(",") if number]
