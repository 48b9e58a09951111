"""`shuangcheng restore`: whole or not at all, and what it refuses."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from contracts.envelope import Event, encode
from contracts.messages.operations import OperatorActed
from contracts.topics import OPERATIONS_EVENTS, service_source
from deploy.operate.topics import ensure_topics
from deploy.tryout.local.broker import Broker
from tests.integration.backup.conftest import SECRET, Shelf
from tests.support.waiting import eventually

OTHER = "the-naming-secret-of-another-database-altogether"


async def taken(shelf: Shelf) -> None:
    """A backup with one row, and one more written since."""
    await shelf.say(early=1)
    await shelf.take()
    await shelf.say(late=2)


async def test_a_restored_database_is_as_its_backup_and_the_old_one_stays_beside_it(shelf: Shelf) -> None:
    await taken(shelf)
    ended = await shelf.restore("--json")
    assert ended.status == 0, ended.said
    one = ended.document["databases"][shelf.service]
    assert await shelf.totals() == {"early": 1}
    assert await shelf.databases() == {"", one["old"].removeprefix(shelf.service)}
    assert await shelf.ask(one["old"], "SELECT array_agg(ref ORDER BY ref) FROM total") == ["early", "late"]


async def test_the_role_owns_all_of_it_nobody_else_enters_and_the_extension_is_there(shelf: Shelf) -> None:
    await taken(shelf)
    shape = """SELECT array_agg(relname || ' ' || pg_get_userbyid(relowner) ORDER BY relname) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S', 'v') AND relname NOT LIKE 'gbt%'"""
    rights = f"""SELECT datacl::text || pg_get_userbyid(datdba) || datlocale FROM pg_database
        WHERE datname = '{shelf.service}'"""
    before = [await shelf.ask(shelf.service, shape), await shelf.ask("postgres", rights)]
    assert (await shelf.restore()).status == 0
    assert [await shelf.ask(shelf.service, shape), await shelf.ask("postgres", rights)] == before
    assert await shelf.ask(shelf.service, "SELECT count(*) FROM pg_extension WHERE extname = 'btree_gist'") == 1
    await shelf.say(next=3)  # as its role


async def test_the_auditor_was_let_in_and_is_let_in_again(shelf: Shelf) -> None:
    await shelf.ask("postgres", "CREATE ROLE audit")
    try:
        await taken(shelf)
        assert (await shelf.restore()).status == 0
        assert await shelf.ask("postgres", f"SELECT has_database_privilege('audit', '{shelf.service}', 'CONNECT')")
    finally:
        for database in await shelf.databases():
            await shelf.ask("postgres", f'REVOKE ALL ON DATABASE "{shelf.service}{database}" FROM audit')
        await shelf.ask("postgres", "DROP ROLE audit")


async def test_a_strangers_database_is_restored_without_a_mark(shelf: Shelf) -> None:
    await shelf.take(shelf.stranger)
    db = await asyncpg.connect(shelf.dsn[shelf.stranger])
    await db.execute("DELETE FROM ledger")
    await db.close()
    ended = await shelf.run("restore", str(shelf.backup), shelf.stranger, *shelf.secrets(), "--drop-old", "--json")
    one = ended.document["databases"][shelf.stranger]
    assert (ended.status, one["marked"], one["old"], one["acts"]) == (0, False, None, [])
    assert await shelf.ask(shelf.stranger, "SELECT array_agg(entry ORDER BY entry) FROM ledger") == ["\\.", "tab\there"]


async def test_several_are_restored_together_or_none_is(shelf: Shelf) -> None:
    await shelf.say(early=1)
    await shelf.take(shelf.service, shelf.stranger)
    await shelf.say(late=2)
    db = await asyncpg.connect(shelf.dsn[shelf.stranger])
    refused = await shelf.run("restore", str(shelf.backup), shelf.service, shelf.stranger, *shelf.secrets())
    assert refused.status == 2
    assert set(await shelf.totals()) == {"early", "late"}
    await db.close()
    both = await shelf.run("restore", str(shelf.backup), shelf.service, shelf.stranger, *shelf.secrets(), "--drop-old")
    assert both.status == 0, both.said
    assert set(await shelf.totals()) == {"early"}


async def test_a_database_that_is_lost_is_made_for_the_role_of_its_backup(shelf: Shelf) -> None:
    await taken(shelf)
    await shelf.ask("postgres", f'DROP DATABASE "{shelf.service}"')
    ended = await shelf.restore("--json")
    assert (ended.status, ended.document["databases"][shelf.service]["old"]) == (0, None)
    assert await shelf.totals() == {"early": 1}


async def test_a_database_whose_role_is_lost_too_is_refused_with_what_makes_roles(shelf: Shelf) -> None:
    await taken(shelf)
    manifest = shelf.backup / "manifest.json"
    told = json.loads(manifest.read_text())
    told["databases"][shelf.service]["owner"] = "nobody_of_this_server"
    manifest.write_text(json.dumps(told))
    await shelf.ask("postgres", f'DROP DATABASE "{shelf.service}"')
    ended = await shelf.restore()
    assert ended.status == 2
    assert "no role nobody_of_this_server" in ended.said
    assert "`databases`" in ended.said


@pytest.mark.parametrize("present", [OTHER, None], ids=["another", "none"])
async def test_another_naming_secret_is_refused_and_replaced_only_when_told_so(
    shelf: Shelf, present: str | None
) -> None:
    await taken(shelf)
    shelf.secret.unlink()
    if present is not None:
        shelf.secret.write_text(present)
    ended = await shelf.restore()
    assert ended.status == 2
    assert "--with-secret" in ended.said
    assert not {SECRET, OTHER} & set(ended.said.split())
    assert set(await shelf.totals()) == {"early", "late"}
    told = await shelf.restore("--with-secret")
    assert told.status == 0, told.said
    assert shelf.secret.read_text() == SECRET
    assert await shelf.totals() == {"early": 1}


@pytest.mark.parametrize("file", ["dump", "naming_secret"])
async def test_a_file_that_is_not_as_it_was_written_is_refused(shelf: Shelf, file: str) -> None:
    await taken(shelf)
    path = shelf.backup / f"{shelf.service}.{file}"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    ended = await shelf.restore()
    assert ended.status == 2
    assert f"{path} is not as it was written" in ended.said
    assert set(await shelf.totals()) == {"early", "late"}


async def test_a_database_in_use_is_refused_with_who_uses_it(shelf: Shelf) -> None:
    await taken(shelf)
    db = await asyncpg.connect(shelf.dsn[shelf.service], server_settings={"application_name": "bridge-relay"})
    ended = await shelf.restore()
    assert ended.status == 2
    assert "is in use by sessions: 1 of tester (bridge-relay)" in ended.said
    assert "stop it first" in ended.said
    await db.close()
    assert (await shelf.restore()).status == 0


async def test_a_session_that_comes_while_it_is_restored_keeps_the_old_database_in_its_place(shelf: Shelf) -> None:
    await taken(shelf)
    held, ask = shelf.folder / "held", f"$REAL/psql '{shelf.as_superuser('postgres')}' -qAt -c"
    shelf.instead(
        "pg_restore",
        f"""case "$*" in *--dbname*) ;; *) exec $REAL/pg_restore "$@";; esac
$REAL/pg_restore "$@" || exit 1
PGAPPNAME=came-late $REAL/psql '{shelf.as_superuser(shelf.service)}' -qAt -c 'SELECT pg_sleep(600)' <&- >&- 2>&- &
echo $! > {held}
until [ "$({ask} "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'came-late'")" = 1 ]
do :; done""",
    )
    ended = await shelf.restore()
    os.kill(int(held.read_text()), 9)
    assert ended.status == 1
    assert "those that were there have them still" in ended.said
    assert set(await shelf.totals()) == {"early", "late"}
    assert await shelf.databases() == {""}


async def test_a_restoration_that_fails_in_the_middle_loses_nothing(shelf: Shelf) -> None:
    await taken(shelf)
    shelf.instead(
        "pg_restore",
        'case "$*" in *--dbname*) head -c 6000 | $REAL/pg_restore "$@";; *) exec $REAL/pg_restore "$@";; esac',
    )
    ended = await shelf.restore()
    assert ended.status == 1
    assert "pg_restore failed" in ended.said
    assert await shelf.databases() == {""}
    assert set(await shelf.totals()) == {"early", "late"}


async def test_a_restoration_that_is_killed_loses_nothing_and_the_next_one_is_whole(shelf: Shelf) -> None:
    await taken(shelf)
    shelf.instead(
        "pg_restore",
        f"""case "$*" in *--dbname*) ;; *) exec $REAL/pg_restore "$@";; esac
$REAL/pg_restore "$@" && echo $$ > {shelf.folder}/pid && exec sleep 600""",
    )
    process = await shelf.start("restore", str(shelf.backup), shelf.service, *shelf.secrets())
    pid = await eventually(lambda: (shelf.folder / "pid").exists() and (shelf.folder / "pid").read_text().strip())
    process.kill()
    await process.wait()
    os.kill(int(pid), 9)
    assert await shelf.databases() == {"", "_restoring"}
    assert set(await shelf.totals()) == {"early", "late"}
    shelf.more.clear()
    assert (await shelf.restore("--drop-old")).status == 0
    assert await shelf.databases() == {""}
    assert await shelf.totals() == {"early": 1}


async def test_what_operators_did_since_is_told_with_the_command_that_does_it_again(
    shelf: Shelf, broker: Broker
) -> None:
    await ensure_topics(broker.address, [OPERATIONS_EVENTS])
    manifest = await shelf.take()
    moment = datetime.fromisoformat(manifest["databases"][shelf.service]["taken_at"])

    def acted(service: str, act: str, about: str, seconds: int) -> Event:
        at = moment + timedelta(seconds=seconds)
        data = OperatorActed(service=service, act=act, about=about, operator="mei", at=at)
        return Event(f"{service}-{act}-{seconds}", service_source(service), at, data)

    place = "opportunities.commands.v1/5/1042"
    events = [
        acted(shelf.service, "release", "a.v1/0/1", -5),
        acted(shelf.service, "discard", place, 20),
        acted(shelf.service, "pause", "sz", 10),
        acted("another", "resume", "sz", 30),
    ]
    async with AIOKafkaProducer(bootstrap_servers=broker.address, acks="all") as producer:
        for event in events:
            value, headers = encode(event)
            await producer.send_and_wait(OPERATIONS_EVENTS.name, value, event.key.encode(), headers=headers)
        await producer.send_and_wait(OPERATIONS_EVENTS.name, b"what nobody can read", b"x")
    ended = await shelf.restore("--kafka", broker.address, "--json")
    assert ended.status == 0, ended.said
    told = ended.document["databases"][shelf.service]["acts"]
    assert [(act["act"], act["about"], act["operator"]) for act in told] == [
        ("pause", "sz", "mei"),
        ("discard", place, "mei"),
    ]
    assert told[0]["again"].endswith("/registries/sz/pause")
    assert told[1]["again"].startswith(f"shuangcheng set-aside discard --at {place} --why 'as mei did at ")
    assert ended.document["acts_unread"] is None


async def test_without_a_broker_it_is_restored_and_says_that_acts_were_not_read(shelf: Shelf) -> None:
    await taken(shelf)
    ended = await shelf.restore("--kafka", "127.0.0.1:1")
    assert ended.status == 0
    assert "what operators did since the backup could not be read" in ended.out
    assert await shelf.totals() == {"early": 1}
