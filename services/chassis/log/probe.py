"""Whether the broker answers. The broker itself is asked, since clients that have nothing to do notice nothing."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from services.chassis.base.settings import Settings

__all__ = ["BrokerProbe"]

_SECONDS: Final = 2.0
_AGE: Final = 2.0


class BrokerProbe:
    """A metadata request on a connection of its own. It takes at most 2 s, and its answer holds for 2 s."""

    def __init__(self, settings: Settings, client: str) -> None:
        self.settings = settings
        self._name = client
        self._client: AIOKafkaClient | None = None
        self._answer = False
        self._asked_at = float("-inf")
        self._one_at_a_time = asyncio.Lock()

    async def answers(self) -> bool:
        """Whether the broker answered when it was last asked, which is now or a moment ago."""
        async with self._one_at_a_time:
            loop = asyncio.get_running_loop()
            if loop.time() - self._asked_at > _AGE:
                self._answer = await self._ask()
                self._asked_at = loop.time()
            return self._answer

    async def close(self) -> None:
        """Give the connection back."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(TimeoutError, KafkaError, OSError):
                await asyncio.wait_for(client.close(), 1)

    async def _ask(self) -> bool:
        try:
            async with asyncio.timeout(_SECONDS):
                if self._client is None:
                    self._client = AIOKafkaClient(
                        bootstrap_servers=self.settings.kafka,
                        client_id=self._name,
                        request_timeout_ms=int(_SECONDS * 1000),
                    )
                    await self._client.bootstrap()
                await self._client.fetch_all_metadata()
        except (TimeoutError, KafkaError, OSError):
            await self.close()  # or the next request would wait for this one's answer
            return False
        return True
