"""The folders on this machine: a run folder for each launch, and a cache folder for each user. SHUANGCHENG_HOME moves
both."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

from deploy.operate.errors import EnvironmentProblem

MINIMUM_FREE_BYTES = 300 * 1024 * 1024
KEPT_RUNS = 3
OPEN_TO_READERS = 0o755


def home() -> Path | None:
    """Give the folder that SHUANGCHENG_HOME names, or None."""
    value = os.environ.get("SHUANGCHENG_HOME", "")
    return Path(value).expanduser().absolute() if value else None


def cache_folder() -> Path:
    """Give the user's folder for files that are fetched once (Kafka's jars). It is made on demand and safe to
    delete."""
    base = home()
    cache_home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = base / "cache" if base else Path(cache_home) / "shuangcheng"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error) from error
    return folder


def runs_folder() -> Path:
    """Give the folder of the run folders. Nobody else may write in it. Raises EnvironmentProblem.

    It is not below a home folder: as root, PostgreSQL runs as another user.
    """
    base = home()
    folder = base / "runs" if base else Path(tempfile.gettempdir()) / f"shuangcheng-{os.getuid()}"
    try:
        open_folder(folder)
    except OSError as error:
        raise _unusable(folder, error) from error
    require_own(folder)
    if os.geteuid() == 0:
        folder.chmod(OPEN_TO_READERS)  # it may have been made under another umask
    return folder


def require_own(folder: Path) -> None:
    """Raise EnvironmentProblem when others may have put files there: programs in this folder are started.

    In a folder that everybody shares, such as /tmp, anybody can be the first to make a folder of this name.
    """
    owners = {folder.lstat().st_uid, folder.stat().st_uid}
    foreign = owners - {os.geteuid()}
    if foreign:
        problem = f"{folder} belongs to another user (id {min(foreign)})"
    elif folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        problem = f"others may write in {folder}"
    else:
        return
    raise EnvironmentProblem(
        f"{problem}, so what lies there cannot be trusted",
        todo="remove it, or set SHUANGCHENG_HOME to a folder of your own",
    )


def new_run_folder(label: str = "run") -> Path:
    """Make a new run folder that is proven to be writable, and delete those of old runs."""
    parent = runs_folder()
    check_room(parent)
    _drop_old_runs(parent)
    stamp = time.strftime("%m%d-%H%M%S")
    folder = Path(tempfile.mkdtemp(prefix=f"{label}-{stamp}-{os.getpid()}-", dir=parent))
    folder.chmod(OPEN_TO_READERS)
    return folder


def check_room(folder: Path) -> None:
    """Raise EnvironmentProblem when the folder cannot be written or its disk is nearly full."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as probe:
            probe.write(b"\0" * 65536)
            probe.flush()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise _unusable(folder, error) from error
    if free < MINIMUM_FREE_BYTES:
        raise EnvironmentProblem(
            f"only {free // 2**20} MB are free for {folder}; at least {MINIMUM_FREE_BYTES // 2**20} MB are needed",
            todo="free some space, or set SHUANGCHENG_HOME to a folder on another disk",
        )


def open_folder(folder: Path) -> None:
    """Make a folder with its missing parents; leave a folder that is there. Made by root, it can be entered by
    everybody, whatever the umask: PostgreSQL has its data in it, and then runs as another user."""
    if folder.is_dir():
        return
    open_folder(folder.parent)
    try:
        folder.mkdir(mode=OPEN_TO_READERS)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return  # another launch was faster
    if os.geteuid() == 0:
        folder.chmod(OPEN_TO_READERS)


def _unusable(folder: Path, error: OSError) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"cannot write to {folder}: {error.strerror or error}",
        todo="set SHUANGCHENG_HOME to a writable folder with some space",
    )


def _drop_old_runs(parent: Path) -> None:
    """Delete run folders whose launcher is gone, except the newest few, whose logs may still be wanted."""
    gone = [folder for folder in parent.iterdir() if folder.is_dir() and not _launcher_lives(folder)]
    gone.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in gone[KEPT_RUNS:]:
        shutil.rmtree(folder, ignore_errors=True)


def _launcher_lives(folder: Path) -> bool:
    """Whether the process named in the folder still runs. A folder of another form counts as in use."""
    parts = folder.name.split("-")
    if len(parts) < 5 or not parts[-2].isdigit():
        return True
    try:
        os.kill(int(parts[-2]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
