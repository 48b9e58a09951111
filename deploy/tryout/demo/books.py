"""Everything that the demo reads of services and registries: databases, figures, one volunteer's timeline."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, TypeAlias

import asyncpg
import httpx

from deploy.operate.errors import LocalError
from deploy.tryout.demo.crowd import Standing

__all__ = ["Books", "Row"]

Row: TypeAlias = "asyncpg.Record"
_Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_STANDING: Final = """
SELECT host, shift_ref, ref, state, asker, signup_ref FROM signup WHERE host = $1 AND starts_at IS NOT NULL
"""
_SERVED: Final = """
SELECT home, status, count(*) AS records, sum(minutes)::bigint AS minutes FROM audit_served
WHERE home IS NOT NULL GROUP BY home, status
"""
_CREDITS: Final = "SELECT count(*) AS postings, coalesce(sum(minutes), 0)::bigint AS minutes FROM audit_credits"
_BOOKED_AT: Final = "SELECT at FROM posting WHERE record_ref = $1 ORDER BY number LIMIT 1"
_CREDITED_AT: Final = """
SELECT min(changed_at) FROM transfer WHERE host = $1 AND record_ref = $2 AND state = 'credited' AND version = 1
"""
_REFUSED_AT_THE_BORDER: Final = """
SELECT reason, count(*) FROM refusal WHERE message_type LIKE 'shuangcheng.signups.signup_requested.%' GROUP BY reason
"""
# Two registries know a volunteer whose request was refused, and she is one person: she is counted at home.
_UNLINKED: Final = """
SELECT count(*) FROM volunteer AS v
WHERE NOT EXISTS (SELECT FROM link WHERE link.ref = v.ref AND (link.established OR link.role = 'host'))
"""
_SET_ASIDE: Final = "SELECT count(*) FROM set_aside WHERE reason NOT IN ('waiting', 'ready')"
_REJECTED: Final = "SELECT count(*) FROM notice WHERE rejected IS NOT NULL"


class Books:
    """One connection to each database and one HTTP client, for ``async with``. ``dsn`` and ``urls`` are by name of
    process."""

    def __init__(self, dsn: Mapping[str, str], urls: Mapping[str, str], tokens: Mapping[str, str]) -> None:
        self._dsn, self._urls, self._tokens = dsn, urls, tokens
        self._connections: dict[str, _Connection] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._http = httpx.AsyncClient(timeout=10.0, trust_env=False)

    async def __aenter__(self) -> Books:
        for name, dsn in self._dsn.items():
            self._connections[name] = await asyncpg.connect(dsn, timeout=10, command_timeout=30)
            self._locks[name] = asyncio.Lock()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._connections.values():
            connection.terminate()
        await self._http.aclose()

    async def fetch(self, database: str, sql: str, *arguments: Any) -> list[Row]:
        """The rows of one statement. Statements on one database run one after another."""
        async with self._locks[database]:
            return await self._connections[database].fetch(sql, *arguments)

    async def value(self, database: str, sql: str, *arguments: Any) -> Any:
        """The one value of a statement."""
        rows = await self.fetch(database, sql, *arguments)
        return rows[0][0] if rows else None

    async def get(self, process: str, path: str, *, bearer: str = "operator", **parameters: str) -> Any:
        """The answer of a process. Raises ``LocalError`` when there is none, or an error."""
        headers = {"authorization": f"Bearer {self._tokens[bearer]}"}
        try:
            answer = await self._http.get(f"{self._urls[process]}{path}", headers=headers, params=parameters)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise LocalError(f"{process} did not answer {path}: {error}") from error
        return answer.json()

    async def misbehave(self, registry: str, wanted: Mapping[str, Any]) -> None:
        """Ask a registry's sandbox to misbehave. Raises ``LocalError`` when the sandbox does not accept the request."""
        headers = {"authorization": f"Bearer {self._tokens[f'system:{registry}']}"}
        try:
            answer = await self._http.post(
                f"{self._urls[f'sandbox_{registry}']}/misbehave", json=wanted, headers=headers
            )
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise LocalError(f"the sandbox of {registry} does not misbehave on request: {error}") from error

    async def standing(self, host: str) -> list[Standing]:
        """The states of sign-ups for a host's shifts, in the host's own books."""
        return [Standing(*row) for row in await self.fetch(f"sandbox_{host}", _STANDING, host)]

    async def served(self, host: str) -> list[Row]:
        """A host's audit of visitors' service: home, status, records, minutes."""
        return await self.fetch(f"sandbox_{host}", _SERVED)

    async def credits(self, home: str) -> Row:
        """A home's audit of its postings: how many, and minutes."""
        return (await self.fetch(f"sandbox_{home}", _CREDITS))[0]

    async def booked_at(self, home: str, record_ref: str) -> Any:
        """The moment at which a home booked the first credit of a record, or None."""
        return await self.value(f"sandbox_{home}", _BOOKED_AT, record_ref)

    async def credited_at(self, host: str, record_ref: str) -> Any:
        """The moment at which the linkage learned that the first version of a record was credited, or None."""
        return await self.value("bridge", _CREDITED_AT, host, record_ref)

    async def refused_at_the_border(self) -> dict[str, int]:
        """Sign-ups that the border refused, so that no post was decided, by reason."""
        return {row[0]: row[1] for row in await self.fetch("bridge", _REFUSED_AT_THE_BORDER)}

    async def unlinked(self) -> int:
        """How many people registries know who are not linked."""
        return sum([await self.value(name, _UNLINKED) for name in self._dsn if name.startswith("sandbox_")])

    async def quarantined(self) -> int:
        """How many messages services and adapters could not apply, and how many a registry's system could not read."""
        with_inbox = [name for name in self._dsn if not name.startswith("sandbox_")]
        set_aside: list[int] = [await self.value(name, _SET_ASIDE) for name in with_inbox]
        adapters = [name for name in with_inbox if name.startswith("adapter_")]
        rejected: list[int] = [await self.value(name, _REJECTED) for name in adapters]
        return sum(set_aside) + sum(rejected)
