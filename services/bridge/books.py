"""What the border is asked: the history of one person, the books by direction, and what operators watch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from services.bridge.states import ConsentState, Link, ServiceState, Step, Transfer
from services.bridge.store import CONSENTS, LINKS, RECORDS, STEPS, TRANSFERS
from services.chassis.database import Connection

__all__ = ["Figures", "Flows", "History", "breaks", "figures", "flows", "history", "left", "pauses", "transfer"]


@dataclass(frozen=True, slots=True)
class History:
    """All that the border knows of one person."""

    links: list[Link]
    consents: list[ConsentState]
    services: list[ServiceState]
    transfers: dict[UUID, Transfer]
    """The latest transfer of each service record."""
    steps: list[Step]


async def history(db: Connection, registry: str, ref: str) -> History | None:
    """What stands behind a registry's ref, steps in order; None when it is not linked. One snapshot."""
    async with db.transaction(isolation="repeatable_read", readonly=True):
        person = await db.fetchval("SELECT person FROM account WHERE registry = $1 AND ref = $2", registry, ref)
        if person is None:
            return None
        services = await RECORDS.fetch(db, "WHERE person = $1", person)
        latest = [row.transfer_id for row in services if row.transfer_id is not None]
        return History(
            links=await LINKS.fetch(db, "WHERE person = $1 ORDER BY host", person),
            consents=await CONSENTS.fetch(
                db, "WHERE (home, home_ref) IN (SELECT home, home_ref FROM link WHERE person = $1)", person
            ),
            services=services,
            transfers={row.id: row for row in await TRANSFERS.fetch(db, "WHERE id = ANY($1)", latest)},
            steps=await STEPS.fetch(db, "WHERE person = $1 ORDER BY number", person),
        )


_DIRECTIONS: Final = """
SELECT r.host, r.home, count(*) AS service_records,
       sum(r.total) AS confirmed,
       sum(r.posted) AS credited,
       coalesce(sum(r.total - r.posted) FILTER (WHERE t.state = 'withheld'), 0) AS withheld,
       coalesce(sum(r.total - r.posted) FILTER (WHERE t.state = 'refused'), 0) AS refused,
       coalesce(sum(r.total - r.posted) FILTER (WHERE t.state = 'uncertain'), 0) AS uncertain,
       coalesce(sum(r.total - r.posted) FILTER (WHERE t.state IN ('queued', 'sent')), 0) AS in_flight,
       coalesce(sum(r.minutes) FILTER (WHERE r.state = 'held' AND r.total = 0), 0) AS held
  FROM service_record AS r LEFT JOIN transfer AS t ON t.id = r.transfer_id
 WHERE r.host <> r.home GROUP BY r.host, r.home ORDER BY r.host, r.home"""
_REFUSED: Final = "SELECT registry, reason, count(*) FROM refusal GROUP BY registry, reason ORDER BY registry, reason"


@dataclass(frozen=True, slots=True)
class Figures:
    """The border's own books, read in one snapshot."""

    linked: int
    """Persons with at least one link, broken ones included."""
    directions: list[dict[str, Any]]
    """host, home, service_records, and minutes by state: a record's confirmed less credited stands whole in the state
    of its latest transfer; held are those that nothing was confirmed of."""
    refusals: list[tuple[str, str, int]]
    """Registry, reason, count of MessageRefused decided by the rules."""


async def figures(db: Connection) -> Figures:
    """Sums over all service records, refusals and links."""
    async with db.transaction(isolation="repeatable_read", readonly=True):
        linked = await db.fetchval("SELECT count(DISTINCT person) FROM link")
        directions = [dict(row) for row in await db.fetch(_DIRECTIONS)]
        return Figures(linked, directions, [(row[0], row[1], row[2]) for row in await db.fetch(_REFUSED)])


_OPEN: Final = """
SELECT host, home, state, coalesce(reason, '') AS reason, count(*) AS transfers, sum(delta)::bigint AS minutes,
       min(changed_at) AS since
  FROM transfer WHERE state IN ('queued', 'withheld', 'sent', 'uncertain')
 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""
_HELD: Final = """
SELECT host, home, 'held' AS state, coalesce(reason, '') AS reason, count(*) AS transfers,
       sum(minutes)::bigint AS minutes, NULL::timestamptz AS since
  FROM service_record WHERE state = 'held' AND host <> home GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""
_ENDED: Final = """
SELECT s.host, l.home, CASE s.what WHEN 'transfer_refused' THEN 'refused' ELSE 'superseded' END AS state,
       count(*) AS transfers,
       sum((s.detail->>'delta')::int)::bigint AS minutes
  FROM step AS s JOIN link AS l USING (person, host)
 WHERE s.at >= $1 AND s.what IN ('transfer_refused', 'transfer_superseded') GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
_BY_MINUTE: Final = """
WITH credited AS (
    SELECT date_trunc('minute', s.at) AS minute, s.host, l.home, count(*) AS transfers,
           sum((s.detail->>'delta')::int)::bigint AS minutes
      FROM step AS s JOIN link AS l USING (person, host)
     WHERE s.at >= $1 AND s.what = 'transfer_credited' GROUP BY 1, 2, 3),
timed AS (
    SELECT c.minute, c.host, l.home, percentile_cont(0.5) WITHIN GROUP (ORDER BY c.seconds) AS median,
           max(c.seconds) AS slowest
      FROM (SELECT DISTINCT minute FROM credited) AS m CROSS JOIN LATERAL (
             SELECT m.minute, s.person, s.host, (
                      SELECT extract(epoch FROM s.at - min(a.at))::float8 FROM step AS a
                       WHERE a.person = s.person AND a.what = 'service_attested' AND a.host = s.host
                         AND a.subject = s.subject AND a.detail->>'version' = s.detail->>'version') AS seconds
               FROM step AS s
              WHERE s.at >= m.minute AND s.at < m.minute + interval '1 minute' AND s.what = 'transfer_credited'
              LIMIT $2) AS c JOIN link AS l USING (person, host)
     GROUP BY 1, 2, 3)
SELECT * FROM credited LEFT JOIN timed USING (minute, host, home) ORDER BY minute, host, home"""
_TIMED: Final = 40
"""Credits of a minute whose latency is looked up, the first ones: each is a search in a person's history."""


@dataclass(frozen=True, slots=True)
class Flows:
    """What moves now, read in one snapshot. Its cost follows what is open and the span, not the age of the books."""

    open: list[dict[str, Any]]
    """host, home, state, reason, transfers, minutes (deltas), since (of the oldest); ``held`` are records, and their
    minutes do not count yet."""
    ended: list[dict[str, Any]]
    """host, home, state, transfers, minutes of what was refused or superseded within the span."""
    by_minute: list[dict[str, Any]]
    """minute, host, home, transfers and minutes credited in it, and how long from attested at the border to credited:
    median and slowest, in seconds, of the first 40 of all."""


async def flows(db: Connection, now: datetime, span: timedelta) -> Flows:
    """Open transfers by direction, state and reason; what ended within the span, minute by minute."""
    since = now - span
    async with db.transaction(isolation="repeatable_read", readonly=True):
        still = [dict(row) for sql in (_OPEN, _HELD) for row in await db.fetch(sql)]
        ended = [dict(row) for row in await db.fetch(_ENDED, since)]
        return Flows(still, ended, [dict(row) for row in await db.fetch(_BY_MINUTE, since, _TIMED)])


_BREAKS: Final = """
SELECT id AS transfer_id, host, home, record_ref, version, total, delta, state, reason, attempts, changed_at AS since
  FROM transfer
 WHERE state IN ('queued', 'withheld', 'sent', 'uncertain') AND (state = 'uncertain' OR home <> ALL($1))
 ORDER BY changed_at, host, record_ref LIMIT $2"""
_BREAKS_IN_ALL: Final = """
SELECT count(*) FROM transfer
 WHERE state IN ('queued', 'withheld', 'sent', 'uncertain') AND (state = 'uncertain' OR home <> ALL($1))"""
_CONFLICTS: Final = """
SELECT registry, count(*) AS receipts, max(at) AS last_at FROM refusal
 WHERE at >= $1 AND reason = 'receipt_conflict' GROUP BY registry ORDER BY registry"""
_CONFLICTS_SPAN: Final = timedelta(days=1)


async def breaks(
    db: Connection, now: datetime, limit: int, codes: list[str]
) -> tuple[int, list[dict[str, Any]], list[dict[str, Any]]]:
    """Where home and border may differ: how many transfers are uncertain or stand for a home that is not among
    ``codes``, the oldest of them, and by registry the receipts of the last day that contradicted an earlier one."""
    total: int = await db.fetchval(_BREAKS_IN_ALL, codes)
    uncertain = [dict(row) for row in await db.fetch(_BREAKS, codes, limit)]
    return total, uncertain, [dict(row) for row in await db.fetch(_CONFLICTS, now - _CONFLICTS_SPAN)]


async def pauses(db: Connection) -> dict[str, dict[str, Any]]:
    """Paused registries: by whom, why, since when, and when resumed where not all is applied yet."""
    return {row["registry"]: dict(row) for row in await db.fetch("SELECT * FROM pause")}


_TRANSFER: Final = """
SELECT id AS transfer_id, host, home, record_ref, version, total, delta, state, reason, attempts, changed_at AS since
  FROM transfer WHERE id = $1"""
_SETTLINGS: Final = 'SELECT outcome AS "as", operator, why, at FROM settling WHERE transfer_id = $1 ORDER BY number'


async def transfer(db: Connection, transfer_id: UUID) -> dict[str, Any] | None:
    """How it stands, and what operators said of it; None where it is not known."""
    row = await db.fetchrow(_TRANSFER, transfer_id)
    if row is None:
        return None
    return dict(row) | {"settlings": [dict(said) for said in await db.fetch(_SETTLINGS, transfer_id)]}


# One look into the index for each code that there is, however many accounts stand under it.
_LEFT: Final = """
WITH RECURSIVE known (code) AS (
    (SELECT registry FROM account ORDER BY registry LIMIT 1)
    UNION ALL
    SELECT (SELECT registry FROM account WHERE registry > known.code ORDER BY registry LIMIT 1)
      FROM known WHERE known.code IS NOT NULL)
SELECT code FROM known WHERE code <> ALL($1) ORDER BY code"""
_OPEN_FOR: Final = """
SELECT home, host, state, coalesce(reason, '') AS reason, count(*) AS transfers, sum(delta)::bigint AS minutes,
       min(changed_at) AS since
  FROM transfer WHERE state IN ('queued', 'withheld', 'sent', 'uncertain') AND home = ANY($1)
 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""


async def left(db: Connection, codes: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Registries that volunteers are linked with and that are not among ``codes``, each with what is open for it."""
    found: dict[str, list[dict[str, Any]]] = {row[0]: [] for row in await db.fetch(_LEFT, codes)}
    for row in await db.fetch(_OPEN_FOR, list(found)) if found else ():
        found[row["home"]].append({name: value for name, value in row.items() if name != "home"})
    return found
