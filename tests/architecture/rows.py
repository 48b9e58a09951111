"""Where services name the messages that they decide: read from their syntax, nothing is run.

A message that a service reads stands in one row, a key of the table that gives its decision. One module more may name
it: its rule module, where it is decided (``rules.py``, or a file in a room of rules), or else where the service makes
it for itself or keeps it. A table of such messages beside the rows, or a choice by type outside of the rules, is a
second table of contents. What a service only says it may name wherever it says it.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from contracts.messages import Message
from contracts.topics import DELIVERIES, INBOUND, INNER, RECEIPTS, REFUSALS, TEMPLATES
from deploy.linkage import SERVICES

__all__ = ["READ", "RULE_ROOMS", "Module", "Service"]

RULE_ROOMS: Final = frozenset({"rules", "border", "links", "ledger"})
"""Folders of a service whose modules decide, and do nothing else."""

READ: Final[dict[str, set[type[Message]]]] = {
    reader: {message for entry in (*TEMPLATES, *INNER) if reader in entry.readers for message in entry.messages}
    for reader in SERVICES
} | {
    # In a registry's place; what is not named there is passed on as its topic entry says.
    "adapters": {
        message for entry in (*INBOUND, DELIVERIES, REFUSALS) if entry is not RECEIPTS for message in entry.messages
    }
}
_BY_NAME: Final = {
    (message.__module__, message.__name__): message for messages in READ.values() for message in messages
}
_BY_TYPE: Final = {message.TYPE: message for message in _BY_NAME.values()}
_PACKAGE: Final = "contracts.messages"


@dataclass(frozen=True)
class Module:
    """A module of a service, and the messages among ``read`` that it names."""

    path: str
    tree: ast.Module
    read: frozenset[type[Message]]

    @property
    def is_rules(self) -> bool:
        """Whether decisions stand here."""
        parts = Path(self.path).parts
        return parts[-1] == "rules.py" or not RULE_ROOMS.isdisjoint(parts[:-1])

    def named(self, within: ast.AST | None = None) -> Iterator[type[Message]]:
        """The messages that this part of the module names, by class or by type name."""
        contexts, classes = self._imported
        for node in ast.walk(within or self.tree):
            found: type[Message] | None = None
            match node:
                case ast.Attribute(value=ast.Name(id=alias), attr=name) if alias in contexts:
                    found = _BY_NAME.get((contexts[alias], name))
                case ast.Name(id=name) if name in classes:
                    found = classes[name]
                case ast.Constant(value=str(text)):
                    found = _BY_TYPE.get(text)
            if found in self.read and found is not None:
                yield found

    def keys(self) -> Iterator[type[Message]]:
        """The messages that are keys of a dict."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Dict):
                for key in node.keys:
                    yield from () if key is None else self.named(key)

    def tables(self) -> Iterator[int]:
        """Lines on which a dict, a set, a tuple or a list of messages stands."""
        types = {id(part) for node in ast.walk(self.tree) if isinstance(node, ast.Subscript) for part in [node.slice]}
        for node in ast.walk(self.tree):
            if id(node) in types:  # tuple[A, B] and the like
                continue
            if isinstance(node, ast.Dict):
                if any(True for key in node.keys if key is not None for _ in self.named(key)) or any(
                    self._is_message(value) for value in node.values
                ):
                    yield node.lineno
            elif isinstance(node, ast.Set | ast.Tuple | ast.List) and sum(map(self._is_message, node.elts)) > 1:
                yield node.lineno

    def choices(self) -> Iterator[int]:
        """Lines on which something is chosen by a message's type."""
        for node in ast.walk(self.tree):
            match node:
                case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, kinds]):
                    asked: ast.AST = kinds
                case ast.MatchClass(cls=asked):
                    pass
                case ast.Compare():
                    asked = node
                case _:
                    continue
            if any(True for _ in self.named(asked)):
                yield asked.lineno  # type: ignore[attr-defined]

    def _is_message(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Attribute | ast.Name | ast.Constant) and any(True for _ in self.named(node))

    @cached_property
    def _imported(self) -> tuple[dict[str, str], dict[str, type[Message]]]:
        contexts: dict[str, str] = {}
        classes: dict[str, type[Message]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith(_PACKAGE):
                for alias in node.names:
                    name = alias.asname or alias.name
                    if node.module == _PACKAGE:
                        contexts[name] = f"{_PACKAGE}.{alias.name}"
                    elif message := _BY_NAME.get((node.module, alias.name)):
                        classes[name] = message
        return contexts, classes


class Service:
    """The modules of one service. ``words`` are modules in which a kind of outside system names messages in its own
    words: they say nothing of what is decided."""

    def __init__(self, root: Path, name: str, *, rows: str, words: tuple[str, ...] = ()) -> None:
        read = frozenset(READ[name])
        self.read = read
        self.rows = rows
        self.modules = [
            Module(str(path.relative_to(root)), ast.parse(path.read_text("utf-8")), read)
            for path in sorted(root.rglob("*.py"))
            if str(path.relative_to(root)) not in words
        ]

    def wrong(self) -> list[str]:
        """Everything that a reader of the rows would not expect, a line each."""
        return [*self._rows(), *self._named_elsewhere(), *self._beside()]

    def _rows(self) -> Iterator[str]:
        (rows,) = (module for module in self.modules if module.path == self.rows)
        keys = list(rows.keys())
        for message in sorted(set(keys), key=lambda one: one.TYPE):
            if keys.count(message) > 1:
                yield f"{rows.path}: {message.TYPE} has {keys.count(message)} rows"

    def _named_elsewhere(self) -> Iterator[str]:
        where: defaultdict[type[Message], list[str]] = defaultdict(list)
        for module in self.modules:
            if module.path != self.rows:
                for message in set(module.named()):
                    where[message].append(module.path)
        for message, paths in sorted(where.items(), key=lambda one: one[0].TYPE):
            if len(paths) > 1:
                yield f"{message.TYPE} is named in {', '.join(paths)}: one module beside its row may name it"

    def _beside(self) -> Iterator[str]:
        for module in self.modules:
            if module.path != self.rows:
                yield from (f"{module.path}:{line}: a table of messages beside the rows" for line in module.tables())
            if not module.is_rules:
                yield from (f"{module.path}:{line}: a choice by type outside of the rules" for line in module.choices())
