"""`shuangcheng backup` of databases that are written meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import stat

import asyncpg
import pytest

from tests.integration.backup.conftest import SECRET, Shelf
from tests.support.waiting import eventually


def names_beside(shelf: Shelf) -> list[str]:
    return sorted(name for name in os.listdir(shelf.folder) if "backup" in name)


async def test_a_backup_that_is_taken_while_rows_are_written_is_of_one_moment(shelf: Shelf) -> None:
    """Each transaction writes a row and the position that stands for it, as a batch of a service does."""
    written = asyncio.Event()
    stopping = asyncio.Event()

    async def write() -> int:
        db = await asyncpg.connect(shelf.dsn[shelf.service])
        await db.execute("INSERT INTO consumed (grp, topic, partition, next_offset) VALUES ('g', 'in.v1', 0, 0)")
        count = 0
        while not stopping.is_set():
            async with db.transaction():
                await db.execute("INSERT INTO total (ref, minutes, seen) VALUES ($1, 1, '[]')", f"v{count}")
                await db.execute("UPDATE consumed SET next_offset = next_offset + 1")
            count += 1
            if count == 100:
                written.set()
        await db.close()
        return count

    writing = asyncio.create_task(write())
    await asyncio.wait_for(written.wait(), timeout=120)
    taken = (await shelf.take())["databases"][shelf.service]
    stopping.set()
    count = await writing
    [position] = taken["consumed"]
    assert 100 <= taken["rows"]["public.total"] < count
    assert position["next_offset"] == taken["rows"]["public.total"]
    assert (position["group"], position["topic"], position["partition"]) == ("g", "in.v1", 0)
    assert (await shelf.restore()).status == 0
    assert len(await shelf.totals()) == await shelf.ask(shelf.service, "SELECT next_offset FROM consumed")
    assert len(await shelf.totals()) == taken["rows"]["public.total"]


async def test_the_manifest_tells_what_a_restoration_has_to_know_and_no_secret_stands_in_it(shelf: Shelf) -> None:
    (shelf.secret.parent / "password").write_text("a-password-of-postgresql")
    manifest = await shelf.take(shelf.service, shelf.stranger)
    ours, theirs = manifest["databases"][shelf.service], manifest["databases"][shelf.stranger]
    for one in (ours, theirs):
        content = (shelf.backup / one["file"]).read_bytes()
        assert (one["bytes"], one["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert (one["server"], one["owner"]) == (shelf.postgres.version, "tester")
    assert (ours["service"], theirs["service"]) == (True, False)
    assert ours["migrations"][0] == "chassis/0001_chassis.sql"
    assert theirs["rows"] == {"public.ledger": 2}
    password = hashlib.sha256(b"a-password-of-postgresql").hexdigest()
    assert manifest["secrets"][f"{shelf.service}/password"] == password
    text = (shelf.backup / "manifest.json").read_text()
    assert SECRET not in text
    assert "a-password-of-postgresql" not in text
    naming = shelf.backup / manifest["naming"][shelf.service]["file"]
    assert naming.read_text() == SECRET
    modes = {stat.S_IMODE(path.stat().st_mode) for path in shelf.backup.iterdir()}
    assert (stat.S_IMODE(shelf.backup.stat().st_mode), modes) == (0o700, {0o600})


async def test_all_databases_with_a_role_of_their_own_are_backed_up_and_none_that_a_restoration_keeps(
    shelf: Shelf,
) -> None:
    await shelf.ask("postgres", f'CREATE DATABASE "{shelf.service}_before_20260815_103000" OWNER tester')
    ended = await shelf.run("backup", str(shelf.backup), "--all", "--without-secrets", "--json")
    assert ended.status == 0, ended.said
    assert {shelf.service, shelf.stranger} <= set(ended.document["databases"])
    assert not {"postgres", "template", f"{shelf.service}_before_20260815_103000"} & set(ended.document["databases"])


async def test_a_folder_that_is_there_is_never_written_over(shelf: Shelf) -> None:
    await shelf.take()
    before = (shelf.backup / "manifest.json").read_bytes()
    again = await shelf.run("backup", str(shelf.backup), shelf.service, *shelf.secrets())
    assert (again.status, again.out) == (2, "")
    assert "is there already" in again.said
    assert (shelf.backup / "manifest.json").read_bytes() == before


async def test_a_service_without_its_naming_secret_is_not_backed_up_unless_one_says_so(shelf: Shelf) -> None:
    shelf.secret.unlink()
    ended = await shelf.run("backup", str(shelf.backup), shelf.service, *shelf.secrets())
    assert ended.status == 2
    assert "--without-secrets" in ended.said
    assert names_beside(shelf) == []
    stranger = await shelf.run("backup", str(shelf.backup), shelf.stranger, *shelf.secrets())
    assert stranger.status == 0


async def test_a_program_that_is_older_than_the_server_is_refused_before_anything_is_written(shelf: Shelf) -> None:
    shelf.instead("pg_dump", 'echo "pg_dump (PostgreSQL) 17.2"')
    ended = await shelf.run("backup", str(shelf.backup), shelf.service, *shelf.secrets())
    assert (ended.status, names_beside(shelf)) == (2, [])
    assert f"pg_dump is of PostgreSQL 17.2, the server at 127.0.0.1:{shelf.postgres.port} is" in ended.said  # type: ignore[attr-defined]
    assert "SHUANGCHENG_PG_BIN" in ended.said


async def test_a_disk_that_is_full_leaves_nothing_that_looks_like_a_backup(shelf: Shelf) -> None:
    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    ended = await shelf.run("backup", str(shelf.backup), shelf.service, *shelf.secrets(), before=small)
    assert (ended.status, names_beside(shelf)) == (1, [])
    assert "nothing of this backup is kept" in ended.said


@pytest.mark.parametrize("orderly", [True, False], ids=["interrupted", "killed"])
async def test_a_backup_that_is_ended_in_between_is_none_and_the_next_one_is(shelf: Shelf, orderly: bool) -> None:
    shelf.instead(
        "pg_dump",
        f'case "$1" in --version) exec $REAL/pg_dump "$@";; esac; echo $$ > {shelf.folder}/pid; exec sleep 600',
    )
    process = await shelf.start("backup", str(shelf.backup), shelf.service, *shelf.secrets())
    pid = int(await eventually(lambda: (shelf.folder / "pid").exists() and (shelf.folder / "pid").read_text().strip()))
    if orderly:
        process.terminate()
        assert await process.wait() == 130
        assert names_beside(shelf) == []
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    else:
        process.kill()
        await process.wait()
        os.kill(pid, 9)
        [part] = names_beside(shelf)
        assert part.startswith(".backup.part-")
        assert (await shelf.run("restore", str(shelf.folder / part), shelf.service, *shelf.secrets())).status == 2
    shelf.more.clear()
    await shelf.take()


async def test_a_password_is_on_no_command_line(shelf: Shelf) -> None:
    shelf.instead("pg_dump", f'echo "$@" >> {shelf.folder}/arguments; exec $REAL/pg_dump "$@"')
    shelf.instead("psql", f'echo "$@" >> {shelf.folder}/arguments; exec $REAL/psql "$@"')
    await shelf.take()
    password = shelf.postgres.admin_dsn.split(":")[2].split("@")[0]
    assert len(password) > 10
    assert password not in (shelf.folder / "arguments").read_text()
