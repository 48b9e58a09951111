"""What a replay works with: Kafka and PostgreSQL; in tests also a log and a database in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.chassis.base.database import Connection
from services.chassis.base.settings import Settings
from services.chassis.batch.processing import Processor
from services.chassis.batch.storage import POSTGRES, Storage
from services.chassis.log import kafka

__all__ = ["PRODUCTION", "Means"]


@dataclass(frozen=True)
class Means:
    """``session`` gives a connection for batches alone. For the others see ``kafka.py`` and ``storage.py``."""

    storage: Storage = POSTGRES
    partition_counts: Callable[[Settings], Awaitable[Mapping[str, int]]] = kafka.partition_counts
    open_reader: Callable[[Settings, str, Iterable[TopicPartition]], Awaitable[AIOKafkaConsumer]] = kafka.open_reader
    session: Callable[[Processor, str], Awaitable[Connection]] = Processor.session


PRODUCTION: Final = Means()
