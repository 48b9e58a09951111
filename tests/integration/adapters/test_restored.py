"""An adapter whose database was restored asks before it posts: what a later life posted is not posted again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import uuid4

import pytest

from contracts.envelope import Event, decode
from contracts.messages import Message
from contracts.messages.receipts import CreditAccepted, CreditRefused, CreditUnknown
from contracts.registry import Capability
from contracts.topics import registry_source
from deploy.operate.registries import CONFIGURED
from services.adapters.rules import restored_credit, send
from services.adapters.service import build
from services.adapters.settings import AdapterSettings
from services.adapters.states import Credit
from services.adapters.store import CREDITS
from services.chassis.batch import outbox
from services.chassis.log.records import unpack_headers
from tests.conftest import NewDatabase
from tests.support.adapters import Adapter, adapter
from tests.support.registries import MORNING, credit

CAPABILITIES: tuple[Capability, ...] = get_args(Capability)
REFS = tuple(f"H-{number}" for number in range(1, 5))


@dataclass
class Dump:
    """The rows of an adapter at a moment, and how to put them back."""

    rows: list[Credit]

    @classmethod
    async def of(cls, ours: Adapter) -> Dump:
        async with ours.pool.acquire() as db:
            return cls(await CREDITS.fetch(db, "SELECT credit.* FROM credit ORDER BY seq"))

    async def restore(self, ours: Adapter, said: Sequence[Message], *, hook: bool = True) -> None:
        """As after a replay: the rows are those of the dump, and what was said since is known."""
        events = [Event(str(uuid4()), registry_source("sz"), MORNING, one) for one in said]
        service = build(AdapterSettings(profile="test", registries=CONFIGURED, registry="sz"))
        assert service.restored is not None
        async with ours.pool.acquire() as db, db.transaction():
            await db.execute("TRUNCATE credit")
            await db.execute("DELETE FROM outbox")
            await CREDITS.add(db, self.rows)
            if hook:
                await service.restored(db, events)


async def published(ours: Adapter) -> list[Message]:
    rows = await ours.pool.fetch("SELECT headers, value FROM outbox ORDER BY id")
    return [decode(row["value"], unpack_headers(row["headers"])).data for row in rows]


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("receipts_known", [True, False], ids=["receipts said", "receipts lost"])
async def test_what_a_later_life_posted_is_not_posted_again_whatever_its_home_can_do(
    new_database: NewDatabase, capability: Capability, receipts_known: bool
) -> None:
    async with adapter(new_database, capability, REFS) as ours:
        posted = [credit(ref, 50) for ref in REFS]
        await ours.due(*posted)
        dump = await Dump.of(ours)
        async with ours.running():
            assert set(await ours.settled()) == {"accepted"}
        said = await published(ours)
        assert await ours.credits() == [50] * 4
        await dump.restore(ours, said if receipts_known else said[:2])
        before = ours.system.posts.total()
        async with ours.running():
            states = await ours.settled()
        assert await ours.credits() == [50] * 4
        if receipts_known:
            assert (states, ours.system.posts.total()) == (["accepted"] * 4, before), "nothing was left to ask"
        elif capability == "neither":
            assert sorted(states) == ["accepted"] * 2 + ["uncertain"] * 2
            assert [type(one) for one in await published(ours)] == [CreditUnknown] * 2
        else:
            assert states == ["accepted"] * 4
            assert ours.system.posts.total() - before == (2 if capability == "idempotent" else 0)


@pytest.mark.parametrize("capability", CAPABILITIES)
async def test_what_no_life_has_posted_is_posted_once_by_a_home_that_can_be_asked(
    new_database: NewDatabase, capability: Capability
) -> None:
    async with adapter(new_database, capability, REFS) as ours:
        await ours.due(credit("H-1", 50))
        await (await Dump.of(ours)).restore(ours, ())
        async with ours.running():
            states = await ours.settled()
        assert (states, await ours.credits()) == (
            (["uncertain"], []) if capability == "neither" else (["accepted"], [50])
        )


async def test_a_refusal_for_want_of_consent_that_nobody_was_told_is_not_said_of_what_may_be_posted(
    new_database: NewDatabase,
) -> None:
    """The replay takes the credit for due, and takes it back; the other life had posted it before consent ended."""
    async with adapter(new_database, "queryable") as ours:
        one = credit("H-1", 50)
        await ours.due(one)
        async with ours.running():
            await ours.settled()
        refused = Credit(one.transfer_id, "H-1", one, "refused", 0, MORNING, reason="consent_withdrawn", retry=True)
        told = CreditRefused(
            transfer_id=one.transfer_id, volunteer_ref="H-1", reason="consent_withdrawn", retry=True, attempt=7
        )
        await Dump([refused]).restore(ours, (), hook=False)
        service = build(AdapterSettings(profile="test", registries=CONFIGURED, registry="sz"))
        assert service.restored is not None
        async with ours.pool.acquire() as db, db.transaction():
            await outbox.publish(db, [send("sz", told)], "adapters", datetime.now(UTC))
            await service.restored(db, ())
        async with ours.running():
            assert await ours.settled() == ["accepted"]
        assert await ours.credits() == [50]
        assert [(type(said), said.attempt) for said in await published(ours)] == [(CreditAccepted, 7)]  # type: ignore[attr-defined]


BODY = credit("H-1", 50)
LATER = MORNING + timedelta(hours=1)


def row(**more: Any) -> Credit:
    return replace(Credit(BODY.transfer_id, "H-1", BODY, "due", 0, MORNING), **more)


def receipt(kind: Callable[..., Message], **more: Any) -> Any:
    return kind(transfer_id=BODY.transfer_id, volunteer_ref="H-1", **more)


YES = receipt(CreditAccepted, delta=50, posted_at=MORNING, attempt=2)
NO = receipt(CreditRefused, reason="conflict", attempt=2)
NOT_YET = receipt(CreditRefused, reason="daily_cap", retry=True, attempt=1)
NOBODY_KNOWS = receipt(CreditUnknown, attempt=1)


@pytest.mark.parametrize(
    ("before", "said", "after"),
    [
        (row(), [], row(state="unknown", attempted_at=LATER, due_at=LATER)),
        (row(asked=(1, 2)), [NOT_YET, YES], row(state="accepted", posted_delta=50, posted_at=MORNING)),
        (row(asked=(1, 2)), [NOT_YET, NO], row(state="refused", reason="conflict")),
        (row(asked=(1,)), [NOT_YET], row(state="refused", reason="daily_cap", retry=True)),
        (row(asked=(1,)), [NOBODY_KNOWS], row(state="uncertain")),
        (row(asked=(1, 2)), [NOT_YET], row(state="unknown", attempted_at=LATER, due_at=LATER, asked=(2,))),
        (row(state="unknown", asked=(1,)), [], row(state="unknown", asked=(1,))),
        (row(state="uncertain"), [YES], row(state="accepted", posted_delta=50, posted_at=MORNING)),
    ],
)
def test_receipts_of_a_later_life_settle_a_credit_as_they_say_and_what_is_left_counts_as_called(
    before: Credit, said: list[Any], after: Credit
) -> None:
    assert restored_credit(before, said, LATER) == after
