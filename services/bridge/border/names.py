"""Lock names of refs and persons. All names of the border, in their order: account.* < account: < from.* < person:.

Subjects are ``account.<family>:`` and ``from.<service>:`` (``crossings``). A subject keeps the order of its messages,
and is parked while its first message waits. So a message that could end this wait must have a subject of another
family. A topic has one family, and ``volunteers`` has three. ``person:`` is taken in the second round of locks, and
guards all rows of a person.
"""

from __future__ import annotations

from uuid import UUID

__all__ = ["account_name", "person_name"]


def account_name(registry: str, ref: str) -> str:
    """Lock name of a registry's ref, and name of the fact that the ref is linked."""
    return f"account:{registry}:{ref}"


def person_name(person: UUID) -> str:
    """Lock name of a person, and name of the fact that the border has her refs."""
    return f"person:{person}"
