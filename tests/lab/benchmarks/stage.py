"""Where the decider's runs take place: a topic with the events, and databases copied from one that was prepared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import asyncpg

from contracts.envelope import decode
from contracts.topics import ATTENDANCE_EVENTS
from deploy.operate.lines import Letter
from deploy.operate.publishing import Publisher
from deploy.operate.registries import CONFIGURED
from deploy.operate.topics import ensure_topics
from deploy.tryout.local.broker import Broker
from deploy.tryout.local.postgres import Postgres
from services.attendance.service import build
from services.attendance.settings import AttendanceSettings
from services.chassis.base.migrations import migrate
from services.chassis.log.records import unpack_headers
from tests.lab.benchmarks.forms.common import topic_of
from tests.lab.benchmarks.load import Load

__all__ = ["Stage"]

_OWNER = "bench"
_HISTORY = 20_000
_LONG_AGO = """
INSERT INTO service_record (host, record_ref, person, signup_id, version, body, attested_at, day, counted_version,
  counted_signup, counted_from, counted_to, counted_minutes)
SELECT 'gz', 'old-' || i, md5('p' || i)::uuid, md5('s' || i)::uuid, 1, '{}', at,
  (at AT TIME ZONE 'Asia/Shanghai')::date,
  1, md5('s' || i)::uuid, at, at + interval '2 hours', 120
FROM generate_series(1, $1::int) AS i, LATERAL (SELECT timestamptz '2025-07-01' + i * interval '1 minute' AS at) AS t
"""
_LONG_AGO_DAYS = """
INSERT INTO person_day SELECT person, counted_day, counted_minutes, 480 FROM service_record
"""
_LONG_AGO_NAMES = """
INSERT INTO entity (name) SELECT 'person:' || person FROM service_record
UNION ALL SELECT 'record:gz:' || record_ref FROM service_record
"""
_LONG_AGO_SEEN = """
INSERT INTO inbox (source, id, digest) SELECT 'urn:shuangcheng:service:bridge', signup_id::text, '\\x00'
FROM service_record
"""
_FIGURES = """SELECT
  (SELECT coalesce(sum(counted_minutes), 0) FROM service_record WHERE record_ref NOT LIKE 'old-%') AS counted_minutes,
  (SELECT count(*) FROM service_record WHERE counted_version IS NOT NULL AND record_ref NOT LIKE 'old-%') AS counted,
  (SELECT count(*) FROM service_record WHERE held_for IS NULL AND counted_version IS NULL) AS revoked,
  (SELECT coalesce(sum(minutes), 0) FROM person_day WHERE day >= '2026-01-01') AS minutes_of_days,
  (SELECT count(*) FROM inbox WHERE digest <> '\\x00') AS seen,
  (SELECT count(*) FROM set_aside) AS set_aside,
  (SELECT count(*) FROM outbox) AS outbox_rows"""


class Stage:
    """Broker and database of the runs. Every load has its topic and its template; every run a copy of that."""

    def __init__(self, broker: Broker, postgres: Postgres) -> None:
        self.broker, self.postgres = broker, postgres
        self._topics: dict[int, str] = {}
        self._runs = 0

    async def prepare(self) -> None:
        """Make the database of a service that has run for a year, so that no plan is made for empty tables."""
        dsn = await self.postgres.create_database("history", owner=_OWNER)
        await migrate(dsn, build(AttendanceSettings(registries=CONFIGURED)).migrations)
        db = await asyncpg.connect(dsn)
        await db.execute(_LONG_AGO, _HISTORY)
        for statement in (_LONG_AGO_DAYS, _LONG_AGO_NAMES, _LONG_AGO_SEEN, "VACUUM ANALYZE"):
            await db.execute(statement)
        await db.close()

    async def put_on(self, load: Load, indexes: Sequence[str] = ()) -> None:
        """Publish the load's events, and keep what stands before them in a template, with these further indexes."""
        count = len(load.events)
        topic = self._topics[count] = f"bench-{count}.attendance.commands.v1"
        await ensure_topics(self.broker.address, [topic_of(topic)])
        async with Publisher(self.broker.address) as publisher:
            await publisher.publish([Letter(topic, event) for event in load.events])
        db = await asyncpg.connect(
            await self.postgres.create_database(f"load_{count}", owner=_OWNER, template="history")
        )
        came = [visit for visit in load.visits if visit.came_at is not None]
        await _copy(db, "signup", [(visit.signup_id, "confirmed") for visit in load.visits], "id", "state")
        stays = [(visit.signup_id, visit.day, 1, visit.came_at) for visit in came]
        await _copy(db, "presence", stays, "signup_id", "day", "pair", "came_at")
        await _copy(db, "entity", [(f"person:{person}",) for person in load.persons], "name")
        await _copy(db, "entity", [(f"signup:{visit.signup_id}",) for visit in load.visits], "name")
        for statement in (*indexes, "VACUUM ANALYZE"):
            await db.execute(statement)
        await db.close()

    def topic(self, load: Load) -> str:
        """The topic with this load's events."""
        return self._topics[len(load.events)]

    async def new_database(self, load: Load) -> tuple[str, str]:
        """Name and DSN of a copy for one run."""
        self._runs += 1
        name = f"run_{self._runs}"
        dsn = await self.postgres.create_database(name, owner=_OWNER, template=f"load_{len(load.events)}")
        async with self.postgres.connection() as admin:
            await admin.execute("CHECKPOINT")  # of the copy, so that the run does not pay for it
        return name, dsn

    async def checks(self, load: Load, dsn: str) -> dict[str, bool]:
        """Compare what a run left with what must come of its load."""
        db = await asyncpg.connect(dsn)
        found = await db.fetchrow(_FIGURES)
        held = await db.fetch("SELECT held_for, count(*) FROM service_record WHERE held_for IS NOT NULL GROUP BY 1")
        rows = await db.fetch("SELECT topic, headers, value FROM outbox ORDER BY id")
        await db.close()
        assert found is not None
        expected = load.outcome
        sent, minutes = _sent(rows)
        return {
            "counted_minutes": found["counted_minutes"] == expected.counted_minutes,
            "minutes_of_days": found["minutes_of_days"] == expected.counted_minutes,
            "counted_records": found["counted"] == expected.counted,
            "held_records": {row[0]: row[1] for row in held} == dict(expected.held),
            "revoked_records": found["revoked"] == expected.revoked,
            "outbox_rows": found["outbox_rows"] == sum(expected.sent.values()) and sent == expected.sent,
            "outbox_minutes": minutes == expected.sent_minutes,
            "each_event_seen_once": found["seen"] == len(load.events),
            "nothing_set_aside": found["set_aside"] == 0,
        }


def _sent(rows: list[Any]) -> tuple[Counter[str], int]:
    """Messages by kind and their minutes, as a reader of the topic would decode them."""
    kinds: Counter[str] = Counter()
    minutes = 0
    for row in rows:
        assert row["topic"] == ATTENDANCE_EVENTS.name
        fact = decode(row["value"], unpack_headers(row["headers"])).data
        kinds[fact.TYPE.removeprefix("shuangcheng.attendance.service_").removesuffix(".v1")] += 1
        minutes += fact.minutes  # type: ignore[attr-defined]
    return kinds, minutes


async def _copy(db: asyncpg.Connection[asyncpg.Record], table: str, rows: list[tuple[Any, ...]], *columns: str) -> None:
    await db.copy_records_to_table(table, records=rows, columns=columns or None)
