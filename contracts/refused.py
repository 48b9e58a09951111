"""The error of a message that is not in the contract, in a form that fits into a refusal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

__all__ = ["ContractError", "ContractRefusal", "fits", "marked"]

ContractRefusal: TypeAlias = Literal[
    "bytes",
    "too_large",
    "unreadable",
    "envelope",
    "unknown_type",
    "schema",
    "wrong_source",
    "wrong_topic",
    "wrong_key",
    "wrong_partition",
    "reused_id",
]
"""Why a message is not in the contract. The codec gives bytes, too_large, envelope, unknown_type, schema and wrong_key.
Code that knows the message's place in the log gives the others; unreadable is for a batch."""

_LONGEST: Final = 300
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class ContractError(ValueError):
    """A message that is not in the contract.

    ``pointer`` is a JSON pointer (RFC 6901) into the body, or into the whole event in structured mode and for
    attributes. ``id``, ``source`` and ``type`` are there as far as they could be read, so that a refusal finds its
    sender. All of it fits into a ``MessageRefused``.
    """

    def __init__(self, reason: ContractRefusal, detail: str, pointer: str | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = _one_line(detail)
        self.pointer = None if pointer is None else _one_line(pointer)
        self.id: str | None = None
        self.source: str | None = None
        self.type: str | None = None

    def __str__(self) -> str:
        """One line on which a person can act."""
        return f"{self.reason}: {self.detail}" + (f" at {self.pointer}" if self.pointer else "")


def marked(error: ContractError, attributes: Mapping[str, str]) -> ContractError:
    """The error with what could be read of its sender."""
    known = {name: text for name, text in attributes.items() if text and fits(text)}
    error.id = error.id or known.get("id")
    error.source = error.source or known.get("source")
    error.type = error.type or known.get("type")
    return error


def fits(*texts: str) -> bool:
    """Whether all of these can be quoted in a refusal: each is one line of bounded length."""
    # One look at all of them together. A character that cannot be printed is rare, and not always a control character.
    if max(map(len, texts)) <= _LONGEST and "".join(texts).isprintable():
        return True
    return all(len(text) <= _LONGEST and _CONTROL.search(text) is None for text in texts)


def _one_line(text: str) -> str:
    return _CONTROL.sub("\ufffd", text[:_LONGEST])
