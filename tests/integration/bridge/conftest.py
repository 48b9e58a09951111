"""The tables of the bridge, on a fresh database."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from services.bridge import service
from tests.conftest import NewDatabase

MIGRATIONS: Final = Path(service.__file__).parent / "migrations"


@pytest.fixture
async def database(new_database: NewDatabase) -> str:
    """The DSN of a fresh database of bridge."""
    return await new_database(migrated=MIGRATIONS)
