"""Everything that the demo reads of services and registries: read APIs, and the audit views of services' databases."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import Any, Final, TypeAlias
from uuid import UUID

import asyncpg

from contracts.ids import transfer_id
from contracts.messages import Message, service, signups
from deploy.asking import Asking, NoAnswer, Refused, asking
from deploy.operate.errors import LocalError
from deploy.tryout.demo.crowd import Standing
from deploy.tryout.demo.records import Key, Said, differences

__all__ = ["Books", "Row"]

Row: TypeAlias = "asyncpg.Record"
_Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_ANSWER_SECONDS: Final = 10.0
_REFUSED: Final = "SELECT reason, count(*) FROM audit_refusal WHERE message_type = $1 GROUP BY reason ORDER BY reason"
_HELD: Final = """
SELECT reason, count(*) AS records, sum(minutes) AS minutes FROM audit_service_record WHERE state = 'held'
GROUP BY reason ORDER BY reason
"""
_REVIEWS: Final = """
SELECT detail ->> 'outcome', count(*) FROM audit_step WHERE what = 'service_reviewed' GROUP BY 1 ORDER BY 1
"""
_RECORDS: Final = """
SELECT r.host, r.record_ref, r.home, r.total, r.posted, t.state
  FROM audit_service_record AS r LEFT JOIN audit_transfer AS t ON t.id = r.transfer_id
 WHERE r.host <> r.home
"""
_TRANSFERS: Final = "SELECT id, host, record_ref FROM audit_transfer"
_SET_ASIDE: Final = "SELECT count(*) FROM audit_set_aside WHERE reason NOT IN ('waiting', 'ready')"
_REJECTED: Final = "SELECT count(*) FROM audit_notice WHERE rejected"


class Books:
    """One connection to each service's database, for its audit views, and one HTTP client, for ``async with``. ``dsn``
    and ``urls`` are by name of process. Of a registry's books its own HTTP face tells."""

    def __init__(self, dsn: Mapping[str, str], urls: Mapping[str, str], tokens: Mapping[str, str]) -> None:
        self._dsn, self._urls, self._tokens = dsn, urls, tokens
        self._connections: dict[str, _Connection] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._clients = AsyncExitStack()
        self._http: Asking

    async def __aenter__(self) -> Books:
        self._http = await self._clients.enter_async_context(asking(_ANSWER_SECONDS))
        for name, dsn in self._dsn.items():
            self._connections[name] = await asyncpg.connect(dsn, timeout=10, command_timeout=30)
            self._locks[name] = asyncio.Lock()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._connections.values():
            connection.terminate()
        await self._clients.aclose()

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
        try:
            return await self._http.get(f"{self._urls[process]}{path}", parameters, bearer=self._tokens[bearer])
        except (NoAnswer, Refused) as error:
            raise LocalError(f"{process} did not answer {path}: {error}") from error

    async def of_registry(self, code: str, path: str, **parameters: str) -> Any:
        """The answer of a registry's own system to whoever runs it. Raises ``LocalError`` when there is none."""
        return await self.get(f"sandbox_{code}", path, bearer=f"system:{code}", **parameters)

    async def misbehave(self, registry: str, wanted: Mapping[str, Any]) -> None:
        """Ask a registry's sandbox to misbehave. Raises ``LocalError`` when the sandbox does not accept the request."""
        url = f"{self._urls[f'sandbox_{registry}']}/misbehave"
        try:
            await self._http.post(url, wanted, bearer=self._tokens[f"system:{registry}"])
        except (NoAnswer, Refused) as error:
            raise LocalError(f"the sandbox of {registry} does not misbehave on request: {error}") from error

    async def standing(self, host: str) -> list[Standing]:
        """The states of sign-ups for a host's shifts, in the host's own books."""
        return [Standing(**row) for row in await self.of_registry(host, "/sums/signups")]

    async def sums(self, code: str) -> dict[str, Any]:
        """A registry's own sums: visitors' service by home and status, its credits, its people who are not linked."""
        found: dict[str, Any] = await self.of_registry(code, "/sums")
        return found

    async def under_way(self, code: str) -> dict[str, Any]:
        """Of a registry that reads Kafka itself: ``outbox``, how many messages it has not published, and
        ``positions``."""
        found: dict[str, Any] = await self.of_registry(code, "/books/under-way")
        return found

    async def booked_at(self, home: str, record_ref: str) -> datetime | None:
        """The moment at which a home booked the first credit of a record."""
        postings = await self.of_registry(home, "/sums/booked", record_ref=record_ref)
        return datetime.fromisoformat(postings[0]["at"]) if postings else None

    async def credited_at(self, host: str, record_ref: str) -> datetime | None:
        """The moment at which the linkage learned that the first version of a record was credited."""
        transfer = await self.get("bridge", f"/transfers/{transfer_id(host, record_ref, 1)}")
        return datetime.fromisoformat(transfer["since"]) if transfer["state"] == "credited" else None

    async def differences(self, codes: Iterable[str]) -> list[str]:
        """Every record of which the bridge, its host and its home say different minutes."""
        said = {
            (row["host"], row["record_ref"]): Said(row["home"], row["total"], row["posted"], row["state"])
            for row in await self.fetch("bridge", _RECORDS)
        }
        transfers = {row["id"]: (row["host"], row["record_ref"]) for row in await self.fetch("bridge", _TRANSFERS)}
        served: dict[Key, int] = {}
        booked: Counter[UUID] = Counter()
        for code in codes:
            for row in await self.of_registry(code, "/sums/records"):
                served[code, row["record_ref"]] = row["minutes"]
            for row in await self.of_registry(code, "/sums/postings"):
                booked[UUID(row["transfer_id"])] += row["minutes"]
        return differences(said, transfers, served, booked)

    async def refused_at_the_border(self) -> dict[str, int]:
        """Sign-ups that the border refused, so that no post was decided, by reason."""
        return await self._refused(signups.SignupRequested)

    async def held(self) -> dict[str, dict[str, int]]:
        """Records and minutes that are held, by reason."""
        rows = await self.fetch("bridge", _HELD)
        return {row["reason"]: {"records": row["records"], "minutes": int(row["minutes"])} for row in rows}

    async def reviews(self) -> dict[str, Any]:
        """How many decisions of persons came to the border, by outcome; and how many did not count, by reason."""
        said = {row[0]: row[1] for row in await self.fetch("bridge", _REVIEWS)}
        refused = await self._refused(service.ServiceReviewed)
        return {"approved": said.get("approved", 0), "rejected": said.get("rejected", 0), "refused": refused}

    async def _refused(self, kind: type[Message]) -> dict[str, int]:
        return {row[0]: row[1] for row in await self.fetch("bridge", _REFUSED, kind.TYPE)}

    async def quarantined(self) -> int:
        """How many messages services and adapters could not apply, and how many a registry's system could not read."""
        services = [name for name in self._dsn if not name.startswith("sandbox_")]
        set_aside: list[int] = [await self.value(name, _SET_ASIDE) for name in services]
        adapters = [name for name in services if name.startswith("adapter_")]
        rejected: list[int] = [await self.value(name, _REJECTED) for name in adapters]
        return sum(set_aside) + sum(rejected)
