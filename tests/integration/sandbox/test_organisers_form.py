"""The organiser's form on a registry's books: what it offers for each person, and what is said when it is sent."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from contracts.messages.service import SHANGHAI
from tests.support.sandboxes import Sandbox, rest_api
from tests.support.secret_forms import SecretForms

PASSCODE, ORGANISER = "a-passcode", "sz-org-1183"
ROSTER = "/organiser/P-1/H-1"
STARTS = datetime(2026, 7, 4, 1, tzinfo=UTC)
"""A shift of three hours, in the past: 09:00 to 12:00 in Shanghai."""
CAME = {
    "early": [("in", -20, "scan")],
    "late": [("in", 70, "scan")],
    "left": [("in", 10, "scan"), ("out", 150, "scan")],
    "again": [("in", 10, "scan"), ("out", 60, "scan"), ("in", 90, "scan"), ("out", 200, "scan")],
    "back": [("in", 10, "scan"), ("out", 60, "scan"), ("in", 90, "organiser")],
    "entered": [("in", 5, "organiser")],
    "phone": [("in", 5, "self_location")],
    "never": [],
}
OFFERED = {
    "early": ("09:00", "12:00"),
    "late": ("10:10", "12:00"),
    "left": ("09:10", "11:30"),
    "again": ("09:10", "12:00"),
    "back": ("09:10", "12:00"),
    "entered": ("09:05", "12:00"),
    "phone": ("09:05", "12:00"),
    "never": ("09:00", "12:00"),
}


@pytest.fixture
async def registry(database: str) -> AsyncIterator[Sandbox]:
    """A registry with this shift on its books, and people who have posts."""
    async with rest_api(database, passcode=SecretStr(PASSCODE)) as found:
        await found.execute(
            "INSERT INTO project (project_ref, version, title, category, organiser_ref, state) "
            f"VALUES ('P-1', 1, 'Green', 'ecology', '{ORGANISER}', 'open')"
        )
        ends = STARTS + timedelta(hours=3)
        await found.execute(
            "INSERT INTO shift (project_ref, shift_ref, version, starts_at, ends_at, signup_opens_at, "
            "signup_closes_at, posts, waitlist_posts, minimum_age, division_code, place, state) "
            f"VALUES ('P-1', 'H-1', 1, '{STARTS}', '{ends}', '{STARTS - timedelta(days=9)}', '{STARTS}', "
            "9, 0, 0, '440304', 'Here', 'open')"
        )
        for ref, presences in CAME.items():
            await found.execute(
                "INSERT INTO signup (signup_id, signup_ref, asker, ref, host, project_ref, shift_ref, state) "
                f"VALUES ('{uuid.uuid4()}', '{ref}-s', 'sz', '{ref}', 'sz', 'P-1', 'H-1', 'confirmed')"
            )
            for number, (kind, minutes, method) in enumerate(presences):
                at = STARTS + timedelta(minutes=minutes)
                await found.execute(
                    "INSERT INTO presence (message_id, ref, project_ref, shift_ref, at, kind, method) "
                    f"VALUES ('{ref}-{number}', '{ref}', 'P-1', 'H-1', '{at}', '{kind}', '{method}')"
                )
        yield found


@pytest.fixture
async def organiser(registry: Sandbox) -> AsyncIterator[SecretForms]:
    """The shift's organiser, signed in."""
    async with SecretForms(registry.url) as found:
        await found.open("/sign-in")
        await found.send("/sign-in", ref=ORGANISER, passcode=PASSCODE)
        yield found


async def _offered(organiser: SecretForms) -> dict[str, tuple[str, str]]:
    page = (await organiser.open(ROSTER)).text
    fields = dict(re.findall(r'name="((?:from|to)-\w+)" value="([^"]+)"', page))
    return {ref: (fields[f"from-{ref}"], fields[f"to-{ref}"]) for ref in CAME}


async def test_each_service_is_offered_within_shift_and_presence(organiser: SecretForms) -> None:
    """Whoever came an hour late was offered from the shift's start, and whoever came early from before it."""
    day = f"{STARTS.astimezone(SHANGHAI):%Y-%m-%d}"
    expected = {ref: (f"{day}T{begin}", f"{day}T{end}") for ref, (begin, end) in OFFERED.items()}
    assert await _offered(organiser) == expected


async def test_a_record_says_no_better_evidence_than_the_check_in_was(
    registry: Sandbox, organiser: SecretForms
) -> None:
    """Each record said ``scan``, also of people whom nobody had scanned."""
    offered = await _offered(organiser)
    form = {f"from-{ref}": begin for ref, (begin, _) in offered.items()}
    form |= {f"to-{ref}": end for ref, (_, end) in offered.items()}
    sent = await organiser.http.post(ROSTER, data={"csrf": organiser.csrf, "who": [*CAME], **form})
    assert sent.status_code == 200
    said = {row[0]: row[1] for row in await registry.rows("SELECT ref, evidence_class FROM attestation")}
    assert said == {
        **dict.fromkeys(("early", "late", "left", "again"), "scan"),
        **dict.fromkeys(("back", "entered", "never"), "roster"),
        "phone": "self_location",
    }
    spoken = await registry.rows("SELECT letter->'内容'->>'凭证类别' FROM spoken ORDER BY 1")
    assert sorted(kind for (kind,) in spoken) == sorted(said.values())
    await registry.execute("UPDATE presence SET method = 'organiser' WHERE ref = 'late'")
    await organiser.http.post(
        ROSTER,
        data={"csrf": organiser.csrf, "who": ["late"], "version-late": "1", "from-late": offered["late"][0],
              "to-late": f"{offered['late'][1][:-5]}11:00"},
    )  # fmt: skip
    versions = "SELECT version, evidence_class FROM attestation WHERE ref = 'late' ORDER BY version"
    assert await registry.rows(versions) == [(1, "scan"), (2, "roster")]


async def test_a_held_correction_does_not_hide_what_counts_meanwhile(registry: Sandbox, organiser: SecretForms) -> None:
    """The roster said ``held`` of the record, whose first version had been confirmed."""
    attested = (
        "INSERT INTO attestation (message_id, record_ref, version, ref, project_ref, shift_ref, started_at, ended_at, "
        "break_minutes, minutes, evidence_class, revoked) VALUES ('m-{0}', 'R-1', {0}, 'early', 'P-1', 'H-1', "
        f"'{STARTS}', '{STARTS + timedelta(hours=3)}', 0, {{1}}, 'scan', false)"
    )
    decided = "INSERT INTO decision (record_ref, version, state) VALUES ('R-1', {0}, '{1}')"
    counts = "此前的 1 小时 0 分 仍然计入"
    for version, minutes, state, told in ((1, 60, "confirmed", False), (2, 180, "held", True)):
        await registry.execute(attested.format(version, minutes))
        await registry.execute(decided.format(version, state))
        assert (counts in (await organiser.open(ROSTER)).text) is told
    await registry.execute("UPDATE decision SET state = 'confirmed', seq = seq + 9 WHERE version = 2")
    assert counts not in (await organiser.open(ROSTER)).text


async def test_a_night_becomes_a_record_of_each_day_and_each_is_corrected_in_a_row_of_its_own(
    registry: Sandbox, organiser: SecretForms
) -> None:
    """The contract refused a service over midnight, and the page could make one record of a person and a shift."""
    await organiser.open(ROSTER)
    data = {"csrf": organiser.csrf, "who": ["late"], "from-late": "2026-07-04T22:00", "to-late": "2026-07-05T06:00"}
    for _ in range(2):  # pressed twice
        assert (await organiser.http.post(ROSTER, data=data)).status_code == 200
    spans = "SELECT version, started_at, ended_at FROM attestation WHERE ref = 'late' ORDER BY started_at, version"
    ten, midnight, six = (datetime(2026, 7, 4, hour, tzinfo=UTC) for hour in (14, 16, 22))
    assert await registry.rows(spans) == [(1, ten, midnight), (1, midnight, six)]
    page = (await organiser.open(ROSTER)).text
    [second] = re.findall(r'name="from-([^"]+)" value="2026-07-05T00:00"', page)
    data = {"csrf": organiser.csrf, "who": [second], f"version-{second}": "1"}
    data |= {f"from-{second}": "2026-07-05T00:00", f"to-{second}": "2026-07-05T05:00"}
    assert (await organiser.http.post(ROSTER, data=data)).status_code == 200
    five = six - timedelta(hours=1)
    assert await registry.rows(spans) == [(1, ten, midnight), (1, midnight, six), (2, midnight, five)]
    [numbers] = await registry.rows("SELECT count(DISTINCT record_ref) FROM attestation WHERE ref = 'late'")
    assert numbers == (2,)
