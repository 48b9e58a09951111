"""The adapter as its own process, on a database of before its home booked."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from contracts.registry import Capability
from deploy.tryout.local.broker import Broker
from tests.conftest import NewDatabase
from tests.integration.adapters.test_process import adapter_environment, publish, receipts, running
from tests.support.registries import credit, new_code, offered, own, told
from tests.support.restoring import name_of
from tests.support.sandboxes import rest_api
from tests.support.waiting import eventually


@pytest.mark.parametrize("capability", ["neither", "queryable"])
async def test_put_back_to_before_the_booking_it_books_nothing_again(
    broker: Broker, new_database: NewDatabase, tmp_path: Path, capability: Capability
) -> None:
    code = new_code()
    async with (
        rest_api(await new_database(), registry=code, capability=capability) as sandbox,
        adapter_environment(broker, new_database, tmp_path, code, sandbox.url, capability) as environment,
    ):
        await publish(broker, code, own(code, offered("H-1")))
        async with running(environment):
            await eventually(lambda: sandbox.rows("SELECT 1 FROM volunteer WHERE ref = 'H-1'"))
        dump = await new_database(name_of(environment["SHUANGCHENG_DATABASE"]))
        await publish(broker, code, told(credit("H-1", 75)))
        async with running(environment):
            assert await receipts(broker, code, 1) == [("CreditAccepted", "H-1", 75)]
        async with running(environment | {"SHUANGCHENG_DATABASE": dump}):
            connection = await asyncpg.connect(dump)
            try:
                await eventually(lambda: connection.fetchval("SELECT bool_and(state = 'accepted') FROM credit"))
                assert await connection.fetchval("SELECT count(*) FROM restored") == 0
            finally:
                await connection.close()
        assert await sandbox.rows("SELECT minutes FROM audit_credits") == [(75,)]
        assert await receipts(broker, code, 1) == [("CreditAccepted", "H-1", 75)]
