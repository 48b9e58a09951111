"""Where things lie: a run folder per launch, and a cache folder per user. SHUANGCHENG_HOME moves both."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

from deploy.local.errors import EnvironmentProblem

MINIMUM_FREE_BYTES = 300 * 1024 * 1024
KEPT_RUNS = 3


def home() -> Path | None:
    """Give the folder that SHUANGCHENG_HOME names, or None."""
    value = os.environ.get("SHUANGCHENG_HOME", "")
    return Path(value).expanduser().absolute() if value else None


def cache_folder() -> Path:
    """Give the per-user folder for what is fetched once (Kafka's jars); made on demand, safe to delete."""
    base = home()
    if base is not None:
        return _made(base / "cache")
    cache_home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return _made(Path(cache_home) / "shuangcheng")


def runs_folder() -> Path:
    """Give the folder that holds the run folders. Not below a home folder: as root, PostgreSQL runs as another user."""
    base = home()
    return _made(base / "runs" if base else Path(tempfile.gettempdir()) / f"shuangcheng-{os.getuid()}")


def new_run_folder(label: str = "run") -> Path:
    """Make a fresh run folder that was proven to be writable, and drop those of runs long gone."""
    parent = runs_folder()
    check_room(parent)
    _drop_old_runs(parent)
    stamp = time.strftime("%m%d-%H%M%S")
    folder = Path(tempfile.mkdtemp(prefix=f"{label}-{stamp}-{os.getpid()}-", dir=parent))
    folder.chmod(0o755)
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


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error) from error
    return folder


def _unusable(folder: Path, error: OSError) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"cannot write to {folder}: {error.strerror or error}",
        todo="set SHUANGCHENG_HOME to a writable folder with some space",
    )


def _drop_old_runs(parent: Path) -> None:
    """Delete run folders whose launcher is gone, except the newest few: their logs may still be wanted."""
    gone = [folder for folder in parent.iterdir() if folder.is_dir() and not _launcher_lives(folder)]
    gone.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in gone[KEPT_RUNS:]:
        shutil.rmtree(folder, ignore_errors=True)


def _launcher_lives(folder: Path) -> bool:
    """Tell whether the process named in the folder still runs; a folder of another form is left alone."""
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
