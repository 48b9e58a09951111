"""Every reason that source code writes or compares with, found in its text: Python by its syntax tree, SQL by words.

A reason is written where a parameter, a field, a keyword or a variable has one of the ``NAMES``, or where a function
returns one of the closed lists (``Literal`` types). Whatever stands there must be a plain word, a constant, a table of
constants, or a value of a closed list: a word that is put together at run time is found by nobody.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = ["NAMES", "Found", "look_for"]

NAMES = {"reason", "held_for", "reason_code"}
_CLOSED = re.compile(r"\b[A-Za-z]*(Refusal|Reason|Obstacle)\b")
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_IN_SQL = re.compile(
    r"\b(?:reason|held_for)\s*(?:=|<>|!=|(?:NOT\s+)?IN)\s*(\((?:\s*'\w+'\s*,?)+\)|'\w+')", re.IGNORECASE
)
_IN_JSON = re.compile(r'"reason": "(\w+)"')
_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Found:
    """Reasons by code with the places where they stand, and places where a reason cannot be read from the text."""

    written: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    compared: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    made_up: set[str] = field(default_factory=set)


def look_for(sources: Mapping[str, str]) -> Found:
    """What these files (name → text; ``.sql`` or Python) say."""
    found = Found()
    trees = {name: ast.parse(text) for name, text in sources.items() if not name.endswith(".sql")}
    index = _Index(trees)
    for name, tree in trees.items():
        _Reader(name, tree, index, found).visit(tree)
    for name, text in sources.items():
        if name.endswith(".sql"):
            _sql(name, text, found)
    return found


def _sql(name: str, text: str, found: Found) -> None:
    text = re.sub(r"--[^\n]*", "", text)
    for match in _IN_SQL.finditer(text):
        # A statement gives a reason to a row, or asks for it: its words do not say which. A migration only checks.
        for code in re.findall(r"'(\w+)'", match[1]):
            found.compared[code].add(name)
            if not name.endswith(".sql"):
                found.written[code].add(name)
    for code in _IN_JSON.findall(text):
        found.compared[code].add(name)


class _Index:
    """Where in a call of each function, method or class the reason stands, which functions give a closed list, and
    constants."""

    def __init__(self, trees: Mapping[str, ast.Module]) -> None:
        self.methods: defaultdict[str, set[int]] = defaultdict(set)
        self.functions: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        """By file and name; methods stand here under the file and name too."""
        self.closed: set[tuple[str, str]] = set()
        self.constants: dict[str, set[str]] = {}
        for file, tree in trees.items():
            for statement in tree.body:
                self._constant(statement)
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    self._class(file, node)
                elif isinstance(node, _Function):
                    self._enter(file, node.name, _arguments(node))
                    if node.returns is not None and _CLOSED.search(ast.unparse(node.returns)):
                        self.closed.add((file, node.name))

    def gives_a_closed_list(self, call: ast.Call) -> bool:
        """Whether a function or method of this name says that it gives one."""
        return _called(call) in {name for _, name in self.closed}

    def _class(self, file: str, node: ast.ClassDef) -> None:
        fields = [one.target for one in node.body if isinstance(one, ast.AnnAssign)]
        self._enter(file, node.name, [one.id for one in fields if isinstance(one, ast.Name)])
        for one in node.body:
            if isinstance(one, _Function):
                if one.name == "__init__":
                    self._enter(file, node.name, _arguments(one))
                else:
                    self.methods[one.name] |= _places(_arguments(one))

    def _enter(self, file: str, name: str, arguments: list[str]) -> None:
        self.functions[file, name] |= _places(arguments)

    def _constant(self, node: ast.stmt) -> None:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if not isinstance(target, ast.Name) or value is None:
            return
        parts = value.values if isinstance(value, ast.Dict) else [value]
        texts = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
        if texts and len(texts) == len(parts):
            self.constants[target.id] = set(texts)


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _arguments(node: _Function) -> list[str]:
    return [one.arg for one in node.args.args if one.arg not in ("self", "cls")]


def _places(arguments: list[str]) -> set[int]:
    return {place for place, argument in enumerate(arguments) if argument in NAMES}


class _Reader(ast.NodeVisitor):
    """One file."""

    def __init__(self, name: str, tree: ast.Module, index: _Index, found: Found) -> None:
        self._name, self._index, self._found = name, index, found
        self._within: list[_Function] = []
        self._imported = {
            alias.asname or alias.name: (f"{(node.module or '').replace('.', '/')}.py", alias.name)
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }

    def _write(self, value: ast.expr, *, sure: bool = True) -> None:
        """``sure``: a reason stands here. Of a method of that name in any class, it may be something else."""
        place = f"{self._name}:{value.lineno}"
        for part in self._words(value):
            if part is None and sure:
                self._found.made_up.add(place)
            elif part is None:
                pass
            elif _CODE.fullmatch(part):
                self._found.written[part].add(place)

    def _words(self, value: ast.expr) -> Iterator[str | None]:
        """The words that this expression may be; None for a word that the text does not say."""
        match value:
            case ast.Constant(value=str() as text):
                yield text
            case ast.Constant():
                pass
            case ast.IfExp(body=body, orelse=other):
                yield from self._words(body)
                yield from self._words(other)
            case ast.BoolOp(values=parts) | ast.Tuple(elts=parts):
                for part in parts:
                    yield from self._words(part)
            case ast.Subscript() if _is_reason(value):
                pass
            case ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name)):
                yield from self._index.constants.get(name, () if self._is_known(name) else (None,))
            case ast.Call(func=ast.Attribute(value=ast.Name(id=table), attr="get")) if table in self._index.constants:
                yield from self._index.constants[table]
            case ast.Call() if _called(value) not in ("get", "getattr") and not self._index.gives_a_closed_list(value):
                yield None
            case ast.JoinedStr() | ast.BinOp():
                yield None
            case _:
                pass  # a field of a row or of a message: it was written elsewhere

    def _is_known(self, name: str) -> bool:
        """Whether a variable holds what was given as a reason, a row of a database, or a value of a closed list."""
        return name in NAMES or self._is_of_a_closed_list(name)

    def _is_of_a_closed_list(self, name: str) -> bool:
        return any(self._tells(node, name) for function in self._within for node in ast.walk(function))

    def _tells(self, node: ast.AST, name: str) -> bool:
        """Whether this part of a function says that the variable is of a closed list."""
        match node:
            case ast.AnnAssign(target=ast.Name(id=own), annotation=said):
                return own == name and _CLOSED.search(ast.unparse(said)) is not None
            case ast.arg(arg=own, annotation=ast.expr() as said):
                return own == name and _CLOSED.search(ast.unparse(said)) is not None
            case ast.Assign(targets=[ast.Name(id=own)], value=ast.Call() as call):
                return own == name and self._index.gives_a_closed_list(call)
            case _:
                return False

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def _function(self, node: _Function) -> None:
        self._within.append(node)
        self.generic_visit(node)
        self._within.pop()

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and self._within and (self._name, self._within[-1].name) in self._index.closed:
            self._write(node.value)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        places, sure = self._places(node.func)
        for place in places:
            if place < len(node.args) and not any(isinstance(one, ast.Starred) for one in node.args[: place + 1]):
                self._write(node.args[place], sure=sure)
        for keyword in node.keywords:
            if keyword.arg in NAMES:
                self._write(keyword.value)
        self.generic_visit(node)

    def _places(self, function: ast.expr) -> tuple[set[int], bool]:
        """Where in a call of this the reason stands, and whether that is sure."""
        match function:
            case ast.Name(id=name):
                return self._index.functions.get(self._imported.get(name, (self._name, name)), set()), True
            case ast.Attribute(value=ast.Name(id="self"), attr=name) if (self._name, name) in self._index.functions:
                return self._index.functions[self._name, name], True
            case ast.Attribute(attr=name):
                return self._index.methods.get(name, set()), False
            case _:
                return set(), False

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._assign(target, node.value)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._assign(node.target, node.value)
        self.generic_visit(node)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, part in zip(target.elts, value.elts, strict=True):
                self._assign(one, part)
        elif _is_reason(target) or (isinstance(target, ast.Name) and self._is_of_a_closed_list(target.id)):
            self._write(value)

    def visit_Compare(self, node: ast.Compare) -> None:
        sides = [node.left, *node.comparators]
        for one, other in ((one, other) for one in sides for other in sides if one is not other):
            self._compare(one, other)
        self.generic_visit(node)

    def _compare(self, one: ast.expr, other: ast.expr) -> None:
        if isinstance(one, ast.Tuple) and isinstance(other, ast.Tuple):
            for left, right in zip(one.elts, other.elts, strict=True):
                self._compare(left, right)
        elif _is_reason(one):
            for part in self._words(other):
                if part is not None and _CODE.fullmatch(part):
                    self._found.compared[part].add(f"{self._name}:{other.lineno}")

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            _sql(f"{self._name}:{node.lineno}", node.value, self._found)


def _is_reason(node: ast.expr) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in NAMES
        case ast.Subscript(slice=ast.Constant(value=str() as name)):
            return name in NAMES
        case _:
            return False
