"""The catalogue of topics: who owns what, what orders it, and where a key goes."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from aiokafka.partitioner import DefaultPartitioner, murmur2
from hypothesis import given
from hypothesis import strategies as st

from contracts.envelope import parse_structured
from contracts.messages import deliveries, message_types, service, volunteers
from contracts.topics import (
    INBOUND,
    INNER,
    OPERATIONS_EVENTS,
    TEMPLATES,
    all_topics,
    registry_source,
    registry_topic_for,
    service_source,
)
from deploy.linkage import SERVICES
from tests.support.messages import EXAMPLES, Example, valid_examples

ENTRIES = {message.TYPE: entry for entry in (*TEMPLATES, *INNER) for message in entry.messages}


def test_every_message_travels_on_exactly_one_topic() -> None:
    counted = Counter(message.TYPE for entry in (*TEMPLATES, *INNER) for message in entry.messages)
    assert counted == dict.fromkeys(message_types(), 1)


def test_writers_and_readers_are_known_and_a_registry_speaks_to_the_bridge_alone() -> None:
    for entry in TEMPLATES:
        assert {entry.writer, *entry.readers} == {"registry", "bridge"}
        assert entry.name.startswith("registry.{registry}.")
        assert (entry in INBOUND) == (entry.writer == "registry")
    for entry in INNER:
        if entry is OPERATIONS_EVENTS:
            assert (entry.writer, entry.readers) == ("services", ())  # every service says what operators did to it
            continue
        assert {entry.writer, *entry.readers} <= set(SERVICES)
        context, kind, _ = entry.name.split(".")
        assert context in ({entry.writer} if kind == "events" else set(entry.readers))


def test_personal_data_is_on_the_topics_of_volunteers_alone() -> None:
    for entry in all_topics(["gz", "sz"]):
        assert entry.personal_data == entry.name.endswith(".volunteers.v1")


def test_codes_and_their_hashes_are_on_no_topic_but_those_of_volunteers_and_the_commands_of_identity() -> None:
    carriers = {t for t, message in message_types().items() if {"code", "code_hash"} & message.model_fields.keys()}
    assert {ENTRIES[name].name for name in carriers} == {"registry.{registry}.volunteers.v1", "identity.commands.v1"}
    assert {t for t in carriers if "code" in message_types()[t].model_fields} == {volunteers.LinkRequested.TYPE}


def test_topic_names_are_unique_for_any_registries_and_say_their_version() -> None:
    names = [entry.name for entry in all_topics(["gz", "sz", "fs", "gz"])]
    assert len(names) == len(set(names)) == 3 * len(TEMPLATES) + len(INNER)
    assert all(name.endswith(".v1") and "{" not in name for name in names)


def test_registry_topics_are_kept_for_fourteen_days_and_inner_ones_for_ever_unless_they_hold_refs() -> None:
    fortnight = 14 * 24 * 3600 * 1000
    for entry in (*TEMPLATES, *INNER):
        refs = entry in TEMPLATES or entry.name.startswith("identity.")
        assert entry.retention_ms == (fortnight if refs else None)


@pytest.mark.parametrize("example", valid_examples(), ids=lambda example: example.name)
def test_the_key_of_a_message_is_what_its_topic_entry_says(example: Example) -> None:
    entry = ENTRIES[example.type]
    if entry.key == "key of the refused message":
        assert example.event["partitionkey"] == example.event["data"]["refused_key"]
        return
    data = dict(example.event["data"])
    expected = ":".join(str(data[part]) for part in entry.key.split(":"))
    assert parse_structured(example.text).key == expected


@pytest.mark.parametrize("example", valid_examples(), ids=lambda example: example.name)
def test_the_source_of_an_example_is_the_writer_of_its_topic(example: Example) -> None:
    entry = ENTRIES[example.type]
    source = example.event["source"]
    if entry.writer == "registry":
        assert registry_topic_for(source, message_types()[example.type]) == entry.of(source.rpartition(":")[2]).name
    elif entry is OPERATIONS_EVENTS:
        assert source == service_source(example.event["data"]["service"])
    else:
        (sender,) = (leg.sender for leg in entry.legs if message_types()[example.type] in leg.messages)
        assert source == service_source(sender or entry.writer)


def test_a_registry_may_say_only_what_is_on_its_own_topics() -> None:
    gz = registry_source("gz")
    assert registry_topic_for(gz, service.ServiceAttested) == "registry.gz.attendance.v1"
    assert registry_topic_for(gz, deliveries.CreditPosted) is None
    for other in (service_source("bridge"), "gz", "", "urn:shuangcheng:registry", "urn:evil:registry:gz"):
        assert registry_topic_for(other, service.ServiceAttested) is None


def _murmur2_as_stated(data: bytes) -> int:
    """MurmurHash2, 32 bits, seed 0x9747b28c, from its description alone."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = 0x9747B28C ^ len(data)
    whole = len(data) // 4 * 4
    for place in range(0, whole, 4):
        k = int.from_bytes(data[place : place + 4], "little") * m & mask
        h = (h * m & mask) ^ ((k ^ k >> 24) * m & mask)
    if data[whole:]:
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


JAVA = {  # from org.apache.kafka.common.utils.UtilsTest.testMurmur2
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
    "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    "abc": 479470107,
}


def test_the_partitioner_vectors_for_client_authors_are_those_of_java_and_of_our_client() -> None:
    vectors = json.loads((EXAMPLES / "partitioner.json").read_text("utf-8"))
    stated = {vector["key"]: vector["murmur2"] for vector in vectors}
    assert stated.items() >= JAVA.items()
    assert len(stated) > len(JAVA)
    partitions = {entry.partitions for entry in (*TEMPLATES, *INNER)}
    assert partitions == {8}
    for vector in vectors:
        key = vector["key"].encode()
        assert murmur2(key) == vector["murmur2"] % 2**32
        assert (murmur2(key) & 0x7FFFFFFF) % 8 == vector["partition_of_8"]
        assert DefaultPartitioner()(key, list(range(8)), list(range(8))) == vector["partition_of_8"]


@given(st.text(max_size=300), st.integers(1, 64))
def test_the_partition_of_any_key_follows_from_the_statement_alone(key: str, partitions: int) -> None:
    chosen = DefaultPartitioner()(key.encode(), list(range(partitions)), [])
    assert chosen == (_murmur2_as_stated(key.encode()) & 0x7FFFFFFF) % partitions
