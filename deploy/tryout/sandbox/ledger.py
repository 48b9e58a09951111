"""The ledger. It posts a credit once, or as often as it is asked to if the ledger keeps no transfer ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

import orjson

from deploy.tryout.sandbox.database import Connection
from deploy.tryout.sandbox.entries import Credit, Query
from deploy.tryout.sandbox.mischief import Mischief
from deploy.tryout.sandbox.settings import Seat

__all__ = ["Answer", "answer"]

_POSTED = """
SELECT DISTINCT ON (transfer_id) transfer_id, ref, minutes, at FROM posting
WHERE transfer_id = ANY($1) ORDER BY transfer_id, number
"""
_KNOWN = "SELECT ref FROM volunteer WHERE ref = ANY($1)"
_POST = """
INSERT INTO posting (posting_key, transfer_id, ref, host, record_ref, version, minutes, total, at)
SELECT posting_key, transfer_id, ref, host, record_ref, version, minutes, total, at
FROM jsonb_populate_recordset(NULL::posting, $1::jsonb)
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """The registry's answer to a credit or query. It is sent ``copies`` times (0: the answer gets lost)."""

    transfer_id: UUID
    ref: str
    result: Literal["accepted", "refused", "unknown"]
    delta: int = 0
    posted_at: datetime | None = None
    reason: str | None = None
    retry: bool = False
    copies: int = 1
    attempt: int | None = None
    """The number of the credit or query that this answers."""


@dataclass(frozen=True, slots=True)
class _Posting:
    ref: str
    minutes: int
    at: datetime


async def answer(
    connection: Connection, seat: Seat, mischief: Mischief, requests: Sequence[Credit | Query], now: datetime
) -> list[Answer]:
    """Post and answer these, in order, in the caller's transaction. Three statements, whatever their number."""
    if not requests:
        return []
    rows = await connection.fetch(_POSTED, list({request.transfer_id for request in requests}))
    posted = {row["transfer_id"]: _Posting(row["ref"], row["minutes"], row["at"]) for row in rows}
    known = {row["ref"] for row in await connection.fetch(_KNOWN, list({request.ref for request in requests}))}
    answers, postings = [], []
    for request in requests:
        if isinstance(request, Query):
            answers.append(_say(request, posted.get(request.transfer_id), seat))
            continue
        given = _decide(request, posted, known, seat, mischief)
        if given is None:
            posted.setdefault(request.transfer_id, _Posting(request.ref, request.delta, now))
            postings.append(_row(request, seat, now))
            given = _accepted(request, request.delta, now, copies=mischief.copies())
        answers.append(given)
    if postings:
        await connection.execute(_POST, orjson.dumps(postings).decode())
    return answers


def _decide(
    credit: Credit, posted: dict[UUID, _Posting], known: set[str], seat: Seat, mischief: Mischief
) -> Answer | None:
    """The answer if nothing is to be posted. None means: post it."""
    first = posted.get(credit.transfer_id)
    if first is not None and seat.capability == "idempotent":
        if (first.ref, first.minutes) != (credit.ref, credit.delta):
            return _refused(credit, "conflict", retry=False)
        return _accepted(credit, first.minutes, first.at)
    if credit.ref not in known:
        return _refused(credit, "volunteer_unknown", retry=True)
    refusing = mischief.refusal()
    if refusing is not None:
        return _refused(credit, refusing.reason, retry=refusing.retry)
    return None


def _say(query: Query, first: _Posting | None, seat: Seat) -> Answer:
    # A ledger that can do neither cannot answer, even if it has posted the credit.
    if first is None or seat.capability == "neither" or first.ref != query.ref:
        return Answer(query.transfer_id, query.ref, "unknown", attempt=query.attempt)
    return _accepted(query, first.minutes, first.at)


def _accepted(request: Credit | Query, delta: int, at: datetime, copies: int = 1) -> Answer:
    return Answer(
        request.transfer_id,
        request.ref,
        "accepted",
        delta=delta,
        posted_at=at,
        copies=copies,
        attempt=request.attempt,
    )


def _refused(credit: Credit, reason: str, *, retry: bool) -> Answer:
    return Answer(credit.transfer_id, credit.ref, "refused", reason=reason, retry=retry, attempt=credit.attempt)


def _row(credit: Credit, seat: Seat, now: datetime) -> dict[str, object]:
    key = str(credit.transfer_id)
    return {
        "posting_key": key if seat.capability == "idempotent" else f"{key}/{uuid4()}",
        "transfer_id": credit.transfer_id,
        "ref": credit.ref,
        "host": credit.host,
        "record_ref": credit.record_ref,
        "version": credit.version,
        "minutes": credit.delta,
        "total": credit.total,
        "at": now,
    }
