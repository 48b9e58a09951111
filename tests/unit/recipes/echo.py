"""The recipe for a service, carried out: ``echo`` hears each change of a transfer, and tells how many of a person's it
has heard.

Its own folder stands in ``echo_folder``, its tests in ``echo_tests``, what else a hand writes here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tests.unit.recipes.carried_out import Edit, write
from tests.unit.recipes.echo_folder import FOLDER
from tests.unit.recipes.echo_tests import TESTS

__all__ = ["EDITS", "NEW_FILES", "OUTSIDE", "apply"]

_MESSAGE: Final = '''"""``echo.events.v1``: how often each person was heard of. Key: person."""

from __future__ import annotations

from uuid import UUID

from contracts.messages.base import Count, Message


class EchoTold(Message):
    """So many changes of this person's transfers were heard."""

    person: UUID
    times: Count

    @property
    def key(self) -> str:
        """The person."""
        return str(self.person)
'''
_EXAMPLE: Final = """{
  "specversion": "1.0",
  "id": "0198ab3e-01c2-7c41-9d2e-5b7f00000001",
  "source": "urn:shuangcheng:service:echo",
  "type": "shuangcheng.echo.echo_told.v1",
  "subject": "0c8f6b52-3f7e-4f0e-9d3a-6a1b8f0d2c11",
  "time": "2026-08-15T10:30:10Z",
  "partitionkey": "0c8f6b52-3f7e-4f0e-9d3a-6a1b8f0d2c11",
  "datacontenttype": "application/json",
  "data": {
    "person": "0c8f6b52-3f7e-4f0e-9d3a-6a1b8f0d2c11",
    "times": 2
  }
}
"""
_PROJECTION: Final = '''"""Echo's table: how many changes of each person's transfers were told."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.audit.book import Book
from deploy.audit.projections.expected import Expected

__all__ = ["echo"]


def echo(book: Book) -> Iterator[Expected]:
    """The one table."""
    heard = Expected("echo", "heard", ("person",))
    for line in book.published("bridge.events.v1"):
        if not book.stands_aside(line, "echo"):
            person = line.data.person
            heard.put(line, person, times=(heard.column((person,), "times") or 0) + 1)
    yield heard
'''
_TOPIC: Final = """ECHO_EVENTS = TopicEntry(
    "echo.events.v1",
    "person",
    "echo",
    (),
    (Leg(10, (echo.EchoTold,)),),
    "how many changes of a person's transfers were heard",
)
"""
_MIGRATE: Final = """  migrate-echo:
    <<: *migrate
    command: [python, -m, services.echo, migrate]
    volumes: &echo-files
      - secrets-echo:/run/shuangcheng:ro
      - ${SHUANGCHENG_SEATS:-./registries}:/etc/shuangcheng/registries:ro

"""
_CONTAINER: Final = """  echo: &echo
    <<: *process
    command: [python, -m, services.echo]
    environment: *environment
    volumes: *echo-files
    ports: ["127.0.0.1:${SHUANGCHENG_ECHO_PORT:-8085}:8080"]
    depends_on:
      migrate-echo: {condition: service_completed_successfully}
      topics: {condition: service_completed_successfully}

"""
_TWIN: Final = """  echo-twin:
    <<: *echo
    ports: []
    scale: 0

"""
_README: Final = "README.md"
_ROW: Final = f"| [echo](echo/{_README}) | how often a person was heard of | `bridge.events` | `echo.events` |\n"


def _before(path: str, place: str, text: str) -> Edit:
    return path, place, text + place


def _after(path: str, place: str, text: str) -> Edit:
    return path, place, place + text


EDITS: Final[tuple[Edit, ...]] = (
    _after("contracts/topics.py", "    bridge,\n    deliveries,\n", "    echo,\n"),
    _after("contracts/topics.py", '    "DELIVERIES",\n', '    "ECHO_EVENTS",\n'),
    (
        "contracts/topics.py",
        "    (),\n    (Leg(10, (bridge.TransferChanged,)),),\n",
        '    ("echo",),\n    (Leg(10, (bridge.TransferChanged,)),),\n',
    ),
    _before("contracts/topics.py", "OPERATIONS_EVENTS = TopicEntry(\n", _TOPIC),
    _after("contracts/topics.py", "    BRIDGE_EVENTS,\n", "    ECHO_EVENTS,\n"),
    ("deploy/linkage.py", '"attendance", "bridge")\n', '"attendance", "bridge", "echo")\n'),
    _after("deploy/linkage.py", '    "bridge": 8084,\n', '    "echo": 8085,\n'),
    _after("deploy/compose.yaml", "      - secrets-bridge:/secrets/bridge\n", "      - secrets-echo:/secrets/echo\n"),
    _before("deploy/compose.yaml", "  # ---- the services\n", _MIGRATE),
    _before("deploy/compose.yaml", "  # ---- more processes of a service", _CONTAINER),
    _before("deploy/compose.yaml", "  # ---- the adapters: a process", _TWIN),
    (
        "deploy/compose.yaml",
        '"bridge": "http://bridge:8080"}\n',
        '"bridge": "http://bridge:8080",\n        "echo": "http://echo:8080"}\n',
    ),
    _after("deploy/compose.yaml", "  secrets-bridge:\n", "  secrets-echo:\n"),
    _after("deploy/README.md", "`8084` bridge, ", "`8085` echo, "),
    (
        "deploy/README.md",
        "identity opportunities attendance bridge adapters\n",
        "identity opportunities attendance bridge echo adapters\n",
    ),
    _before(
        "deploy/README.md",
        "| `SHUANGCHENG_SANDBOX_GZ_PORT` † |",
        "| `SHUANGCHENG_ECHO_PORT` † | `8085` | compose | port of echo on 127.0.0.1 |\n",
    ),
    _before("services/README.md", "| [adapters](adapters/README.md) | how", _ROW),
    _before(
        "CONTRIBUTING.md",
        "  adapters/               registries",
        "  echo/                   how often was she heard of\n",
    ),
    _after(
        "CHANGELOG.md",
        "## Unreleased\n",
        "\n### Added\n- A service `echo`, which tells on `echo.events.v1` how many changes of a person's transfers it"
        " has heard. Run `shuangcheng topics` once. A registry neither reads nor writes it.\n",
    ),
)
NEW_FILES: Final = {
    "contracts/messages/echo.py": _MESSAGE,
    "contracts/examples/shuangcheng.echo.echo_told.v1/valid-second_change.json": _EXAMPLE,
    "deploy/audit/projections/echo.py": _PROJECTION,
    **TESTS,
}
OUTSIDE: Final = {path for path, _, _ in EDITS} | set(NEW_FILES)
"""Every file that a hand writes outside the service's folder."""


def apply(tree: Path) -> None:
    """Do what the recipe says, in this copy of the tree."""
    numbered = {"DECISIONS.md": FOLDER["DECISIONS.md"].format(number=_next_number(tree))}
    folder = {f"services/echo/{name}": text for name, text in (FOLDER | numbered).items()}
    write(tree, EDITS, NEW_FILES | folder)


def _next_number(tree: Path) -> int:
    """Decisions are numbered over all services."""
    texts = [file.read_text("utf-8") for file in tree.glob("services/*/DECISIONS.md")]
    return 1 + max(int(number) for text in texts for number in re.findall(r"^## (\d+)\.", text, re.MULTILINE))
