"""The folder of the service ``echo``, which counts the changes of a person's transfers, and tells the count."""

from __future__ import annotations

from typing import Final

__all__ = ["FOLDER"]

_README: Final = """# echo: how often was a person heard of

**Owns** a count for each person: how many changes of her transfers it has heard.
**Listens** to `bridge.events.v1` (`TransferChanged`, key person). **Tells** on `echo.events.v1` (key person) the count
after each: `EchoTold`. Nothing of it crosses the border.

| table | a row is |
|---|---|
| `heard` | a person, and how many changes of her transfers were heard |

**For audits** ([chassis](../chassis/README.md)): `audit_heard`.

**Locks.** The person (`person:…`) is the subject, and the row is hers.
"""
_DECISIONS: Final = """# Decisions of echo

Each: context, decision, consequences, what would make us think again. A number is given once over all services.

## {number}. Every change counts, whatever its state
**Context.** A transfer is told in each of its states, so one credit is heard several times.
**Decision.** The count is of messages. Whoever wants credits counts `credited` alone.
**Consequences.** A row has two columns, and no state of a transfer is kept.
**Think again** when somebody asks for credits.
"""
_MAIN: Final = '''\
"""``python -m services.echo``: run the service; with ``migrate``, bring its database up to date and end."""

from services.chassis.process.command import main

main("services.echo")
'''
_SERVICE: Final = '''"""Echo's table of contents: for its one message the decision, the subject and the needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from contracts.messages import Message, bridge
from contracts.topics import BRIDGE_EVENTS, ECHO_EVENTS, service_source
from services.chassis.base.settings import Settings
from services.chassis.decisions import Inbound
from services.chassis.reactions import Reaction
from services.chassis.service import Service, Stream
from services.echo import rules
from services.echo.store import EchoStore, Needs

__all__ = ["REACTIONS", "build"]


def _person(inbound: Inbound) -> str:
    return f"person:{inbound.data.person}"


def _of_person(inbound: Inbound, needs: Needs) -> None:
    needs.add(inbound.data.person)


REACTIONS: Final[Mapping[type[Message], Reaction]] = {
    bridge.TransferChanged: Reaction(rules.tell, _person, needs=_of_person),
}


def build(settings: Settings) -> Service:
    """The service; no setting is its own."""
    return Service(
        name="echo",
        bearers=frozenset({"registry"}),
        streams=(Stream("echo", (BRIDGE_EVENTS,), frozenset({service_source("bridge")})),),
        reactions=REACTIONS,
        store=EchoStore(),
        migrations=Path(__file__).parent / "migrations",
        says=(ECHO_EVENTS,),
    )
'''
_RULES: Final = '''"""What echo decides: how often a person was heard of."""

from __future__ import annotations

from datetime import datetime

from contracts.messages import echo
from contracts.topics import ECHO_EVENTS
from services.chassis.decisions import Decision, Inbound, States
from services.chassis.draft import Draft
from services.echo.states import Heard

__all__ = ["tell"]


def tell(states: States, inbound: Inbound, now: datetime, policy: None) -> Decision:
    """Count this change of a transfer, and tell the count."""
    person = inbound.data.person
    before = states.get(Heard, person)
    heard = Heard(person, 1 if before is None else before.times + 1)
    draft = Draft(inbound, now)
    draft.change(heard)
    draft.tell(ECHO_EVENTS, echo.EchoTold(person=person, times=heard.times))
    return draft.decision()
'''
_STATES: Final = '''"""What echo keeps: a row a person."""

from __future__ import annotations

from uuid import UUID

from contracts.frozen import frozen

__all__ = ["Heard"]


@frozen
class Heard:
    """How many changes of a person's transfers were heard."""

    person: UUID
    times: int
'''
_STORE: Final = '''"""Echo's database: one table, and the rows that a batch loads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias
from uuid import UUID

from services.chassis.base.database import Batch
from services.chassis.decisions import States
from services.chassis.tables import Table
from services.echo.states import Heard

__all__ = ["HEARD", "EchoStore", "Needs"]

HEARD: Final = Table(Heard, "heard", key=("person",))
Needs: TypeAlias = set[UUID]


class EchoStore:
    """Loading takes one statement, whatever the batch's length."""

    tables: Sequence[Table[Any]] = (HEARD,)

    def needs(self) -> Needs:
        """No person yet."""
        return set()

    async def load(self, batch: Batch, needs: Needs, states: States) -> None:
        """Load the rows of these persons."""
        await HEARD.load_keys(batch.connection, states, needs)
'''
_MIGRATION: Final = """-- How many changes of each person's transfers were heard.
CREATE TABLE heard (
    person uuid PRIMARY KEY,
    times  bigint NOT NULL CHECK (times >= 1)
);

-- The public face of this database for audits, as chassis/0014_audit_views.sql says it.
CREATE VIEW audit_heard AS SELECT person, times FROM heard;
GRANT SELECT ON audit_heard TO PUBLIC;
"""
FOLDER: Final = {
    "README.md": _README,
    "DECISIONS.md": _DECISIONS,
    "__init__.py": "",
    "__main__.py": _MAIN,
    "service.py": _SERVICE,
    "rules.py": _RULES,
    "states.py": _STATES,
    "store.py": _STORE,
    "migrations/0001_heard.sql": _MIGRATION,
}
"""The service's own files."""
