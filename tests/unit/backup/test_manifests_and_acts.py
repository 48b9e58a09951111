"""What a backup says of itself, and which acts of operators it lacks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.topics import OPERATIONS_EVENTS
from deploy.operate.backup.acts import Act, again, lacks, whose
from deploy.operate.backup.dumps import content
from deploy.operate.backup.manifest import Database, Position, read_manifest
from deploy.operate.backup.servers import Direct
from deploy.operate.errors import EnvironmentProblem

MOMENT = datetime(2026, 8, 15, 10, 30, tzinfo=UTC)
LATER = MOMENT + timedelta(seconds=1)


def database(*said: Position) -> Database:
    return Database(
        file="bridge.dump", bytes=1, sha256="0" * 64, owner="bridge", taken_at=MOMENT, server="18.6", pg_dump="18.6",
        service=True, migrations=[], consumed=[], said=list(said), rows={},
    )  # fmt: skip


def said(partition: int, next_offset: int, topic: str = OPERATIONS_EVENTS.name) -> Position:
    return Position(topic=topic, partition=partition, next_offset=next_offset)


def test_what_lies_behind_the_place_up_to_which_the_dump_had_spoken_is_lacking_whatever_clocks_say() -> None:
    one = database(said(3, 7), said(3, 900, "identity.commands.v1"))
    assert not lacks(one, 3, 6, LATER)
    assert lacks(one, 3, 7, MOMENT - timedelta(hours=1))
    assert lacks(one, 4, 0, MOMENT - timedelta(hours=1)), "of this partition it had said nothing"


def test_a_dump_that_does_not_know_how_far_it_had_spoken_lacks_what_was_done_after_it() -> None:
    assert lacks(database(), 3, 0, LATER)
    assert not lacks(database(), 3, 900, MOMENT - timedelta(seconds=1))


def test_the_database_of_an_adapter_is_known_by_its_seat() -> None:
    assert (whose("bridge"), whose("adapter_sz")) == (("bridge", None), ("adapters", "sz"))


@pytest.mark.parametrize(
    ("act", "about", "command"),
    [
        ("release", "a.v1/0/7", "shuangcheng set-aside release --at a.v1/0/7 --service bridge --token-file token"),
        (
            "discard",
            "a.v1/0/7",
            "shuangcheng set-aside discard --at a.v1/0/7 --why 'as mei did at 2026-08-15T10:30Z' --service bridge"
            " --token-file token",
        ),
        ("forget_positions", "a.v1", "python -m services.bridge forget-positions a.v1"),
        ("something_new", "x; rm", "something_new 'x; rm': no command of this version does it; ask mei"),
    ],
)
def test_an_act_is_told_with_the_command_that_does_it_again(act: str, about: str, command: str) -> None:
    assert again("bridge", Act(act, about, "mei", MOMENT), None) == command


def test_in_compose_a_command_of_the_services_program_is_run_in_its_container() -> None:
    told = again("adapter_sz", Act("forget_positions", "a.v1", "command", MOMENT), Path("deploy/compose.yaml"))
    assert told == (
        "docker compose -f deploy/compose.yaml run --rm -T adapters "
        "python -m deploy.compose.adapters sz forget-positions a.v1"
    )


async def test_rows_and_positions_are_read_out_of_a_dump_whatever_stands_in_its_texts() -> None:
    async def dump() -> AsyncIterator[list[bytes]]:
        yield [b"SET row_security = off;", b"COPY public.consumed (grp, topic, partition, next_offset) FROM stdin;"]
        yield [b"odd\\tgroup\\\\\ta.v1\t0\t17", b"\\."]
        yield [
            b'COPY public.note ("offset", text) FROM stdin;',
            b"1\tCOPY public.said (topic) FROM stdin;",
            b"\\.",
            b"",
        ]

    found = await content(dump())
    assert found.rows == {"public.consumed": 1, "public.note": 1}
    [position] = found.positions("consumed")
    assert (position.group, position.topic, position.next_offset) == ("odd\tgroup\\", "a.v1", 17)
    assert not found.service


@pytest.mark.parametrize("text", [None, "{", "{}", '{"version": 2}'], ids=["none", "no JSON", "empty", "version 2"])
def test_what_is_no_backup_is_refused_by_name(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(EnvironmentProblem, match="manifest") as refused:
        read_manifest(tmp_path)
    assert "shuangcheng backup" in refused.value.todo


def test_the_address_of_a_server_is_named_without_its_password() -> None:
    server = Direct("postgresql://postgres:s%2Fcret@10.0.0.1:5433/postgres?sslmode=require")
    program = server.program("psql", server.named("bridge"))
    assert (server.where, server.named("bridge")) == (
        "10.0.0.1:5433",
        "postgresql://postgres@10.0.0.1:5433/bridge?sslmode=require",
    )
    assert program.environment["PGPASSWORD"] == "s/cret"
