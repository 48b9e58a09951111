"""The two ways in which a process cannot go on, which its exit status tells apart."""

from __future__ import annotations

__all__ = ["CannotStart", "Stopped"]


class CannotStart(Exception):
    """Settings or environment do not allow it; the message says what to do. Exit status 2."""


class Stopped(Exception):
    """It may not go on before an operator has decided. Exit status 1."""
