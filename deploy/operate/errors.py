"""Errors of a machine. Each says what is wrong and what to do about it."""

from __future__ import annotations

import asyncpg

DATABASE_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""Errors that the driver raises. A server that is not there is an OSError too."""


def words(error: BaseException) -> str:
    """The text of an error in one line. Errors without a text are named by their type."""
    return " ".join(str(error).split()) or type(error).__name__


class LocalError(Exception):
    """Something failed while it ran. The command line ends with status 1."""

    exit_code = 1

    def __init__(self, problem: str, *, todo: str = "", details: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.todo = todo
        self.details = details

    def __str__(self) -> str:
        parts = [self.problem]
        if self.details:
            parts.append("\n".join(f"    {line}" for line in self.details.splitlines()))
        if self.todo:
            parts.append(f"  What to do: {self.todo}")
        return "\n".join(parts)


class EnvironmentProblem(LocalError):
    """The machine or the arguments do not allow the command. Nothing was begun; status 2."""

    exit_code = 2


class ProcessFailed(LocalError):
    """A supervised process died, or was not ready in time. `details` has its last log lines."""


class TopicDrift(LocalError):
    """A topic exists with another number of partitions than its entry says, which would break the order of keys."""

    def __init__(self, topic: str, *, expected: int, found: int) -> None:
        super().__init__(
            f"topic {topic} has {found} partitions, its entry says {expected}",
            todo="a partition count never changes: use a new topic version, or delete the topic on a throwaway broker",
        )
        self.topic = topic
        self.expected = expected
        self.found = found
