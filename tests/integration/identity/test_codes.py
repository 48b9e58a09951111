"""What a host's door may ask of a code: whether it is good, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from services.chassis.base.http import Principal, create_app
from services.chassis.base.reading import Reads
from tests.integration.identity.conftest import Linker
from tests.support.identity import Commands, hash_of

ask = Commands()
LATER = datetime.now(UTC) + timedelta(hours=1)
TOKENS = {f"token-of-{code}": Principal("registry", code) for code in ("gz", "sz")}


@pytest.fixture
async def http(linker: Linker) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app("identity", TOKENS, lambda: None)  # type: ignore[arg-type,return-value]
    api, pool = linker.member.service.api, linker.base.pool
    assert api is not None
    app.include_router(api(Reads(pool, pool), linker.member.settings))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://identity") as client:
        yield client


async def stands(http: httpx.AsyncClient, code: str = "code", *, who: str = "gz", **other: str) -> bool:
    asked = {"home": "sz", "home_ref": "S1", "host": "gz"} | other
    answer = await http.get(
        f"/codes/{hash_of(code)}", params=asked, headers={"authorization": f"Bearer token-of-{who}"}
    )
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["stands"])


async def test_a_code_stands_from_its_offer_until_it_is_used(http: httpx.AsyncClient, linker: Linker) -> None:
    assert not await stands(http)
    await linker.batch(ask.offer(expires_at=LATER))
    assert await stands(http)
    assert not await stands(http, "guess")
    assert not await stands(http, home_ref="S2")
    await linker.batch(ask.request())
    assert not await stands(http)


async def test_a_fresh_code_of_a_linked_pair_stands_while_consent_does(http: httpx.AsyncClient, linker: Linker) -> None:
    await linker.batch(ask.offer(expires_at=LATER), ask.request())
    await linker.batch(ask.offer("new", version=None, expires_at=LATER))
    assert await stands(http, "new")
    await linker.batch(ask.withdraw(1))
    assert not await stands(http, "new")
    await linker.batch(ask.give(2))
    assert await stands(http, "new")
    await linker.batch(ask.break_it("gz"))
    assert not await stands(http, "new")


async def test_a_code_that_ran_out_and_one_under_a_consent_that_ran_out_do_not_stand(
    http: httpx.AsyncClient, linker: Linker
) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    await linker.batch(ask.offer(expires_at=past))
    assert not await stands(http)
    await linker.batch(ask.offer("other", home_ref="S2", expires_at=LATER, valid_until=past))
    assert not await stands(http, "other", home_ref="S2")


@pytest.mark.parametrize(
    ("who", "changes", "status"),
    [
        ("sz", {}, 403),
        ("nobody", {}, 401),
        ("gz", {"home_ref": "S\0"}, 422),
        ("gz", {"home": "\0"}, 422),
        ("gz", {"home_ref": "x" * 65}, 422),
    ],
)
async def test_who_may_not_ask_and_what_cannot_be_asked(
    http: httpx.AsyncClient, who: str, changes: dict[str, str], status: int
) -> None:
    asked = {"home": "sz", "home_ref": "S1", "host": "gz"} | changes
    answer = await http.get(
        f"/codes/{hash_of('code')}", params=asked, headers={"authorization": f"Bearer token-of-{who}"}
    )
    assert answer.status_code == status
    assert (await http.get("/codes/nonsense%00", params=asked)).status_code in (401, 422)
