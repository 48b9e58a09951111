"""The two errors that end a process; its exit status says which of them."""

from __future__ import annotations

__all__ = ["CannotStart", "Stopped"]


class CannotStart(Exception):
    """Settings or environment do not allow a start; the message says what to do. Exit status 2."""


class Stopped(Exception):
    """The process may not go on before an operator has decided. Exit status 1."""
