"""Fixtures of all tests: one broker and one PostgreSQL a process, a fresh database a test, unique names."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import pytest

from deploy.addresses import forget_libpq_variables
from deploy.tryout.local.broker import Broker
from deploy.tryout.local.postgres import Postgres
from tests.support.backends import Backends, real_kafka_required
from tests.support.collecting import left_out
from tests.support.templates import Templates

_backends = pytest.StashKey[Backends]()


class NewDatabase(Protocol):
    """What the fixture `new_database` gives."""

    async def __call__(self, template: str | None = None, *, migrated: Path | None = None) -> str: ...


def pytest_configure(config: pytest.Config) -> None:
    forget_libpq_variables()
    config.stash[_backends] = Backends.choose()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return left_out(collection_path, config.option.markexpr, config.args) or None


def pytest_report_header(config: pytest.Config) -> list[str]:
    each = ["each worker has a broker and a database of its own"] if config.getoption("numprocesses", None) else []
    return config.stash[_backends].header() + each


def pytest_unconfigure(config: pytest.Config) -> None:
    backends = config.stash.get(_backends, None)
    if backends is not None and backends.folder is not None:
        shutil.rmtree(backends.folder, ignore_errors=True)


def pytest_runtest_setup(item: pytest.Item) -> None:
    reason = item.config.stash[_backends].lacks_real_kafka() if item.get_closest_marker("real_kafka") else ""
    if reason and real_kafka_required():
        pytest.fail(f"{reason}; REQUIRE_REAL_KAFKA forbids to skip this", pytrace=False)
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def backends(pytestconfig: pytest.Config) -> Backends:
    """What was chosen for this session."""
    return pytestconfig.stash[_backends]


@pytest.fixture(scope="session")
async def broker(backends: Backends) -> AsyncIterator[Broker]:
    """A running broker for the session. Topic names are shared by all tests: take them from `unique`."""
    if backends.broker is None:
        pytest.fail(backends.broker_says)
    try:
        await backends.broker.start()
        yield backends.broker
    finally:
        await backends.broker.stop()


@pytest.fixture(scope="session")
async def postgres(backends: Backends) -> AsyncIterator[Postgres]:
    """A running PostgreSQL for the session."""
    if backends.postgres is None:
        pytest.fail(backends.broker_says)
    try:
        await backends.postgres.start()
        yield backends.postgres
    finally:
        await backends.postgres.stop()


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Make names that no other test uses, for topics and consumer groups: `unique("orders")`."""
    suffix = uuid.uuid4().hex[:10]
    return lambda name: f"{name}-{suffix}"


@pytest.fixture(scope="session")
async def templates(postgres: Postgres) -> Templates:
    """Migrated databases to be copied."""
    return Templates(postgres)


@pytest.fixture
async def new_database(postgres: Postgres, templates: Templates) -> AsyncIterator[NewDatabase]:
    """Make fresh databases (btree_gist is in each), dropped after the test: `dsn = await new_database()`.

    With `template`, copies of a database that a session-wide fixture made and filled for the owner `tester`. With
    `migrated`, the migrations of this folder and of the chassis have been applied.
    """
    names: list[str] = []

    async def make(template: str | None = None, *, migrated: Path | None = None) -> str:
        if migrated is not None:
            template = await templates.of(migrated)
        names.append(f"t_{uuid.uuid4().hex[:12]}")
        return await postgres.create_database(names[-1], owner="tester", template=template)

    yield make
    for name in names:
        await postgres.drop_database(name)


@pytest.fixture
async def database(new_database: NewDatabase) -> str:
    """The DSN of a fresh, empty database."""
    return await new_database()
