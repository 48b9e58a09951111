"""Makes the topics of the contracts on a broker. Refuses to go on when a count of partitions differs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError, for_code

from deploy.operate.brokers import parse_address
from deploy.operate.errors import EnvironmentProblem, LocalError, TopicDrift, words
from deploy.operate.waiting import wait_until_done

_ALREADY_EXISTS = 36
_METADATA_SECONDS = 30.0
_OF_THE_TOPIC = 1
"""Kafka's word for a setting of a topic itself (DYNAMIC_TOPIC_CONFIG)."""


class TopicLike(Protocol):
    """The part of a topic entry that is read here."""

    @property
    def name(self) -> str:
        """The topic's name."""

    @property
    def partitions(self) -> int:
        """How many partitions it has, for ever."""

    @property
    def retention_ms(self) -> int | None:
        """How long messages are kept, in milliseconds; None: for ever."""

    @property
    def max_message_bytes(self) -> int:
        """The largest batch, as it travels."""

    @property
    def log_time(self) -> bool:
        """Whether the log stamps each record with its own time."""


@dataclass(frozen=True)
class TopicsReport:
    """The topics that `ensure_topics` found, made and changed, by name."""

    created: tuple[str, ...]
    present: tuple[str, ...]
    altered: tuple[str, ...]


async def ensure_topics(address: str, entries: Iterable[TopicLike], *, replication: int = 1) -> TopicsReport:
    """Create what is missing, give topics that exist the settings that guard their readers, and return once every
    partition has a leader. What else an operator has set for a topic stays as it is.

    Raises TopicDrift when a topic has another number of partitions than its entry, before anything is created.
    """
    parse_address(address)
    wanted = {entry.name: entry for entry in entries}
    admin = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=15000)
    try:
        await _connect(admin, address)
        existing = await _partitions(admin, set(await admin.list_topics()) & set(wanted))
        _refuse_drift(wanted, existing)
        # A topic that was made a moment ago may be without a leader, or not be listed yet: only the broker's answer to
        # its creation says that it exists already.
        created = await _create(admin, [entry for name, entry in wanted.items() if name not in existing], replication)
        await _wait_for_leaders(admin, wanted)
        present = wanted.keys() - created
        altered = await _alter(admin, {name: wanted[name] for name in present})
    except KafkaError as error:
        raise EnvironmentProblem(
            f"the broker at {address} failed while topics were made: {words(error)}",
            todo="see its log; the same command again makes what is still missing",
        ) from error
    finally:
        await admin.close()
    return TopicsReport(tuple(sorted(created)), tuple(sorted(present)), tuple(sorted(altered)))


async def _connect(admin: Any, address: str) -> None:
    try:
        await admin.start()
    except (KafkaError, OSError) as error:
        raise EnvironmentProblem(
            f"no Kafka broker answers at {address}: {words(error)}",
            todo="check the address and that the broker runs",
        ) from error


def _refuse_drift(wanted: dict[str, TopicLike], found: dict[str, int]) -> None:
    for name, count in sorted(found.items()):
        if count != wanted[name].partitions:
            raise TopicDrift(name, expected=wanted[name].partitions, found=count)


async def _create(admin: Any, entries: list[TopicLike], replication: int) -> set[str]:
    """Create these topics. Gives the names of topics that were not there."""
    if not entries:
        return set()
    new = [
        NewTopic(
            name=entry.name,
            num_partitions=entry.partitions,
            replication_factor=replication,
            topic_configs={
                "cleanup.policy": "delete",
                "retention.ms": str(-1 if entry.retention_ms is None else entry.retention_ms),
                **_guarding(entry),
            },
        )
        for entry in entries
    ]
    answer = await admin.create_topics(new)
    for name, code, *message in answer.topic_errors:
        if code not in {0, _ALREADY_EXISTS}:
            raise LocalError(f"the broker refused to create {name}: {for_code(code).__name__} {message or ''}".strip())
    return {name for name, code, *_ in answer.topic_errors if code == 0}


def _guarding(entry: TopicLike) -> dict[str, str]:
    """The settings that a topic gets even if it exists already."""
    stamp = {"message.timestamp.type": "LogAppendTime"} if entry.log_time else {}
    return {"max.message.bytes": str(entry.max_message_bytes), **stamp}


async def _alter(admin: Any, entries: dict[str, TopicLike]) -> list[str]:
    """Set the settings that differ. Gives the names of the changed topics. The embedded broker takes no settings, and
    is left alone."""
    found = await _own_settings(admin, list(entries))
    wanted = {name: found[name] | _guarding(entry) for name, entry in entries.items() if name in found}
    changed = [name for name, settings in wanted.items() if settings != found[name]]
    if changed:
        # This request replaces all settings of a topic, so the settings that stay are sent too.
        resources = [ConfigResource(ConfigResourceType.TOPIC, name, wanted[name]) for name in changed]
        try:
            answers = await admin.alter_configs(resources)
        except IncompatibleBrokerVersion:
            return []
        for answer in answers:
            for code, message, _, name in answer.resources:
                if code:
                    raise LocalError(
                        f"the broker refused settings of {name}: {for_code(code).__name__} {message or ''}"
                    )
        await _wait_for_settings(admin, {name: wanted[name] for name in changed})
    return changed


async def _wait_for_settings(admin: Any, wanted: dict[str, dict[str, str]]) -> None:
    """Wait until the broker tells the new settings. Its controller has them earlier than its metadata."""

    async def lacking() -> list[str]:
        found = await _own_settings(admin, list(wanted))
        return [name for name in wanted if found.get(name) != wanted[name]]

    await _until_none_lacks(lacking, "the broker does not show the new settings of these topics")


async def _own_settings(admin: Any, names: list[str]) -> dict[str, dict[str, str]]:
    """The settings of each topic itself, without those of the broker and without defaults."""
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    return {
        name: {key: value for key, value, _, source, *_ in settings if source == _OF_THE_TOPIC}
        for answer in await admin.describe_configs(resources)
        for code, _, _, name, settings in answer.resources
        if code == 0
    }


async def _wait_for_leaders(admin: Any, wanted: dict[str, TopicLike]) -> None:
    """Wait until the metadata are there. A faster producer would get errors and try again."""

    async def lacking() -> list[str]:
        found = await _partitions(admin, set(wanted))
        _refuse_drift(wanted, found)
        return [name for name in wanted if name not in found]

    await _until_none_lacks(lacking, "these topics have partitions without a leader")


async def _until_none_lacks(look: Callable[[], Awaitable[list[str]]], lack: str) -> None:
    """Wait until this function gives no names of topics any more. Raises ``LocalError`` that says what the topics
    ``lack``."""

    async def names() -> str | None:
        return ", ".join(sorted(await look())) or None

    def late(names: str) -> LocalError:
        return LocalError(
            f"after {_METADATA_SECONDS:.0f} s {lack}: {names}",
            todo="see the broker's log; the same command again makes the topics and settings that are still missing",
        )

    await wait_until_done(names, late, seconds=_METADATA_SECONDS, every=0.05)


async def _partitions(admin: Any, names: set[str]) -> dict[str, int]:
    """Give the number of partitions of each topic all of whose partitions have a leader."""
    if not names:
        return {}
    described = await admin.describe_topics(sorted(names))
    return {
        topic["topic"]: len(topic["partitions"])
        for topic in described
        if topic["error_code"] == 0 and all(p["leader"] >= 0 for p in topic["partitions"])
    }
