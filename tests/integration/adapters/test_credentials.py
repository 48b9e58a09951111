"""An adapter shows its registry's system who it is; a system that lets nobody in with that has posted nothing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr, ValidationError
from structlog.testing import capture_logs

from contracts.registry import Capability
from services.adapters.kinds.credentials import Credentials, read_credentials
from services.adapters.kinds.rest_api.client import RestApi
from services.adapters.listening import Listener
from services.adapters.parts import Part, figures
from services.adapters.service import build
from services.adapters.settings import AdapterSettings
from services.adapters.store import NOTICES
from services.adapters.worker import Caller, Messenger
from services.chassis.base import migrations
from services.chassis.base.configuration import ConfigurationError
from services.chassis.base.database import open_pool
from services.chassis.base.persistent import cancel_all, persistent
from tests.conftest import NewDatabase
from tests.support.adapters import FOLDER, OURS, Adapter, adapter, notice_of
from tests.support.registries import credit, offered, own, seat, write_seat
from tests.support.sandboxes import rest_api
from tests.support.tls import Signed, authority
from tests.support.waiting import eventually

CAPABILITIES: tuple[Capability, ...] = get_args(Capability)
OLD = "token-that-was-right-until-yesterday"


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return authority(tmp_path_factory.mktemp("authority"))


def settings_of(signed: Signed, **more: object) -> AdapterSettings:
    shown = {"system_certificate": signed.client, "system_key": signed.client_key, "system_ca": signed.ca}
    return AdapterSettings.model_validate({"profile": "test", **shown, **more})


async def credits_stay_due(ours: Adapter, client: RestApi, capability: Capability) -> Part:
    """Call, and call again, with this client: nothing is posted, refused, given up or counted."""
    part = Part("calls")
    caller = Caller(ours.pool, client, seat(capability, settles=0.5), lambda: datetime.now(UTC), part=part)
    task = asyncio.create_task(persistent(caller.session, part.interrupted))
    try:
        await eventually(lambda: part.away.count > 1, what="tried twice")
    finally:
        await cancel_all([task])
    row = await ours.pool.fetchrow("SELECT state, attempts, attempted_at, trouble FROM credit")
    assert row is not None
    assert row["state"] in ("due", "calling"), "the session was ended during a call, or between two"
    assert (row["attempts"], row["attempted_at"], row["trouble"]) == (0, None, None)
    assert await ours.receipts() == []
    assert await ours.credits() == []
    assert not part.interrupted.active
    await ours.pool.execute("UPDATE credit SET state = 'due'")  # a call that was ended here was ended by this test
    return part


@pytest.mark.parametrize("capability", CAPABILITIES)
async def test_a_credit_stays_due_while_its_home_refuses_our_token_and_is_posted_once_with_the_right_one(
    new_database: NewDatabase, capability: Capability
) -> None:
    async with adapter(new_database, capability) as ours:
        await ours.due(credit("H-1", 50))
        old = RestApi(ours.sandbox.url, "sz", credentials=Credentials(SecretStr(OLD)))
        try:
            with capture_logs() as logs:
                part = await credits_stay_due(ours, old, capability)
        finally:
            await old.close()
        told = figures([part], {}).state["system"]["calls"]["system"]
        assert "refuses our credentials (answered 401)" in told
        assert "SHUANGCHENG_SYSTEM_TOKEN" in told
        assert OLD not in told + str(logs)
        async with ours.running():
            assert await ours.settled() == ["accepted"]
        assert await ours.credits() == [50]


async def test_notices_and_what_is_said_wait_for_the_right_token(new_database: NewDatabase) -> None:
    async with adapter(new_database) as ours:
        old = RestApi(ours.sandbox.url, "sz", credentials=Credentials(SecretStr(OLD)))
        notices, listening = Part("notices"), Part("listening")
        now = lambda: datetime.now(UTC)  # noqa: E731
        async with ours.pool.acquire() as db:
            await NOTICES.add(db, [notice_of(own("sz", offered("H-9")))])
        work = [
            asyncio.create_task(Messenger(ours.pool, old, "sz", now, part=notices).session()),
            asyncio.create_task(Listener(ours.pool, old, "sz", now, listening).session()),
        ]
        try:
            await eventually(lambda: notices.away.count > 1 and listening.away.count > 1)
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            await old.close()
        for part in (notices, listening):
            assert "refuses our credentials" in part.away.detail
        assert await ours.pool.fetchval("SELECT tries + 0 FROM notice WHERE rejected IS NULL") == 0


@pytest.mark.parametrize("capability", CAPABILITIES)
async def test_a_home_that_asks_for_a_certificate_gets_ours_and_without_it_credits_stay_due(
    new_database: NewDatabase, signed: Signed, capability: Capability
) -> None:
    books, own_database = await new_database(), await new_database()
    await migrations.migrate(own_database, FOLDER)
    pool = await open_pool(own_database, size=6, application="test")
    async with rest_api(books, capability=capability, tls=signed) as sandbox:
        whole = read_credentials(settings_of(signed, system_token=OURS.token), sandbox.url)
        without = read_credentials(AdapterSettings(system_ca=signed.ca, system_token=OURS.token), sandbox.url)
        right, wrong = RestApi(sandbox.url, "sz", credentials=whole), RestApi(sandbox.url, "sz", credentials=without)
        try:
            await right.tell([notice_of(own("sz", offered("H-1")))])
            caller = Caller(pool, right, seat(capability, settles=0.5), lambda: datetime.now(UTC))
            ours = Adapter(pool, right, sandbox, caller)  # type: ignore[arg-type]
            await ours.due(credit("H-1", 50))
            part = await credits_stay_due(ours, wrong, capability)
            assert "refuses our credentials" in part.away.detail
            assert "SHUANGCHENG_SYSTEM_CERTIFICATE" in part.away.detail
            async with ours.running():
                assert await ours.settled() == ["accepted"]
            assert await ours.credits() == [50]
        finally:
            await right.close()
            await wrong.close()
            await pool.close()


async def test_whom_another_authority_signed_is_not_believed_to_be_the_system(
    new_database: NewDatabase, signed: Signed, tmp_path: Path
) -> None:
    other = authority(tmp_path)
    async with adapter(new_database) as ours, rest_api(await new_database(), tls=signed) as sandbox:
        await ours.due(credit("H-1", 50))
        shown = read_credentials(settings_of(signed, system_ca=other.ca, system_token=OURS.token), sandbox.url)
        client = RestApi(sandbox.url, "sz", credentials=shown)
        try:
            part = await credits_stay_due(ours, client, "neither")
        finally:
            await client.close()
        assert "CERTIFICATE_VERIFY_FAILED" in part.away.detail


@pytest.mark.parametrize("given", ["two words", "line\nbreak", "令牌", " ", "", "a\0b"])
def test_a_token_that_fits_into_no_header_is_refused_without_being_shown(given: str) -> None:
    with pytest.raises(ValidationError, match="RFC 6750") as refused:
        AdapterSettings(system_token=SecretStr(given))
    assert not given.strip() or given not in str(refused.value)


def test_files_that_cannot_be_used_are_named_with_their_setting(signed: Signed, tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n")
    wrong: list[tuple[dict[str, object], str]] = [
        ({"system_certificate": tmp_path / "none.pem"}, "SHUANGCHENG_SYSTEM_CERTIFICATE: "),
        ({"system_key": nonsense}, "SHUANGCHENG_SYSTEM_CERTIFICATE: "),
        ({"system_key": signed.server_key}, "SHUANGCHENG_SYSTEM_CERTIFICATE: "),
        ({"system_ca": tmp_path / "none.pem"}, "SHUANGCHENG_SYSTEM_CA: "),
        ({"system_ca": nonsense}, "SHUANGCHENG_SYSTEM_CA: "),
        ({"system_certificate": None}, "SHUANGCHENG_SYSTEM_KEY: "),
        ({"registry": "plain"}, "SHUANGCHENG_SYSTEM_CERTIFICATE: certificates are shown over https only"),
    ]
    for code, scheme in (("sealed", "https"), ("plain", "http")):
        write_seat(tmp_path, code, address=f"{scheme}://127.0.0.1:1")
    for more, complaint in wrong:
        with pytest.raises(ConfigurationError) as refused:
            build(settings_of(signed, **{"registries": tmp_path, "registry": "sealed", **more}))
        assert str(refused.value).startswith(complaint)
        assert "secret" not in str(refused.value)


def test_credentials_show_no_token_when_they_are_printed() -> None:
    assert OLD not in repr(Credentials(SecretStr(OLD)))


def test_only_a_system_with_tls_is_compared_with_the_authorities_of_the_machine() -> None:
    """Each start read all of them, for a system that is called without TLS too."""
    known = {
        scheme: read_credentials(AdapterSettings(), f"{scheme}://there.example").context.cert_store_stats()["x509_ca"]
        for scheme in ("http", "https")
    }
    assert known["http"] == 0
    assert known["https"] > 0
