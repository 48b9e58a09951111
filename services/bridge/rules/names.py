"""Lock names of the border, in their order: account.* < account: < from.* < person: (the second round of locks).

A subject keeps the order of its messages and is parked while its head waits, so nothing that could release the head
may share it: every topic has its own family (``crossings``). ``person:`` is the one mutex of all that is a person's.
"""

from __future__ import annotations

from uuid import UUID

__all__ = ["account_name", "person_name"]


def account_name(registry: str, ref: str) -> str:
    """Lock name of a registry's ref, and the fact that it is linked."""
    return f"account:{registry}:{ref}"


def person_name(person: UUID) -> str:
    """Lock name of a person, and the fact that the border knows her refs."""
    return f"person:{person}"
