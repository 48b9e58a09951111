"""Servers that are not there, do not let us in or die under way: one message, what to do, status 2, and no trace."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.audit import databases_on
from deploy.operate.ports import free_port
from deploy.tryout.local.postgres import ExternalPostgres, Postgres
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[3]
UP = ("-m", "deploy.cli.main", "up", "--broker", "embedded")
DATABASES = ("-m", "deploy.compose.databases", "identity", "bridge")
SECRETS = ("-m", "deploy.compose.secret_files")

UP_UNTIL_TOLD = """
import asyncio, sys
from tests.integration.local.test_launcher import TABLE, options
from deploy.cli.main import app
from deploy.operate.outcome import outcome
from deploy.tryout.local.stack import Stack

async def main():
    async with Stack(options(), table=TABLE) as stack:
        print("up", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await stack.postgres.create_database("late")

sys.exit(outcome(main()))
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    said: str


async def started(arguments: tuple[str, ...], **variables: str) -> asyncio.subprocess.Process:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SHUANGCHENG_", "PG"))}
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments), cwd=ROOT, env=inherited | variables, stdin=pipe, stdout=pipe, stderr=pipe
    )


async def end(process: asyncio.subprocess.Process, stdin: bytes = b"") -> Ended:
    try:
        _, said = await asyncio.wait_for(process.communicate(stdin), timeout=60)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    return Ended(process.returncode, said.decode())


async def refused(arguments: tuple[str, ...], **variables: str) -> str:
    """Run a command that must end with status 2 and one message, and give what it said."""
    ended = await end(await started(arguments, **variables))
    assert ended.status == 2, ended.said
    assert "Traceback" not in ended.said
    assert ended.said.count("shuangcheng: ") == ended.said.count("What to do:") == 1, ended.said
    return ended.said


async def made_there(server: Postgres, prefix: str) -> int:
    async with server.connection() as admin:
        return int(
            await admin.fetchval(
                "SELECT (SELECT count(*) FROM pg_database WHERE starts_with(datname, $1))"
                " + (SELECT count(*) FROM pg_roles WHERE starts_with(rolname, $1))",
                prefix,
            )
        )


async def test_a_wrong_password_is_said_although_stopping_fails_on_it_too(postgres: Postgres) -> None:
    wrong = re.sub(r":[^:@]+@", ":wrong@", postgres.admin_dsn)
    said = await refused(UP, SHUANGCHENG_POSTGRES=wrong)
    assert 'cannot be used: password authentication failed for user "postgres"' in said
    assert "check SHUANGCHENG_POSTGRES" in said


async def test_an_address_where_nobody_listens_is_said_with_the_variable_that_names_it() -> None:
    port = free_port()
    said = await refused(UP, SHUANGCHENG_POSTGRES=f"postgresql://postgres:x@127.0.0.1:{port}/postgres")
    assert f"PostgreSQL at 127.0.0.1:{port} cannot be used" in said
    assert "check SHUANGCHENG_POSTGRES" in said


async def test_a_user_who_may_make_databases_but_no_roles_is_refused_before_anything_is_made(
    own_postgres: Postgres,
) -> None:
    async with own_postgres.connection() as admin:
        await admin.execute("CREATE ROLE half LOGIN CREATEDB PASSWORD 'half'")
    before = await made_there(own_postgres, "sc_")
    where = urlsplit(own_postgres.admin_dsn)
    said = await refused(UP, SHUANGCHENG_POSTGRES=f"postgresql://half:half@{where.hostname}:{where.port}/postgres")
    assert "is no superuser" in said
    assert await made_there(own_postgres, "sc_") == before


async def stranger_answers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()


async def test_what_answers_but_is_no_postgresql_is_one_message() -> None:
    async with await asyncio.start_server(stranger_answers, "127.0.0.1", 0) as stranger:
        port = stranger.sockets[0].getsockname()[1]
        said = await refused(UP, SHUANGCHENG_POSTGRES=f"postgresql://u:p@127.0.0.1:{port}/x")
    assert f"PostgreSQL at 127.0.0.1:{port} cannot be used: " in said


async def test_what_answers_but_is_no_kafka_is_one_message() -> None:
    async with await asyncio.start_server(stranger_answers, "127.0.0.1", 0) as stranger:
        port = stranger.sockets[0].getsockname()[1]
        command = ("-m", "deploy.cli.main", "topics", "--registries", "gz", "--kafka", f"127.0.0.1:{port}")
        said = await refused(command)
    assert f"no Kafka broker answers at 127.0.0.1:{port}: " in said


async def test_a_postgresql_that_dies_under_way_is_told_first_and_what_stays_on_it_after_that(
    own_postgres: Postgres,
) -> None:
    launcher = await started(("-c", UP_UNTIL_TOLD), SHUANGCHENG_POSTGRES=own_postgres.admin_dsn)
    assert launcher.stdout is not None
    assert await asyncio.wait_for(launcher.stdout.readline(), timeout=60) == b"up\n"
    await own_postgres.kill()
    ended = await end(launcher, b"now\n")
    assert ended.status == 2, ended.said
    assert "Traceback" not in ended.said
    first, *notes = ended.said[ended.said.index("shuangcheng: ") :].splitlines()
    assert "see whether broker, database and services answer" in notes[0], first
    found = re.search(
        r"While it was stopped: PostgreSQL at .* did not drop what was made there.*\n.* (sc_\w+_)", ended.said
    )
    assert found is not None, ended.said
    await own_postgres.restart()
    assert await made_there(own_postgres, found[1]) > 0


async def test_a_launch_that_is_cancelled_while_a_database_is_made_drops_it_too(own_postgres: Postgres) -> None:
    theirs = ExternalPostgres(own_postgres.admin_dsn)
    await theirs.start()
    cancelled = False
    for name in ("half_a", "half_b", "half_c", "half_d", "half_e"):
        making = asyncio.create_task(theirs.create_database(name))
        await eventually(partial(made_there, own_postgres, f"{theirs.prefix}{name}"), every=0.001, what="its role")
        making.cancel()
        try:
            await making  # a quick server may have made the database already
        except asyncio.CancelledError:
            cancelled = True
            break
    assert cancelled, "none was cancelled in the middle"
    await theirs.stop()
    assert await made_there(own_postgres, theirs.prefix) == 0


class TestJobsOfCompose:
    async def test_databases_without_its_folder_names_the_variable(self) -> None:
        assert "SHUANGCHENG_SECRETS is not set" in await refused(DATABASES)

    async def test_databases_with_an_empty_folder_names_the_file_and_the_job_that_makes_it(
        self, tmp_path: Path
    ) -> None:
        said = await refused(DATABASES, SHUANGCHENG_SECRETS=str(tmp_path))
        assert f"cannot read {tmp_path}/superuser: No such file or directory" in said
        assert "run the job `secrets` first" in said

    async def test_databases_that_the_server_does_not_let_in_is_one_message(
        self, tmp_path: Path, postgres: Postgres
    ) -> None:
        for name in ("superuser", "identity.scram", "bridge.scram", "audit.scram"):
            (tmp_path / name).write_text("wrong")
        where = urlsplit(postgres.admin_dsn)
        said = await refused(
            DATABASES, SHUANGCHENG_SECRETS=str(tmp_path), PGUSER="postgres", PGHOST=str(where.hostname),
            PGPORT=str(where.port),
        )  # fmt: skip
        assert "PostgreSQL: password authentication failed" in said

    async def test_databases_are_made_where_the_server_lets_it_in(self, tmp_path: Path, own_postgres: Postgres) -> None:
        where = urlsplit(own_postgres.admin_dsn)
        (tmp_path / "superuser").write_text(str(where.password))
        for name in ("identity", "bridge", "audit"):
            (tmp_path / f"{name}.scram").write_text("a password")
        told = {"PGUSER": "postgres", "PGHOST": str(where.hostname), "PGPORT": str(where.port)}
        for _ in range(2):
            ended = await end(await started(DATABASES, SHUANGCHENG_SECRETS=str(tmp_path), **told))
            assert ended == Ended(0, "")
        place = f"{where.hostname}:{where.port}"
        connection = await asyncpg.connect(f"postgresql://bridge:a%20password@{place}/bridge")
        await connection.execute(
            "CREATE TABLE transfer (id int); CREATE VIEW audit_transfer AS SELECT id FROM transfer"
        )
        await connection.execute("GRANT SELECT ON audit_transfer TO PUBLIC")
        await connection.close()
        auditor = await databases_on(f"postgresql://audit:a%20password@{place}/identity")
        assert set(auditor) == {"identity", "bridge"}
        connection = await asyncpg.connect(auditor["bridge"])
        assert await connection.fetch("TABLE audit_transfer") == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("TABLE transfer")
        await connection.close()

    async def test_secrets_without_its_volumes_names_the_place_and_what_to_mount(self, tmp_path: Path) -> None:
        command = (*SECRETS, str(tmp_path / "nowhere"))
        said = await refused(command, SHUANGCHENG_REGISTRIES=str(ROOT / "deploy" / "registries"))
        assert f"cannot write {tmp_path}/nowhere/postgres" in said

    async def test_secrets_without_registries_names_the_variable(self, tmp_path: Path) -> None:
        assert "SHUANGCHENG_REGISTRIES is not set" in await refused((*SECRETS, str(tmp_path)))
