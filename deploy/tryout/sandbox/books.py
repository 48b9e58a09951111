"""Keeps the books: any number of letters by one statement for each kind of entry, each letter once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

import orjson

from deploy.tryout.sandbox.database import Connection
from deploy.tryout.sandbox.entries import (
    Attested,
    ConsentTold,
    Decided,
    Entry,
    Letter,
    LinkAsked,
    LinkTold,
    Presence,
    Project,
    Refused,
    Shift,
    SignupAsked,
    SignupTold,
    TransferTold,
)

__all__ = ["keep"]

_STANDING = ("confirmed", "promoted", "waitlisted", "reported")
_FIRST_SEEN = """
INSERT INTO inbox (source, id) SELECT source, id FROM unnest($1::text[], $2::text[]) AS t(source, id)
ON CONFLICT DO NOTHING RETURNING source, id
"""
_SENT = """
INSERT INTO sent (id, kind, ref, at) SELECT id, kind, ref, at FROM jsonb_populate_recordset(NULL::sent, $1::jsonb)
ON CONFLICT DO NOTHING
"""
_VOLUNTEERS = """
INSERT INTO volunteer (ref, known_since)
SELECT ref, min(at) FROM jsonb_populate_recordset(NULL::sent, $1::jsonb) WHERE ref IS NOT NULL GROUP BY ref
ON CONFLICT DO NOTHING
"""


def _later(_: Any, later: Any) -> Any:
    return later


def _higher(earlier: Any, later: Any) -> Any:
    return later if later.version >= earlier.version else earlier


def _first(earlier: Any, _: Any) -> Any:
    return earlier


def _stands(earlier: SignupTold, later: SignupTold) -> SignupTold:
    # The refusal of a second request does not undo the first request: a refusal concerns its own number alone.
    other = later.state == "refused" and later.signup_ref != earlier.signup_ref
    return earlier if other and earlier.state in _STANDING else later


def _standing_link(earlier: LinkTold, later: LinkTold) -> LinkTold:
    # The refusal of a second request does not undo a link that was established.
    return earlier if later.state == "refused" and earlier.state != "refused" else later


@dataclass(frozen=True)
class _Page:
    """Where entries of one kind are kept: table, key, which of two entries of one key stays, and the same rule in
    SQL."""

    entry: type[Any]
    table: str
    key: tuple[str, ...]
    stays: Callable[[Any, Any], Any]
    on_conflict: str

    @property
    def statement(self) -> str:
        columns = ", ".join(_columns(self.entry))
        return (
            f"INSERT INTO {self.table} ({columns}) SELECT {columns} "  # noqa: S608
            f"FROM jsonb_populate_recordset(NULL::{self.table}, $1::jsonb) "
            f"ON CONFLICT ({', '.join(self.key)}) {self.on_conflict}"
        )

    def reduce(self, entries: Iterable[Any]) -> list[Any]:
        """One entry for each key, in the order in which keys were told last: a statement may touch a row only once."""
        key_of: Callable[[Any], Hashable] = attrgetter(*self.key)
        kept: dict[Hashable, Any] = {}
        for entry in entries:
            key = key_of(entry)
            earlier = kept.pop(key, None)
            kept[key] = entry if earlier is None else self.stays(earlier, entry)
        return list(kept.values())


def _columns(entry: type[Any]) -> list[str]:
    return [field.name for field in fields(entry) if field.metadata.get("kept", True)]


def _replace(entry: type[Any], key: tuple[str, ...], extra: str = "", guard: str = "") -> str:
    changed = ", ".join(f"{name} = excluded.{name}" for name in _columns(entry) if name not in key)
    return f"DO UPDATE SET {changed}{extra} {guard}".rstrip()


_OF_LINK = ("ref", "registry")
_OF_RECORD = ("record_ref", "version")
_OF_SHIFT = ("project_ref", "shift_ref")
_PAGES = (
    _Page(LinkAsked, "link", _OF_LINK, _first, "DO UPDATE SET role = coalesce(link.role, excluded.role)"),
    _Page(
        LinkTold,
        "link",
        _OF_LINK,
        _standing_link,
        "DO UPDATE SET state = excluded.state, reason = excluded.reason "
        "WHERE NOT (excluded.state = 'refused' AND link.established)",
    ),
    _Page(ConsentTold, "consent", _OF_LINK, _later, _replace(ConsentTold, _OF_LINK)),
    _Page(
        Project,
        "project",
        ("project_ref",),
        _higher,
        _replace(Project, ("project_ref",), guard="WHERE project.version <= excluded.version"),
    ),
    _Page(
        Shift,
        "shift",
        _OF_SHIFT,
        _higher,
        _replace(Shift, _OF_SHIFT, guard="WHERE shift.version <= excluded.version"),
    ),
    _Page(SignupAsked, "signup_request", ("signup_ref",), _later, _replace(SignupAsked, ("signup_ref",))),
    _Page(
        SignupTold,
        "signup",
        ("signup_id",),
        _stands,
        _replace(
            SignupTold,
            ("signup_id",),
            guard="WHERE NOT (excluded.state = 'refused' AND signup.signup_ref <> excluded.signup_ref"
            " AND signup.state IN ('confirmed', 'promoted', 'waitlisted', 'reported'))",
        ),
    ),
    _Page(Presence, "presence", ("message_id",), _first, "DO NOTHING"),
    _Page(Attested, "attestation", ("message_id",), _first, "DO NOTHING"),
    _Page(Decided, "decision", _OF_RECORD, _later, _replace(Decided, _OF_RECORD, extra=", seq = excluded.seq")),
    _Page(TransferTold, "transfer_report", _OF_RECORD, _later, _replace(TransferTold, _OF_RECORD)),
    _Page(Refused, "refusal", ("message_id",), _later, _replace(Refused, ("message_id",))),
)
_ANSWERED_SIGNUPS = """
INSERT INTO signup_answered (signup_ref) SELECT DISTINCT unnest($1::text[]) ON CONFLICT DO NOTHING
"""
_ESTABLISHED = """
UPDATE link SET established = true
WHERE NOT established AND (ref, registry) IN (SELECT * FROM unnest($1::text[], $2::text[]))
"""

# A code that was used on our page is answered. Its session is signed in to the account that the answer names. A new
# account is made now. An answer that comes after the code has ended signs in nobody. If the number of the request is
# nobody's, all that was noted under it is deleted.
_ANSWERED = """
WITH answered AS (
    UPDATE opened AS o SET ref = t.ref, state = t.state, reason = t.reason
      FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS t(message_id, ref, state, reason)
     WHERE o.message_id = t.message_id AND o.state = 'asked'
    RETURNING o.*
), made AS (
    INSERT INTO account (ref, kind, home) SELECT ref, 'visitor', home FROM answered WHERE state = 'established'
    ON CONFLICT DO NOTHING
), signed_in AS (
    UPDATE web_session AS s SET ref = a.ref FROM answered AS a
     WHERE s.token_hash = a.session AND s.ref IS NULL AND a.state = 'established'
       AND a.pressed_at > now() - interval '30 minutes'
), unlinked AS (
    DELETE FROM link AS l USING answered AS a
     WHERE l.ref = a.asked_as AND NOT l.established AND (a.state = 'refused' OR a.ref <> a.asked_as)
)
DELETE FROM volunteer AS v USING answered AS a
 WHERE v.ref = a.asked_as AND (a.state = 'refused' OR a.ref <> a.asked_as)
"""


def _text(rows: Sequence[Any]) -> str:
    return orjson.dumps(rows).decode()


async def keep(connection: Connection, letters: Sequence[Letter]) -> list[Letter]:
    """Write these letters into the books, in the caller's transaction. Gives the letters that were seen for the first
    time.

    Order matters only between letters of one sender about one thing, and the caller keeps it. Credits and queries are
    not written here, but by the ledger.
    """
    keys = [(letter.source, letter.id) for letter in letters]
    found = await connection.fetch(_FIRST_SEEN, [source for source, _ in keys], [id_ for _, id_ in keys])
    unseen = {(row["source"], row["id"]) for row in found}
    fresh = []
    for key, letter in zip(keys, letters, strict=True):
        if key in unseen:
            unseen.discard(key)
            fresh.append(letter)
    await _keep_sent(connection, [letter for letter in fresh if letter.own])
    entries = [letter.entry for letter in fresh if letter.entry is not None]
    for page in _PAGES:
        chosen = page.reduce(entry for entry in entries if type(entry) is page.entry)
        if chosen:
            await connection.execute(page.statement, _text(chosen))
    await _keep_established(connection, entries)
    await _keep_answers(connection, entries)
    await _keep_answered_signups(connection, entries)
    return fresh


async def _keep_sent(connection: Connection, own: Sequence[Letter]) -> None:
    if own:
        rows = _text([{"id": o.id, "kind": o.kind, "ref": o.ref, "at": o.at} for o in own])
        await connection.execute(_SENT, rows)
        await connection.execute(_VOLUNTEERS, rows)


async def _keep_established(connection: Connection, entries: Sequence[Entry]) -> None:
    linked = [entry for entry in entries if isinstance(entry, LinkTold) and entry.state != "refused"]
    if linked:
        await connection.execute(_ESTABLISHED, [entry.ref for entry in linked], [entry.registry for entry in linked])


async def _keep_answers(connection: Connection, entries: Sequence[Entry]) -> None:
    told = [entry for entry in entries if isinstance(entry, LinkTold) and entry.answers is not None]
    if told:
        await connection.execute(
            _ANSWERED,
            [entry.answers for entry in told],
            [entry.ref for entry in told],
            [entry.state for entry in told],
            [entry.reason for entry in told],
        )


async def _keep_answered_signups(connection: Connection, entries: Sequence[Entry]) -> None:
    """A sign-up has one row. It may have been asked for under several numbers, and each number is answered."""
    answered = [entry.signup_ref for entry in entries if isinstance(entry, SignupTold)]
    if answered:
        await connection.execute(_ANSWERED_SIGNUPS, answered)
