"""The run folders on a machine with other users and other habits: umasks, and folders that somebody else made first."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli.main import app
from deploy.operate.errors import EnvironmentProblem
from deploy.tryout.local import folders

ROOT = Path(__file__).parents[3]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what belongs to another user")

UNDER_ANOTHER_UMASK = """
import asyncio
from deploy.tryout.local import folders
from deploy.tryout.local.postgres_embedded import EmbeddedPostgres

async def main():
    server = EmbeddedPostgres(folders.new_run_folder() / "postgresql")
    await server.start()
    try:
        async with server.connection() as admin:
            print("answers", await admin.fetchval("SELECT 41 + 1"))
    finally:
        await server.stop()

asyncio.run(main())
"""


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that everybody may enter (pytest's own are closed) in the place of /tmp."""
    folder = Path(tempfile.mkdtemp(prefix="shared-"))
    folder.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.delenv("SHUANGCHENG_HOME", raising=False)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def planted(shared: Path) -> Path:
    """The run folder's place, taken before the first launch."""
    folder = shared / f"shuangcheng-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o755)
    return folder


@pytest.mark.parametrize("given_home", [True, False], ids=["SHUANGCHENG_HOME", "temporary"])
async def test_under_the_umask_077_the_embedded_postgresql_starts(shared: Path, given_home: bool) -> None:
    environment = os.environ | {"TMPDIR": str(shared)}
    if given_home:
        environment["SHUANGCHENG_HOME"] = str(shared / "not" / "yet" / "there")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", UNDER_ANOTHER_UMASK),
        cwd=ROOT, env=environment, umask=0o077, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), timeout=60)
    assert (process.returncode, out.decode()) == (0, "answers 42\n"), err.decode()


@pytest.mark.skipif(os.geteuid() != 0, reason="only as root PostgreSQL is another user who must enter")
def test_a_run_folder_that_was_made_under_the_umask_077_is_opened_again(planted: Path) -> None:
    planted.chmod(0o700)
    assert stat.S_IMODE(folders.runs_folder().stat().st_mode) == 0o755


@needs_root
def test_a_run_folder_that_another_user_made_first_is_refused(planted: Path) -> None:
    os.chown(planted, 65534, 65534)
    result = CliRunner().invoke(app, ["up"])
    assert result.exit_code == 2
    assert f"{planted} belongs to another user (id 65534)" in result.output
    assert result.output.count("What to do:") == 1


@needs_root
def test_a_link_that_another_user_set_in_its_place_is_refused(planted: Path, tmp_path: Path) -> None:
    planted.rmdir()
    planted.symlink_to(tmp_path)
    os.chown(planted, 65534, 65534, follow_symlinks=False)
    with pytest.raises(EnvironmentProblem, match="belongs to another user"):
        folders.runs_folder()


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775])
def test_a_run_folder_that_others_may_write_in_is_refused(planted: Path, mode: int) -> None:
    planted.chmod(mode)
    result = CliRunner().invoke(app, ["up"])
    assert result.exit_code == 2
    assert f"others may write in {planted}" in result.output


def test_a_run_folder_is_made_so_that_it_is_accepted_again_whatever_the_umask(shared: Path) -> None:
    before = os.umask(0)
    try:
        made = folders.runs_folder()
        assert folders.runs_folder() == made
    finally:
        os.umask(before)
