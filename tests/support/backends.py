"""Broker and database of a test session, chosen and started once, named in the header with the reason."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from deploy.operate.errors import LocalError
from deploy.tryout.local import brokers, folders
from deploy.tryout.local.broker import Broker
from deploy.tryout.local.postgres import Postgres
from deploy.tryout.local.servers import postgres


@dataclass
class Backends:
    """Chosen when the session begins; each is started by the first test that needs it."""

    folder: Path | None = None
    broker: Broker | None = None
    broker_says: str = ""
    postgres: Postgres | None = None

    @classmethod
    def choose(cls) -> Backends:
        """Choose by SHUANGCHENG_BROKER (`auto` when it is not set) and SHUANGCHENG_POSTGRES."""
        chosen = cls()
        try:
            chosen.folder = folders.new_run_folder("test")
            choice = asyncio.run(brokers.choose(None, chosen.folder / "broker", default="auto"))
            if choice.broker.kind == "address":
                asyncio.run(choice.broker.start())  # only by asking it is known whether it is Apache Kafka
            chosen.postgres = postgres(chosen.folder / "postgresql")
        except LocalError as error:
            chosen.broker_says = str(error)
            return chosen
        chosen.broker = choice.broker
        chosen.broker_says = f"{choice.broker.kind} {choice.broker.version} ({choice.reason})"
        return chosen

    def header(self) -> list[str]:
        """Give the lines for pytest's header."""
        database = f"{self.postgres.kind} PostgreSQL" if self.postgres else "none"
        reals = "must run" if real_kafka_required() else "are skipped on the embedded broker"
        return [f"broker: {self.broker_says}", f"database: {database}", f"real_kafka tests: {reals}"]

    def lacks_real_kafka(self) -> str:
        """Give the reason why tests marked `real_kafka` cannot run, or nothing."""
        if self.broker is None:
            return self.broker_says
        return "" if self.broker.real_kafka else f"needs Apache Kafka, and the broker is {self.broker_says}"


def real_kafka_required() -> bool:
    """Tell whether REQUIRE_REAL_KAFKA asks that a skip for lack of Kafka be a failure."""
    return os.environ.get("REQUIRE_REAL_KAFKA", "") not in {"", "0"}
