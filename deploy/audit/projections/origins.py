"""The bridge's rows of registries' messages that go by an id of the border's own on inner topics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final
from uuid import UUID

from contracts.topics import registry_source
from deploy.audit.book import Book
from deploy.audit.projections.expected import Expected
from deploy.audit.translated import COMMANDS
from deploy.audit.world import Line, Row, code_of

__all__ = ["origins"]

_OF_TRANSFERS: Final = ("bridge.commands.v1", "bridge.events.v1")


def origins(book: Book) -> Iterator[Expected]:
    """The message that a command names as its origin; and the cause of what was said of a transfer, where this cause is
    no message on the log: it is one by the border's id. A message that set a timer alone may have a row too."""

    def is_on_the_log(row: Row) -> bool:
        said = book.first.get((registry_source(row["registry"]), row["message_id"]))
        return said is not None and said.event is not None and said.event.type == row["message_type"]

    kept = Expected("bridge", "registry_message", ("id",), spare=is_on_the_log)
    for line in book.published(*COMMANDS):
        origin = line.data.origin
        kept.put(line, origin.message, **_columns(book, origin.message, [origin.registry]))
    ids = {id_ for _, id_ in book.first}
    for line in (x for topic in _OF_TRANSFERS for x in book.recorded.lines[topic]):
        own = None if line.event is None or line.event.causation in ids else _uuid(line)
        if own is not None:
            kept.put(line, own, **_columns(book, own, book.world.registries))
    yield kept


def _columns(book: Book, own: UUID, codes: Iterable[str]) -> dict[str, Any]:
    """What the row with this id says of a message on the log; nothing where there is no such row."""
    if (id_ := book.said_as.get(own)) is None:
        return {}
    for code in codes:
        said = book.first.get((registry_source(code), id_))
        if said is not None and said.event is not None:
            return {"registry": code_of(said.topic), "message_type": said.event.type}
    return {"message_id": None}


def _uuid(line: Line) -> UUID | None:
    try:
        return UUID(line.event.causation or "") if line.event is not None else None
    except ValueError:
        return None
