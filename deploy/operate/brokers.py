"""A broker that a user names: its address, whether it answers, and whether it offers idempotence."""

from __future__ import annotations

import asyncio

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import KafkaError
from aiokafka.protocol.transaction import InitProducerIdRequest

from deploy.addresses import require_brokers
from deploy.operate.errors import EnvironmentProblem, words

__all__ = ["offers_idempotence", "parse_address", "wait_until_answering"]


def parse_address(text: str) -> tuple[str, int]:
    """Split HOST:PORT; raise EnvironmentProblem when it is not of that form."""
    host, _, port = text.rpartition(":")
    try:
        require_brokers(text)
        sound = 0 < int(port) < 65536
    except ValueError:
        sound = False
    if not sound:
        raise EnvironmentProblem(f"'{text}' is not an address", todo="give HOST:PORT, for example 127.0.0.1:9092")
    return host, int(port)


async def wait_until_answering(address: str, *, seconds: float, groups: bool = False) -> None:
    """Return once a broker answers a metadata request at this address; otherwise raise EnvironmentProblem.

    With ``groups`` it must have a coordinator for consumer groups as well. A new broker makes a topic of its own for
    groups when it is first asked; a dozen processes that start meanwhile, and ask again and again, slow it down.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while True:
        client = AIOKafkaClient(bootstrap_servers=address, request_timeout_ms=5000)
        try:
            await asyncio.wait_for(_ask(client, groups), timeout=max(0.1, end - loop.time()))
        except (KafkaError, OSError, TimeoutError) as error:
            if loop.time() >= end:
                raise EnvironmentProblem(
                    f"no Kafka broker answers at {address}: {words(error)}",
                    todo="check the address, and that the broker advertises one which this machine reaches",
                ) from error
        else:
            return
        finally:
            await client.close()
        await asyncio.sleep(0.1)


async def _ask(client: AIOKafkaClient, groups: bool) -> None:
    await client.bootstrap()
    if groups:
        await client.coordinator_lookup(CoordinationType.GROUP, "anyone")


async def offers_idempotence(address: str) -> bool:
    """Ask the broker for a producer id the way aiokafka does; the embedded broker answers with an error."""
    client = AIOKafkaClient(bootstrap_servers=address, request_timeout_ms=5000)
    try:
        await client.bootstrap()
        for _ in range(20):
            node = client.get_random_node()
            request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1000)
            answer = await client.send(node, request)
            if answer.error_code in {14, 15, 16}:  # the coordinator is still loading or unknown
                await asyncio.sleep(0.1)
                continue
            return bool(answer.error_code == 0)
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await client.close()
    return False
