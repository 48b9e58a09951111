"""Where SQL stands: of a service in its store, or in its one module that reads; of the chassis beside its table."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

SERVICES: Final = Path(__file__).parents[2] / "services"
DEPLOY: Final = SERVICES.parent / "deploy"
STRANGERS: Final = "tryout/sandbox"
"""Sandboxes have databases of their own, with tables that are called as services' tables are."""
MARKS: Final = {"operate/backup/restoring.py": {"restored"}}
"""A database that was restored is told so before its service starts: nobody else can, and the service waits for it."""
READ_MODULES: Final = {"adapters": "queries.py", "bridge": "reading/queries.py", "opportunities": "search.py"}
"""What a service is asked over HTTP, where its store would grow too long with it."""
OF_CHASSIS_TABLES: Final = {
    "consumed": {"log/positions", "restoring/looking"},
    "discarded": {"aside/quarantine"},
    "entity": {"base/database", "batch/set_aside"},
    "inbox": {"batch/inbox", "outgoing/said"},
    "migration": {"base/migrations"},
    "naming": {"process/same_secret"},
    "outbox": {
        "batch/outbox",
        "outgoing/relay",
        "outgoing/stuck",
        "process/health",
        "process/upgrading",
        "restoring/looking",
        "restoring/restored",
        "outgoing/said",
    },
    "probe": {"base/database"},
    "restored": {"restoring/looking", "restoring/restored", "outgoing/said", "outgoing/silent"},
    "said": {"restoring/looking", "outgoing/said"},
    "said_begun": {"outgoing/silent"},
    "said_passed": {"outgoing/silent"},
    "said_since": {"process/health", "outgoing/said", "outgoing/silent"},
    "schedule": {"jobs/scheduling"},
    "set_aside": {"aside/quarantine", "restoring/asides", "outgoing/said", "batch/set_aside", "process/upgrading"},
    "timer": {"batch/outbox", "outgoing/said", "process/upgrading"},
}
"""Each table of the chassis, and every module whose SQL names it."""
OF_NO_TABLE: Final = {"process/instance", "base/reading", "process/same_database", "tables"}
"""Modules with SQL that names no table: locks, sessions, the server; and ``tables``, which is given the names."""

_SQL: Final = re.compile(
    r"\bSELECT\b.|\bINSERT INTO\b|\bUPDATE \w+ (AS \w+ )?SET\b|\bDELETE FROM\b|\bMERGE INTO\b|\bFOR (UPDATE|SHARE)\b"
    r"|\b(ORDER|GROUP) BY\b|\bJOIN\b|\bWHERE\b|\bFROM unnest\b|\bLOCK TABLE\b|\bTRUNCATE\b|\bRETURNING\b|\bSET \w+ ="
    r"|\b(CREATE|ALTER|DROP) (TABLE|INDEX|DATABASE|ROLE)\b|\bpg_\w+\(",
    re.DOTALL,
)
_NAMED: Final = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+(?:IF NOT EXISTS\s+)?(\w+)")
_WRITES: Final = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE|TRUNCATE)\b")
_CALLS: Final = {"execute", "executemany", "fetch", "fetchmany", "fetchrow", "fetchval", "cursor", "prepare"}
_COPIES: Final = {"add_rows", "copy_records_to_table"}
"""Calls that name a table in an argument and hold no SQL."""


@cache
def _nodes(file: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(file.read_text())))


def _texts(file: Path) -> Iterator[str]:
    """Every text of a module but its docstrings; what is put into a text while it runs is not seen."""
    said = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    first = [node.body[0] for node in _nodes(file) if isinstance(node, said) and node.body]
    docstrings = {id(one.value) for one in first if isinstance(one, ast.Expr)}
    for node in _nodes(file):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


@cache
def _sql(file: Path) -> list[str]:
    return [text for text in _texts(file) if _SQL.search(text)]


def _called(file: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in _nodes(file):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            yield name, node


def _copied(file: Path) -> Iterator[str]:
    """Tables that rows are copied into."""
    for name, call in _called(file):
        if name in _COPIES:
            yield from (part.value for part in call.args if isinstance(part, ast.Constant))  # type: ignore[misc]


def _tables(*folders: str) -> set[str]:
    """What the migrations of these services, or of the chassis, make; and the chassis' own list of migrations."""
    made = re.compile(r"^CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?(\w+)", re.MULTILINE)
    files = [file for folder in folders for file in (SERVICES / folder / "migrations").glob("*.sql")]
    return {name for file in files for name in made.findall(file.read_text())}


NAMES: Final = sorted(folder.parent.name for folder in SERVICES.glob("*/service.py") if folder.parent.name != "chassis")


@pytest.mark.parametrize("service", NAMES)
def test_all_sql_of_a_service_stands_in_its_store_or_its_one_module_that_reads(service: str) -> None:
    """Any file of the name ``books.py`` was let pass, so that rules of that name might have held SQL."""
    allowed = {"store.py", READ_MODULES.get(service, "store.py")}
    astray = [
        str(file.relative_to(SERVICES))
        for file in sorted((SERVICES / service).rglob("*.py"))
        if str(file.relative_to(SERVICES / service)) not in allowed
        and (_sql(file) or any(name in _CALLS | _COPIES for name, _ in _called(file)))
    ]
    assert astray == []


@pytest.mark.parametrize(("service", "module"), READ_MODULES.items())
def test_a_module_that_reads_writes_nothing(service: str, module: str) -> None:
    file = SERVICES / service / module
    assert _sql(file), "it holds no SQL: it needs no place in READ_MODULES"
    assert [text for text in _sql(file) if _WRITES.search(text)] == []


@pytest.mark.parametrize("service", NAMES)
def test_no_service_names_a_table_of_the_chassis(service: str) -> None:
    """An adapter deleted rows of the outbox by a statement of its own."""
    named = {
        name
        for file in (SERVICES / service).rglob("*.py")
        for name in (*_NAMED.findall("\n".join(_sql(file))), *_copied(file))
    }
    assert named & (_tables("chassis") - _tables(service)) == set()


def test_each_module_of_the_chassis_names_the_tables_that_are_its_own() -> None:
    named: defaultdict[str, set[str]] = defaultdict(set)
    of_none: set[str] = set()
    for file in sorted((SERVICES / "chassis").rglob("*.py")):
        module = str(file.relative_to(SERVICES / "chassis").with_suffix(""))
        found = {*_NAMED.findall("\n".join(_sql(file))), *_copied(file)} & OF_CHASSIS_TABLES.keys()
        for table in found:
            named[table].add(module)
        if not found and (_sql(file) or any(name in _CALLS for name, _ in _called(file))):
            of_none.add(module)
    assert named == OF_CHASSIS_TABLES
    assert of_none == OF_NO_TABLE
    assert OF_CHASSIS_TABLES.keys() == _tables("chassis") | {"migration"}


def test_the_chassis_names_no_table_of_a_service() -> None:
    of_services = _tables(*NAMES) - _tables("chassis")
    named = {name for file in (SERVICES / "chassis").rglob("*.py") for name in _NAMED.findall("\n".join(_sql(file)))}
    assert named & of_services == set()


def _named_outside(file: Path) -> set[str]:
    return set(_NAMED.findall("\n".join(_sql(file)))) & _tables("chassis", *NAMES)


def test_nobody_but_a_service_names_its_tables_in_sql() -> None:
    """The demo counted rows of five services' tables. Whoever else wants a figure asks an API or an audit view."""
    files = [file for file in sorted(DEPLOY.rglob("*.py")) if STRANGERS not in str(file)]
    assert len(files) > 50
    named = {str(file.relative_to(DEPLOY)): found for file in files if (found := _named_outside(file))}
    assert named == MARKS


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ('A = "SELECT count(*) FROM transfer WHERE state = 1"', {"transfer"}),
        ('A = f"(SELECT count(*) FROM {x}) + (SELECT 1 FROM set_aside)"', {"set_aside"}),
        ('A = "SELECT count(*) FROM audit_transfer"', set()),
        ('A = """A row FROM transfer is told."""', set()),
    ],
)
def test_a_table_of_a_service_in_sql_elsewhere_is_found_and_an_audit_view_is_not(
    tmp_path: Path, said: str, found: set[str]
) -> None:
    file = tmp_path / "elsewhere.py"
    file.write_text(said)
    assert _named_outside(file) == found


def _views(folder: str) -> dict[str, str]:
    made = re.compile(r"^CREATE VIEW (\w+) AS\s+SELECT ([^;]*?)\s+FROM (\w+)", re.MULTILINE)
    files = sorted((SERVICES / folder / "migrations").glob("*.sql"))
    return {name: of for file in files for name, _, of in made.findall(file.read_text())}


@pytest.mark.parametrize("service", ["chassis", *NAMES])
def test_the_readme_of_a_service_names_its_audit_views_and_all_may_read_them(service: str) -> None:
    views = _views(service)
    assert views or not _tables(service)
    assert all(name.startswith("audit_") for name in views)
    readme = (SERVICES / service / "README.md").read_text()
    assert {name for name in views if f"`{name}`" not in readme} == set()
    sql = "\n".join(file.read_text() for file in (SERVICES / service / "migrations").glob("*.sql"))
    granted = set(re.findall(r"audit_\w+", " ".join(re.findall(r"GRANT SELECT ON ([^;]*) TO PUBLIC", sql))))
    assert granted == set(views)
