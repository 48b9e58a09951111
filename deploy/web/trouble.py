"""What can be in the way of a page. The text of each is a key of its ``words``, so that people are told in theirs."""

from __future__ import annotations

from typing import ClassVar

__all__ = ["Forbidden", "NotFound", "NotPossible", "NotReached", "SignInFirst", "Trouble"]


class Trouble(Exception):
    """Something that whoever asks is told on a page with this status."""

    status: ClassVar[int]


class Forbidden(Trouble):
    """Whoever asks may not."""

    status = 403


class SignInFirst(Forbidden):
    """Nobody has signed in; a page that is asked for leads to the sign-in."""

    def __init__(self) -> None:
        super().__init__("sign_in")


class NotFound(Trouble):
    """There is no such thing here."""

    status = 404


class NotPossible(Trouble):
    """What was asked cannot be done as things stand."""

    status = 409


class NotReached(Trouble):
    """The linkage does not answer at present."""

    status = 503

    def __init__(self, key: str = "not_reached") -> None:
        super().__init__(key)
