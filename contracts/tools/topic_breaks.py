"""What breaks between two editions of the topic list, field by field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from contracts.tools.schema_breaks import text

__all__ = ["topic_breaks"]

Topic = Mapping[str, Any]


def topic_breaks(old: Sequence[Topic], new: Sequence[Topic], retired: frozenset[str]) -> Iterator[str]:
    """Every field of every old topic: what must stay, what may only grow, and messages that left it."""
    now = {topic["name"]: topic for topic in new}
    for before in old:
        name = before["name"]
        after = now.get(name)
        if after is None:
            if not set(before["messages"]) <= retired:
                yield f"{name}: topic removed"
            continue
        for field in sorted((before.keys() | after.keys()) - {"name", "meaning", "messages"}):
            allowed = _MAY_CHANGE.get(field, _never)
            if text(before, field) != text(after, field) and not (
                field in before and field in after and allowed(before, after, field)
            ):
                yield f"{name}: {field} was {text(before, field)}, is {text(after, field)}"
        for message in sorted(set(before["messages"]) - set(after.get("messages", ())) - retired):
            yield f"{name}: {message} no longer travels here"


def _never(_before: Topic, _after: Topic, _field: str) -> bool:
    return False


def _more_readers(before: Topic, after: Topic, field: str) -> bool:
    """Nobody loses what he read. Personal data goes to no further reader unannounced."""
    was, is_now = set(before[field]), set(after[field])
    return was == is_now or (was < is_now and not _is_personal(before, after))


def _longer(before: Topic, after: Topic, field: str) -> bool:
    """Milliseconds; None keeps for ever. Personal data is kept no longer than was promised."""
    was, is_now = before[field], after[field]
    return (is_now is None or (was is not None and is_now > was)) and not _is_personal(before, after)


def _larger(before: Topic, after: Topic, field: str) -> bool:
    return isinstance(before[field], int) and isinstance(after[field], int) and after[field] > before[field]


def _is_personal(before: Topic, after: Topic) -> bool:
    return bool(before.get("personal_data") or after.get("personal_data"))


_MAY_CHANGE: Final[Mapping[str, Callable[[Topic, Topic, str], bool]]] = {
    "readers": _more_readers,
    "retention_ms": _longer,
    "max_message_bytes": _larger,
}
"""Every field that is not in here, one that the gate has never heard of included, must be as it was."""
