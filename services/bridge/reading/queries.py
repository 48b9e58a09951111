"""SQL of questions to the border: the history of one person, sums by direction, and what operators watch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from services.bridge.states import ConsentState, Link, ServiceState, Step, Transfer
from services.bridge.store import CONSENTS, LINKS, RECORDS, STEPS, TRANSFERS
from services.chassis.base.database import Connection

__all__ = ["Figures", "Flows", "History", "differences", "figures", "flows", "history", "left", "pauses", "transfer"]


@dataclass(frozen=True, slots=True)
class History:
    """All rows of one person."""

    links: list[Link]
    consents: list[ConsentState]
    services: list[ServiceState]
    transfers: dict[UUID, Transfer]
    """The latest transfer of each service record."""
    steps: list[Step]


_PERSON: Final = "SELECT person FROM account WHERE registry = $1 AND ref = $2"
_RECORDS_OF_PERSON: Final = "SELECT service_record.* FROM service_record WHERE person = $1"
_LINKS_OF_PERSON: Final = "SELECT link.* FROM link WHERE person = $1 ORDER BY host"
_CONSENTS_OF_PERSON: Final = """
SELECT consent.* FROM consent
 WHERE (home, home_ref) IN (SELECT home, home_ref FROM link WHERE person = $1)"""
_TRANSFERS_NAMED: Final = "SELECT transfer.* FROM transfer WHERE id = ANY($1)"
_STEPS_OF_PERSON: Final = "SELECT step.* FROM step WHERE person = $1 ORDER BY number"


async def history(db: Connection, registry: str, ref: str) -> History | None:
    """All rows of the person behind a registry's ref, steps in order; None when the ref is not linked. One snapshot."""
    async with db.transaction(isolation="repeatable_read", readonly=True):
        person = await db.fetchval(_PERSON, registry, ref)
        if person is None:
            return None
        services = await RECORDS.fetch(db, _RECORDS_OF_PERSON, person)
        latest = [row.transfer_id for row in services if row.transfer_id is not None]
        return History(
            links=await LINKS.fetch(db, _LINKS_OF_PERSON, person),
            consents=await CONSENTS.fetch(db, _CONSENTS_OF_PERSON, person),
            services=services,
            transfers={row.id: row for row in await TRANSFERS.fetch(db, _TRANSFERS_NAMED, latest)},
            steps=await STEPS.fetch(db, _STEPS_OF_PERSON, person),
        )


_MINUTES_BY_DIRECTION: Final = """
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
_REFUSALS_BY_REASON: Final = (
    "SELECT registry, reason, count(*) FROM refusal GROUP BY registry, reason ORDER BY registry, reason"
)


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over all rows of the border, read in one snapshot."""

    linked: int
    """Persons with at least one link, broken ones included."""
    directions: list[dict[str, Any]]
    """host, home, service_records, and minutes by state. The minutes of a record that are confirmed and not credited
    count whole in the state of its latest transfer. ``held``: minutes of records of which no version was confirmed."""
    refusals: list[tuple[str, str, int]]
    """Registry, reason, and count of the MessageRefused that the rules decided."""


async def figures(db: Connection) -> Figures:
    """Sums over all service records, refusals and links."""
    async with db.transaction(isolation="repeatable_read", readonly=True):
        linked = await db.fetchval("SELECT count(DISTINCT person) FROM link")
        directions = [dict(row) for row in await db.fetch(_MINUTES_BY_DIRECTION)]
        return Figures(linked, directions, [(row[0], row[1], row[2]) for row in await db.fetch(_REFUSALS_BY_REASON)])


_OPEN_TRANSFERS: Final = """
SELECT host, home, state, coalesce(reason, '') AS reason, count(*) AS transfers, sum(delta)::bigint AS minutes,
       min(changed_at) AS since
  FROM transfer WHERE state IN ('queued', 'withheld', 'sent', 'uncertain')
 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""
_HELD_RECORDS: Final = """
SELECT host, home, 'held' AS state, coalesce(reason, '') AS reason, count(*) AS transfers,
       sum(minutes)::bigint AS minutes, NULL::timestamptz AS since
  FROM service_record WHERE state = 'held' AND host <> home GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""
_REFUSED_AND_SUPERSEDED: Final = """
SELECT s.host, l.home, CASE s.what WHEN 'transfer_refused' THEN 'refused' ELSE 'superseded' END AS state,
       count(*) AS transfers,
       sum((s.detail->>'delta')::int)::bigint AS minutes
  FROM step AS s JOIN link AS l USING (person, host)
 WHERE s.at >= $1 AND s.what IN ('transfer_refused', 'transfer_superseded') GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
_CREDITED_BY_MINUTE: Final = """
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
"""Of each minute, the first credits whose latency is looked up: every one costs a search in a person's history."""


@dataclass(frozen=True, slots=True)
class Flows:
    """What moves now, read in one snapshot. The cost grows with open transfers and the span, not with all rows."""

    open: list[dict[str, Any]]
    """host, home, state, reason, transfers, minutes (deltas), since (of the oldest). The state ``held`` is that of
    records, whose minutes do not count yet."""
    ended: list[dict[str, Any]]
    """host, home, state, transfers, minutes: what was refused or superseded within the span."""
    by_minute: list[dict[str, Any]]
    """minute, host, home, transfers and minutes that were credited in it. median, slowest: seconds from attested (at
    the border) to credited, of the first 40 credits of the minute."""


async def flows(db: Connection, now: datetime, span: timedelta) -> Flows:
    """Open transfers by direction, state and reason; what ended within the span, minute by minute."""
    since = now - span
    async with db.transaction(isolation="repeatable_read", readonly=True):
        still = [dict(row) for sql in (_OPEN_TRANSFERS, _HELD_RECORDS) for row in await db.fetch(sql)]
        ended = [dict(row) for row in await db.fetch(_REFUSED_AND_SUPERSEDED, since)]
        return Flows(still, ended, [dict(row) for row in await db.fetch(_CREDITED_BY_MINUTE, since, _TIMED)])


_TRANSFERS_TO_SETTLE: Final = """
SELECT id AS transfer_id, host, home, record_ref, version, total, delta, state, reason, attempts, changed_at AS since
  FROM transfer
 WHERE state IN ('queued', 'withheld', 'sent', 'uncertain') AND (state = 'uncertain' OR home <> ALL($1))
 ORDER BY changed_at, host, record_ref LIMIT $2"""
_HOW_MANY_TO_SETTLE: Final = """
SELECT count(*) FROM transfer
 WHERE state IN ('queued', 'withheld', 'sent', 'uncertain') AND (state = 'uncertain' OR home <> ALL($1))"""
_CONTRADICTING_RECEIPTS: Final = """
SELECT registry, count(*) AS receipts, max(at) AS last_at FROM refusal
 WHERE at >= $1 AND reason = 'receipt_conflict' GROUP BY registry ORDER BY registry"""
_CONFLICTS_SPAN: Final = timedelta(days=1)


async def differences(
    db: Connection, now: datetime, limit: int, codes: list[str]
) -> tuple[int, list[dict[str, Any]], list[dict[str, Any]]]:
    """Where the ledgers of home and border may differ. How many transfers are uncertain, or open for a home that is not
    among ``codes``; the oldest ``limit`` of them; by registry, the receipts of the last day that contradicted an
    earlier receipt."""
    total: int = await db.fetchval(_HOW_MANY_TO_SETTLE, codes)
    uncertain = [dict(row) for row in await db.fetch(_TRANSFERS_TO_SETTLE, codes, limit)]
    return total, uncertain, [dict(row) for row in await db.fetch(_CONTRADICTING_RECEIPTS, now - _CONFLICTS_SPAN)]


async def pauses(db: Connection) -> dict[str, dict[str, Any]]:
    """Paused registries: operator, why, since; with ``resumed_at`` where one is resumed and gets no credits yet."""
    return {row["registry"]: dict(row) for row in await db.fetch("SELECT * FROM pause")}


_TRANSFER: Final = """
SELECT id AS transfer_id, host, home, record_ref, version, total, delta, state, reason, attempts, changed_at AS since
  FROM transfer WHERE id = $1"""
_SETTLINGS_OF_TRANSFER: Final = (
    'SELECT outcome AS "as", operator, why, at FROM settling WHERE transfer_id = $1 ORDER BY number'
)


async def transfer(db: Connection, transfer_id: UUID) -> dict[str, Any] | None:
    """A transfer and the settlements that operators gave for it; None where there is no such transfer."""
    row = await db.fetchrow(_TRANSFER, transfer_id)
    if row is None:
        return None
    settlings = await db.fetch(_SETTLINGS_OF_TRANSFER, transfer_id)
    return dict(row) | {"settlings": [dict(settling) for settling in settlings]}


# Each step of the recursion reads one entry of the index, however many accounts a registry has.
_REGISTRIES_THAT_LEFT: Final = """
WITH RECURSIVE known (code) AS (
    (SELECT registry FROM account ORDER BY registry LIMIT 1)
    UNION ALL
    SELECT (SELECT registry FROM account WHERE registry > known.code ORDER BY registry LIMIT 1)
      FROM known WHERE known.code IS NOT NULL)
SELECT code FROM known WHERE code <> ALL($1) ORDER BY code"""
_OPEN_TRANSFERS_OF_HOMES: Final = """
SELECT home, host, state, coalesce(reason, '') AS reason, count(*) AS transfers, sum(delta)::bigint AS minutes,
       min(changed_at) AS since
  FROM transfer WHERE state IN ('queued', 'withheld', 'sent', 'uncertain') AND home = ANY($1)
 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""


async def left(db: Connection, codes: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Registries that are not among ``codes`` and with which volunteers are linked, each with its open transfers."""
    found: dict[str, list[dict[str, Any]]] = {row[0]: [] for row in await db.fetch(_REGISTRIES_THAT_LEFT, codes)}
    for row in await db.fetch(_OPEN_TRANSFERS_OF_HOMES, list(found)) if found else ():
        found[row["home"]].append({name: value for name, value in row.items() if name != "home"})
    return found
