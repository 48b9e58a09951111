"""What a registry's pages show of a sign-up that was asked for more than once, and of consent that was stale."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from contracts.ids import signup_id
from contracts.messages import Message, deliveries, refusals
from deploy.tryout.sandbox import books
from deploy.tryout.sandbox.database import Pool, migrate, open_pool
from deploy.tryout.sandbox.kafka_native.letters import letter
from deploy.tryout.sandbox.rest_api.speech import SpokenVoice
from deploy.tryout.sandbox.settings import SandboxSettings
from deploy.tryout.sandbox.web import views
from deploy.tryout.sandbox.web.accounts import Account
from deploy.tryout.sandbox.web.desk import Desk
from deploy.web.trouble import NotPossible
from tests.support.bridge_messages import PERSON
from tests.support.registries import told
from tests.support.sandboxes import REST_MIGRATIONS

SHE = Account("sz-1", "volunteer", "Mei", "adult", False, None)
PLACE = ("gz", "p1", "s1")
BEGINS = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
WINDOW = (BEGINS, BEGINS + timedelta(hours=3))


@dataclass
class Registry:
    """Her home: its pages' desk, and its books."""

    pool: Pool
    desk: Desk

    async def hears(self, *messages: Message) -> None:
        async with self.pool.acquire() as connection, connection.transaction():
            await books.keep(connection, [letter(told(message), own=False) for message in messages])

    async def shows(self) -> tuple[str, str | None] | None:
        found = await views.signup_at(self.pool, SHE.ref, PLACE)
        return None if found is None else (found["state"], found["reason"])

    async def said(self, kind: str) -> list[dict[str, Any]]:
        """The contents of all that was said of this category, in order."""
        said = "SELECT letter->>'内容' FROM spoken WHERE letter->>'类别' = $1 ORDER BY number"
        return [orjson.loads(row[0]) for row in await self.pool.fetch(said, kind)]

    async def asked(self) -> str:
        """The number of her newest request."""
        return str((await self.said("报名申请"))[-1]["报名编号"])


@pytest.fixture
async def home(database: str) -> AsyncIterator[Registry]:
    settings = SandboxSettings.model_validate({"registry": "sz", "database": SecretStr(database)})
    await migrate(settings, REST_MIGRATIONS)
    async with await open_pool(settings) as pool:
        yield Registry(pool, Desk("sz", pool, SpokenVoice()))


def answer(state: Any, signup_ref: str, *, asker: str = "sz", reason: str | None = None) -> deliveries.SignupChanged:
    host, project_ref, shift_ref = PLACE
    return deliveries.SignupChanged(
        volunteer_ref=SHE.ref,
        signup_id=signup_id(PERSON, *PLACE),
        signup_ref=signup_ref,
        asker=asker,
        host=host,
        project_ref=project_ref,
        shift_ref=shift_ref,
        state=state,
        reason=reason,
        starts_at=WINDOW[0],
        ends_at=WINDOW[1],
    )


async def test_a_second_try_after_a_refusal_ends_with_its_own_answer(home: Registry) -> None:
    """Seen: the page said for ever that it was under way, once while she had the post."""
    await home.desk.join(SHE, PLACE, WINDOW)
    first = await home.asked()
    await home.hears(answer("refused", first, reason="full"))
    assert await home.shows() == ("refused", "full")
    await home.desk.join(SHE, PLACE, WINDOW)
    second = await home.asked()
    assert second != first
    assert await home.shows() == ("requested", None)
    await home.hears(answer("confirmed", second))
    assert await home.shows() == ("confirmed", None)


async def test_what_both_apps_asked_for_stands_once(home: Registry) -> None:
    await home.desk.join(SHE, PLACE, WINDOW)
    own = await home.asked()
    await home.hears(answer("confirmed", own), answer("confirmed", "gz-s-7", asker="gz"))
    assert await home.shows() == ("confirmed", None)
    assert await home.pool.fetchval("SELECT count(*) FROM signup") == 1


@pytest.mark.parametrize("together", [True, False])
async def test_a_refusal_of_another_request_leaves_the_one_that_stands(home: Registry, together: bool) -> None:
    await home.desk.join(SHE, PLACE, WINDOW)
    own = await home.asked()
    letters = [answer("confirmed", own), answer("refused", "gz-s-7", asker="gz", reason="already_signed_up")]
    if together:
        await home.hears(*letters)
    else:
        for one in letters:
            await home.hears(one)
    assert await home.shows() == ("confirmed", None)


async def test_after_a_stale_consent_she_can_give_it_again_under_a_higher_version(home: Registry) -> None:
    """These books were set back to a copy that knows version 3; the linkage has seen 5."""
    await home.hears(deliveries.ConsentChanged(volunteer_ref=SHE.ref, registry="gz", state="withdrawn", version=3))
    await home.desk.give_consent(SHE.ref, "gz")
    assert [said["授权版本"] for said in await home.said("授权")] == [4]
    (message_id,) = [row[0] for row in await home.pool.fetch("SELECT id FROM sent WHERE id LIKE 'web-consent-%'")]
    refused = refusals.MessageRefused(
        message_id=message_id, reason="stale_consent", refused_key=SHE.ref, standing_version=5
    )
    await home.hears(refused)
    await home.desk.give_consent(SHE.ref, "gz")
    assert [said["授权版本"] for said in await home.said("授权")] == [4, 6]
    await home.hears(deliveries.ConsentChanged(volunteer_ref=SHE.ref, registry="gz", state="given", version=6))
    with pytest.raises(NotPossible):
        await home.desk.give_consent(SHE.ref, "gz")


@pytest.mark.parametrize("by_a_fresh_code", [False, True])
async def test_consent_that_ran_out_is_given_again_for_a_year_under_a_higher_version_and_once(
    home: Registry, by_a_fresh_code: bool
) -> None:
    """Our books take it for consent that stands: the button said so, and nobody could renew it."""
    await home.hears(deliveries.ConsentChanged(volunteer_ref=SHE.ref, registry="gz", state="given", version=2))
    await home.pool.execute(
        "INSERT INTO link (ref, registry, role, state, established) VALUES ($1, 'gz', 'home', 'established', true)",
        SHE.ref,
    )
    for _ in range(2):  # a double click
        if by_a_fresh_code:
            with pytest.raises(NotPossible, match="agree_first"):
                await home.desk.offer(SHE, "gz", "form", ran_out=2)
            await home.desk.offer(SHE, "gz", "form", agreed=True, ran_out=2)
        else:
            await home.desk.give_consent(SHE.ref, "gz", ran_out=2)
    (said,) = await home.said("授权")
    assert said["授权版本"] == 3
    assert datetime.fromisoformat(said["授权至"]) > datetime.now(UTC) + timedelta(days=364)


async def test_consent_that_ran_out_is_renewed_over_the_version_that_the_linkage_knows(home: Registry) -> None:
    """These books were set back to a copy from before she consented at all."""
    await home.desk.give_consent(SHE.ref, "gz", ran_out=4)
    assert [said["授权版本"] for said in await home.said("授权")] == [5]
