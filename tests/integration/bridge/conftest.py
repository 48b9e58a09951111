"""The tables of the bridge, on a fresh database."""

from __future__ import annotations

import pytest

from tests.conftest import NewDatabase
from tests.support.templates import migrations_of


@pytest.fixture
async def database(new_database: NewDatabase) -> str:
    """The DSN of a fresh database of bridge."""
    return await new_database(migrated=migrations_of("bridge"))
