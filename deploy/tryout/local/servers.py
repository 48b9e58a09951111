"""The PostgreSQL server of a launch: a server that somebody runs already, or an embedded server."""

from __future__ import annotations

import os
from pathlib import Path

from deploy.tryout.local.postgres import ExternalPostgres, Postgres
from deploy.tryout.local.postgres_embedded import EmbeddedPostgres

__all__ = ["postgres"]


def postgres(folder: Path) -> Postgres:
    """Give the server that SHUANGCHENG_POSTGRES names, or else an embedded one with its files in `folder`."""
    dsn = os.environ.get("SHUANGCHENG_POSTGRES", "")
    return ExternalPostgres(dsn) if dsn else EmbeddedPostgres(folder)
