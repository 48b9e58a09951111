"""She comes and goes at a shift of the registry: what is said of it, and what is not said again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from contracts.messages import service
from deploy.tryout.sandbox.database import Pool, migrate, open_pool
from deploy.tryout.sandbox.rest_api.speech import SpokenVoice
from deploy.tryout.sandbox.settings import SandboxSettings
from deploy.tryout.sandbox.web.desk import Desk
from deploy.tryout.sandbox.web.views import stay_of
from deploy.web.trouble import NotPossible
from services.adapters.kinds.rest_api import said
from tests.support.sandboxes import REST_MIGRATIONS

HERE = ("sz-1", "p1", "s1")


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    settings = SandboxSettings.model_validate({"registry": "sz", "database": SecretStr(database)})
    await migrate(settings, REST_MIGRATIONS)
    async with await open_pool(settings) as opened:
        yield opened


@pytest.fixture
def desk(pool: Pool) -> Desk:
    return Desk("sz", pool, SpokenVoice())


async def heard(pool: Pool) -> list[Any]:
    """All that the registry said, as its adapter reads it."""
    letters = await pool.fetch("SELECT number, letter::text FROM spoken ORDER BY number")
    read = [said.read(orjson.loads(text) | {"序号": number}, "sz") for number, text in letters]
    assert [letter.trouble for letter in read] == [None] * len(read)
    return [letter.event.data for letter in read if letter.event is not None]


async def test_she_comes_goes_and_comes_again_and_each_is_said_once(pool: Pool, desk: Desk) -> None:
    """Seen: no page and no adapter could say that she left, so her stay was open for ever."""
    for leaves in (False, False, True, False, False):
        await desk.is_there(*HERE, leaves=leaves)
    told = await heard(pool)
    assert [type(one) for one in told] == [service.CheckedIn, service.CheckedOut, service.CheckedIn]
    assert {(one.volunteer_ref, one.project_ref, one.shift_ref, one.method) for one in told} == {(*HERE, "scan")}
    stay = await stay_of(pool, *HERE)
    assert (stay.came_at, stay.number) == (told[-1].at, 2)


async def test_who_is_not_there_cannot_leave(pool: Pool, desk: Desk) -> None:
    with pytest.raises(NotPossible, match="not_checked_in"):
        await desk.is_there(*HERE, leaves=True)
    await desk.is_there(*HERE, leaves=False)
    await desk.is_there(*HERE, leaves=True)
    with pytest.raises(NotPossible, match="not_checked_in"):
        await desk.is_there(*HERE, leaves=True)
    assert len(await heard(pool)) == 2


async def test_who_forgot_to_check_out_yesterday_is_checked_in_anew(pool: Pool, desk: Desk) -> None:
    await desk.is_there(*HERE, leaves=False)
    await pool.execute("UPDATE presence SET at = at - interval '1 day'")
    assert (await stay_of(pool, *HERE)).came_at is None
    await desk.is_there(*HERE, leaves=False)
    assert [type(one) for one in await heard(pool)] == [service.CheckedIn, service.CheckedIn]
