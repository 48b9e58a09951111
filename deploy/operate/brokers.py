"""A broker that a user names: its address, whether it answers, and whether it offers idempotence."""

from __future__ import annotations

import asyncio

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import KafkaError
from aiokafka.protocol.transaction import InitProducerIdRequest

from deploy.addresses import require_brokers
from deploy.operate.errors import EnvironmentProblem, words
from deploy.operate.waiting import wait_until_done

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

    def late(silence: str) -> EnvironmentProblem:
        return EnvironmentProblem(
            f"no Kafka broker answers at {address}: {silence}",
            todo="check the address; check also that this machine reaches the address that the broker advertises",
        )

    await wait_until_done(lambda: _silence(address, groups), late, seconds=seconds)


async def _silence(address: str, groups: bool) -> str | None:
    """Why no broker answers at this address; None where a broker answers."""
    client = AIOKafkaClient(bootstrap_servers=address, request_timeout_ms=5000)
    try:
        await client.bootstrap()
        if groups:
            await client.coordinator_lookup(CoordinationType.GROUP, "anyone")
    except (KafkaError, OSError, TimeoutError) as error:
        return words(error)
    finally:
        await client.close()
    return None


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
