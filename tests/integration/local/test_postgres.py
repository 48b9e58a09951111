"""The embedded PostgreSQL: passwords, own roles, one order of text everywhere, kill and restart."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import asyncpg
import pytest

from deploy.operate.errors import EnvironmentProblem
from deploy.tryout.local import postgres_embedded
from deploy.tryout.local.postgres import ExternalPostgres, Postgres
from deploy.tryout.local.processes import Account
from services.chassis.base.database import FAILURES
from services.chassis.base.failures import is_transient
from tests.conftest import NewDatabase


async def test_a_database_has_ranges_in_constraints_and_sorts_by_code_point(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        await connection.execute(
            "CREATE TABLE taken (who int, during int4range, EXCLUDE USING gist (who WITH =, during WITH &&))"
        )
        await connection.execute("INSERT INTO taken VALUES (1, '[1,5)'), (1, '[5,9)'), (2, '[1,9)')")
        with pytest.raises(asyncpg.ExclusionViolationError):
            await connection.execute("INSERT INTO taken VALUES (1, '[4,6)')")
        order = await connection.fetchval("SELECT string_agg(w, '' ORDER BY w) FROM unnest('{中,b,B,a,广}'::text[]) w")
        assert order == "Bab中广"
        assert await connection.fetchval("SELECT upper('é')") == "É", "the character type is Unicode's"
    finally:
        await connection.close()


async def test_a_copy_of_a_template_holds_what_the_template_holds(
    postgres: Postgres, new_database: NewDatabase
) -> None:
    template = await postgres.create_database("tpl_of_a_test", owner="tester")
    connection = await asyncpg.connect(template)
    await connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    await connection.close()
    copy = await asyncpg.connect(await new_database(template="tpl_of_a_test"))
    try:
        assert await copy.fetchval("SELECT number FROM kept") == 7
        await copy.execute("INSERT INTO kept VALUES (8)")
    finally:
        await copy.close()
    await postgres.drop_database("tpl_of_a_test")


async def test_nobody_enters_without_the_password(own_postgres: Postgres) -> None:
    dsn = await own_postgres.create_database("guarded")
    password = dsn.partition("guarded:")[2].partition("@")[0]
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(dsn.replace(password, "guess"))


async def test_databases_of_one_owner_may_be_made_at_the_same_time(own_postgres: Postgres) -> None:
    names = [f"twin_{number}" for number in range(4)]
    made = await asyncio.gather(*(own_postgres.create_database(name, owner="parent") for name in names))
    for dsn in made:
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("SELECT current_user") == "parent"
        await connection.close()


async def test_a_role_is_no_superuser(own_postgres: Postgres) -> None:
    connection = await asyncpg.connect(await own_postgres.create_database("plain"))
    try:
        assert not await connection.fetchval(
            "SELECT rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
        )
    finally:
        await connection.close()


async def test_after_a_kill_it_is_back_on_the_same_port_with_what_was_committed(own_postgres: Postgres) -> None:
    dsn = await own_postgres.create_database("survives")
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    pid = own_postgres.pid
    await own_postgres.kill()
    try:
        with pytest.raises(FAILURES) as met:
            await connection.fetchval("SELECT 1")
        assert is_transient(met.value)
    finally:
        await own_postgres.restart()
    assert own_postgres.pid not in (None, pid)
    again = await asyncpg.connect(dsn)
    try:
        assert await again.fetchval("SELECT number FROM kept") == 7
    finally:
        await again.close()


async def test_on_a_server_of_others_everything_made_is_dropped_at_the_end(own_postgres: Postgres) -> None:
    theirs = ExternalPostgres(own_postgres.admin_dsn)
    await theirs.start()
    connection = await asyncpg.connect(await theirs.create_database("bridge"))
    assert (await connection.fetchval("SELECT current_database()")).endswith("_bridge")
    await theirs.stop()
    async with own_postgres.connection() as admin:
        left = await admin.fetchval(
            "SELECT (SELECT count(*) FROM pg_database WHERE starts_with(datname, $1))"
            " + (SELECT count(*) FROM pg_roles WHERE starts_with(rolname, $1))",
            theirs.prefix,
        )
    assert left == 0


@pytest.mark.parametrize(
    ("dsn", "wrong"),
    [
        ("mysql://root@localhost/x", "does not begin with postgresql://"),
        ("nonsense", "is no postgresql://user:password@host:port/database"),
        ("postgresql:///nohost", "names no host"),
        ("postgresql://u:secret@host:abc/x", "is no postgresql://user:password@host:port/database"),
        ("postgresql://u:secret@host:70000/x", "has a host or port that is none"),
        ("postgresql://u:secret@[::1/x", "is no postgresql://user:password@host:port/database"),
    ],
)
def test_a_dsn_of_another_form_is_refused(dsn: str, wrong: str) -> None:
    with pytest.raises(EnvironmentProblem, match=f"SHUANGCHENG_POSTGRES {wrong}") as raised:
        ExternalPostgres(dsn)
    assert "secret" not in str(raised.value)


async def test_a_server_that_is_not_there_is_one_message() -> None:
    with pytest.raises(EnvironmentProblem, match=r"PostgreSQL at 127\.0\.0\.1:1 cannot be used"):
        await ExternalPostgres("postgresql://nobody:x@127.0.0.1:1/x").start()


def test_where_nobody_cannot_enter_the_installation_a_whole_copy_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SHUANGCHENG_HOME", str(tmp_path))
    monkeypatch.setattr(postgres_embedded, "_reachable", lambda folder: folder.is_relative_to(tmp_path))
    programs = postgres_embedded._programs(Account(65534, 65534))
    assert programs.is_relative_to(tmp_path)
    for program in ("initdb", "postgres"):  # they run only with the shared libraries beside them
        shown = subprocess.run([programs / program, "--version"], capture_output=True, text=True, check=True)
        assert "PostgreSQL" in shown.stdout
