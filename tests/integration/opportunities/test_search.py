"""The read API: what is found, page by page, how quickly, and for whom."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from contracts.messages.shifts import Category
from services.chassis.base.database import open_pool
from services.chassis.base.http import create_app, read_tokens
from services.chassis.base.reading import Reads
from services.chassis.base.settings import Settings
from services.opportunities.api import api
from tests.integration.opportunities.conftest import Opportunities
from tests.support.opportunities import BEFORE, hour, project, report, request, shift, withdraw

APP, OPERATOR = "a-token-of-sz-0001", "a-token-of-operators"


@pytest.fixture
async def client(books: Opportunities, database: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The app of a registry."""
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text(f"{APP}: registry:sz\n{OPERATOR}: operator\n")
    pool = await open_pool(database, size=2, application="test")

    async def healthy() -> dict[str, Any]:
        return {"ready": True}

    app = create_app("opportunities", read_tokens(tokens, ["registry"]), healthy)
    app.include_router(api(Reads(pool, pool), Settings(profile="test")))
    transport = httpx.ASGITransport(app=app)
    headers = {"Authorization": f"Bearer {APP}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers) as found:
        yield found
    await pool.close()


async def _refs(client: httpx.AsyncClient, **parameters: Any) -> list[str]:
    answer = await client.get("/search", params={"at": BEFORE.isoformat()} | parameters)
    assert answer.status_code == 200, answer.text
    return [found["shift_ref"] for found in answer.json()["shifts"]]


async def _some(books: Opportunities) -> None:
    await books.all(
        project("p1", title="Green Station", category=Category.ECOLOGY, campaign="summer"),
        project("p2", host="sz", title="AED 急救课", category=Category.CITY_SAFETY),
        project("p3", title="Closed", state="closed"),
        shift("late", window=(15, 17), posts=2, place="River Park", district="440104"),
        shift("early", window=(8, 9), posts=1, minimum_age=16, place="Island", district="440105"),
        shift("aed", of="p2", host="sz", window=(9, 12), posts=5, place="宝安 Library", district="440306"),
        shift("hidden", of="p3"),
        shift("gone", state="cancelled"),
        shift("orphan", of="nowhere"),
        shift("shut", closes=BEFORE),
    )


_FOUND: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["early", "aed", "late"]),
    ({"host": "sz"}, ["aed"]),
    ({"district": "4401"}, ["early", "late"]),
    ({"district": "440105"}, ["early"]),
    ({"category": "ecology"}, ["early", "late"]),
    ({"campaign": "summer", "host": "gz"}, ["early", "late"]),
    ({"text": "急救"}, ["aed"]),
    ({"text": "green RIVER"}, ["late"]),
    ({"text": "100%_"}, []),
    ({"since": hour(9).isoformat(), "until": hour(15).isoformat()}, ["aed"]),
    ({"age_band": "14_to_15"}, ["aed", "late"]),
    ({"age_band": "16_to_17"}, ["early", "aed", "late"]),
    ({"busy": f"{hour(11).isoformat()}/{hour(13).isoformat()}"}, ["early", "late"]),
    ({"busy": [f"{hour(12).isoformat()}/{hour(15).isoformat()}", "2026-07-04T08:30Z/2026-07-04T08:40Z"]},
     ["aed", "late"]),
    ({"at": hour(8).isoformat()}, ["aed", "late"]),
]  # fmt: skip


async def test_what_is_asked_for_is_found_in_order_of_start(books: Opportunities, client: httpx.AsyncClient) -> None:
    await _some(books)
    for parameters, found in _FOUND:
        assert await _refs(client, **parameters) == found, parameters


async def test_a_shift_is_shown_with_what_is_left_of_it(books: Opportunities, client: httpx.AsyncClient) -> None:
    await _some(books)
    await books.all(
        shift("late", version=2, window=(15, 17), posts=1, waitlist=3, place="River Park", district="440104")
    )
    await books.all(request(uuid4(), "late"), request(uuid4(), "late"))
    assert await _refs(client) == ["early", "aed"]
    assert await _refs(client, include_full=True) == ["early", "aed", "late"]
    answer = await client.get("/shifts/gz/p1/late", params={"at": BEFORE.isoformat()})
    assert answer.json() == {
        "host": "gz",
        "project_ref": "p1",
        "shift_ref": "late",
        "title": "Green Station",
        "category": "ecology",
        "campaign": {"ref": "summer", "title": "SUMMER"},
        "organiser_ref": "o-1",
        "starts_at": "2026-07-04T15:00:00Z",
        "ends_at": "2026-07-04T17:00:00Z",
        "signup_opens_at": "2026-06-27T00:00:00Z",
        "signup_closes_at": "2026-07-04T15:00:00Z",
        "posts": 1,
        "free": 0,
        "waitlist_posts": 3,
        "waitlisted": 1,
        "minimum_age": 0,
        "place": {"division_code": "440104", "text": "River Park"},
        "state": "open",
        "project_state": "open",
        "signup_now": "line",
    }
    assert (await client.get("/shifts/gz/p3/hidden")).json()["project_state"] == "closed"
    assert (await client.get("/shifts/gz/p1/gone")).json()["state"] == "cancelled"
    assert (await client.get("/shifts/gz/p1/never")).status_code == 404


async def test_a_full_shift_with_a_place_in_line_is_found_where_it_is_asked_for(
    books: Opportunities, client: httpx.AsyncClient
) -> None:
    await books.all(
        project(),
        shift("full", window=(8, 9), posts=1),
        shift("free", window=(10, 11), posts=1, waitlist=1),
        shift("line", window=(12, 13), posts=1, waitlist=2),
        shift("filled", window=(14, 15), posts=1, waitlist=1),
    )
    for ref, times in (("full", 1), ("line", 2), ("filled", 2)):
        await books.all(*(request(uuid4(), ref) for _ in range(times)))
    assert await _now(client) == {"free": "post"}
    assert await _now(client, include_line=True) == {"free": "post", "line": "line"}
    assert await _now(client, include_full=True) == {"full": "full", "free": "post", "line": "line", "filled": "full"}


async def test_a_shift_whose_sign_up_opens_later_says_so(books: Opportunities, client: httpx.AsyncClient) -> None:
    """It was found as a shift that can be joined, and whoever asked was refused(``not_open``)."""
    later = shift("later", window=(10, 11), opens=hour(2), waitlist=1)
    await books.all(project(), shift("open", window=(9, 10)), later)
    assert await _now(client) == {"open": "post", "later": "opens_later"}
    assert await _now(client, open_now=True) == {"open": "post"}
    assert await _now(client, open_now=True, at=hour(2).isoformat()) == {"open": "post", "later": "post"}


async def _now(client: httpx.AsyncClient, **parameters: Any) -> dict[str, str]:
    answer = await client.get("/search", params={"at": BEFORE.isoformat()} | parameters)
    return {found["shift_ref"]: found["signup_now"] for found in answer.json()["shifts"]}


async def test_pages_follow_each_other_without_gap_or_repeat_while_shifts_fill(
    books: Opportunities, client: httpx.AsyncClient
) -> None:
    # Many start at the same time: only the whole key tells them apart.
    await books.all(project(), *(shift(f"s{n:02}", window=(9 + n % 3, 13), posts=1) for n in range(25)))
    expected = [f"s{n:02}" for n in sorted(range(25), key=lambda n: (n % 3, n))]
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        parameters = {"at": BEFORE.isoformat(), "limit": "4"} | after
        page = (await client.get("/search", params=parameters)).json()
        seen += [found["shift_ref"] for found in page["shifts"]]
        await books.all(request(uuid4(), seen[-1]))
        if page["next"] is None:
            break
        assert len(page["shifts"]) == 4
        after = {"after": page["next"]}
    assert seen == expected


async def test_campaigns_are_summed_over_their_projects(books: Opportunities, client: httpx.AsyncClient) -> None:
    await _some(books)
    await books.all(project("p4", campaign="summer"), request(uuid4(), "late"))
    await books.all(project("p5", campaign="summer", state="closed"), shift("s5", of="p5", posts=9))
    (found,) = (await client.get("/campaigns")).json()
    assert found == {
        **{"host": "gz", "ref": "summer", "title": "SUMMER", "projects": 2, "shifts": 3, "posts": 4, "free": 3}
    }


async def test_figures_count_every_request_once_and_add_up(books: Opportunities, client: httpx.AsyncClient) -> None:
    people = [uuid4() for _ in range(6)]
    await books.all(project(campaign="summer"), shift(posts=2, waitlist=2), shift("old", posts=9, state="cancelled"))
    await books.all(*(request(person, ref="r") for person in people), request(people[0], ref="r"))
    await books.all(request(people[0], ref="other"), withdraw(people[1]), request(people[1]), report(uuid4()))
    answer = await client.get("/figures", headers={"Authorization": f"Bearer {OPERATOR}"})
    figures = answer.json()
    assert figures == {
        "projects": 1,
        "campaigns": 1,
        "shifts": 1,
        "posts": 2,
        "requested": 7,
        "confirmed": 2,
        "waitlisted": 2,
        "promoted": 1,
        "withdrawn": 1,
        "refused": {"full": 2},
        "reported": 1,
        "clashed": 0,
        "overbooked": 0,
    }
    given = figures["confirmed"] + figures["waitlisted"] + figures["withdrawn"]
    assert figures["requested"] == given + sum(figures["refused"].values())


async def test_only_registries_and_operators_read_and_only_operators_see_figures(client: httpx.AsyncClient) -> None:
    for path in ("/search", "/campaigns", "/shifts/gz/p1/s1", "/figures"):
        assert (await client.get(path, headers={"Authorization": "Bearer wrong"})).status_code == 401
    assert (await client.get("/figures")).status_code == 403


async def test_what_cannot_be_read_is_told_to_the_caller(client: httpx.AsyncClient) -> None:
    wrong: list[dict[str, Any]] = [
        {"limit": 101},
        {"after": "zzz"},
        {"after": "WzEsMl0="},
        {"since": "2026-07-04T09:00:00"},
        {"busy": "tomorrow"},
        {"busy": "2026-07-04T09:00Z"},
        {"category": "none"},
        {"district": "44%"},
    ]
    for parameters in wrong:
        assert (await client.get("/search", params=parameters)).status_code == 422, parameters
