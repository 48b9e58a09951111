"""A linkage of the first version, drained, is taken over by this version with the runbook's commands.

`earlier/` was made on a real engine from commit 3e0fb30: `pg_dumpall` of its PostgreSQL and the whole folder of its
Kafka, after the example weekend. It has on purpose a credit that waits since its home is paused, a correction that a
paused registry said and nobody has read, a sign-up that waits for a shift, a message that is not in the contract.
"""

from __future__ import annotations

import json
import lzma
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.compose import OTHER, Linkage, prepared
from tests.support.runbooks import commands
from tests.support.waiting import eventually

pytestmark = [pytest.mark.compose, pytest.mark.whole, pytest.mark.timeout(900)]

EARLIER = Path(__file__).with_name("earlier")
QUEUED = "135e6467-b177-5c83-a26a-1bb95db165b8"
"""The transfer that waits for its home."""
UNREAD = ("sz-r-0826-114", 2)
"""The record, and the version of it that nobody has read."""


@pytest.fixture(scope="module")
def linkage(request: pytest.FixtureRequest) -> Iterator[Linkage]:
    with prepared(request.session) as linkage:
        linkage.compose("build", seconds=600)
        linkage.compose("up", "--detach", "--wait", "postgres", seconds=300)
        dump = lzma.decompress((EARLIER / "databases.sql.xz").read_bytes()).decode()
        linkage.compose("exec", "-T", "postgres", "psql", "--quiet", "--username=postgres", "--no-psqlrc", stdin=dump)
        # The dump has no passwords. These jobs give the roles those that were just made.
        for job in ("databases", "databases-sandbox"):
            linkage.compose("run", "--rm", "--no-deps", "-T", job)
        linkage.unpack("kafka", "/var/lib/kafka/data", lzma.decompress((EARLIER / "kafka.tar.xz").read_bytes()))
        yield linkage


@pytest.fixture(scope="module")
def token(linkage: Linkage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("operator") / "token"
    file.write_text(linkage.token)
    return file


@pytest.fixture(scope="module")
def upgraded(linkage: Linkage, token: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each command of the runbook printed, by its words before the first option."""
    backup = tmp_path_factory.mktemp("backups") / "before"
    said = {}
    for command in commands("A new version"):
        words = command.partition(" -")[0]
        if words == "shuangcheng upgrade drain":  # the version before does not run here; see the test below
            continue
        here = command.replace("--token-file token", f"--token-file {shlex.quote(str(token))}")
        said[words] = linkage.shell(here, BACKUP=backup)
    return said


def transfers(linkage: Linkage) -> dict[str, str]:
    return dict(linkage.query("bridge", "SELECT id, state FROM transfer"))


def minutes(linkage: Linkage) -> dict[str, tuple[int, int]]:
    """By host: minutes that it confirmed of the other city's volunteers, and minutes that their home credited."""
    found = {}
    for host, home in OTHER.items():
        confirmed = f"SELECT coalesce(sum(minutes), 0) FROM audit_served WHERE home = '{home}' AND status = 'confirmed'"
        credited = "SELECT coalesce(sum(minutes), 0) FROM audit_credits"
        found[host] = (
            int(linkage.query(f"sandbox_{host}", confirmed)[0][0]),
            int(linkage.query(f"sandbox_{home}", credited)[0][0]),
        )
    return found


def test_the_check_finds_nothing_that_stops_the_upgrade(upgraded: dict[str, str]) -> None:
    said = upgraded["shuangcheng upgrade check"]
    for job in ("migrate-identity", "migrate-opportunities", "migrate-attendance", "migrate-bridge", "adapter_sz"):
        assert f"{job}: " in said
    assert "cannot" not in said


async def test_what_waited_before_the_upgrade_is_credited_after_it(linkage: Linkage, upgraded: dict[str, str]) -> None:
    assert "gz" in upgraded["shuangcheng upgrade resume"]
    assert "sz" in upgraded["shuangcheng upgrade resume"]

    def settled() -> bool:
        return transfers(linkage)[QUEUED] == "credited"

    await eventually(settled, 120, every=1, what="the transfer that was queued is credited")
    assert set(transfers(linkage).values()) == {"credited"}


async def test_what_a_paused_registry_said_before_the_upgrade_is_read_after_it(
    linkage: Linkage, upgraded: dict[str, str]
) -> None:
    record, version = UNREAD
    question = f"SELECT version FROM service_record WHERE record_ref = '{record}'"
    await eventually(lambda: linkage.query("attendance", question) == [[str(version)]], 120, every=1)


async def test_the_books_of_both_cities_balance(linkage: Linkage, upgraded: dict[str, str]) -> None:
    def balanced() -> bool:
        return all(confirmed == credited > 0 for confirmed, credited in minutes(linkage).values())

    await eventually(balanced, 120, every=1, what="what was confirmed is credited")


async def test_minutes_are_credited_once_as_an_audit_counts_them(linkage: Linkage, upgraded: dict[str, str]) -> None:
    """It judges by the rules of this version. The first version told a transfer twice, and kept no request of a link:
    an audit of both versions together finds that, and is no verdict on what the services do now.
    """
    await eventually(lambda: transfers(linkage).get(QUEUED) == "credited", 120, every=1)
    said = linkage.shell("docker compose -f deploy/compose.yaml run --rm -T audit --json --wait 0 || true")
    invariants = json.loads(said)["invariants"]
    assert {name: invariants[name]["verdict"] for name in ("I1", "I2", "I4", "I5", "I9")} == dict.fromkeys(
        ("I1", "I2", "I4", "I5", "I9"), "held"
    )


async def test_a_sign_up_that_waited_for_a_shift_is_answered_and_what_nobody_could_read_is_still_there(
    linkage: Linkage, upgraded: dict[str, str]
) -> None:
    def answered() -> bool:
        return linkage.query("opportunities", "SELECT count(*) FROM set_aside") == [["0"]]

    await eventually(answered, 120, every=1, what="nothing is set aside any more")
    assert linkage.query("bridge", "SELECT reason FROM set_aside") == [["schema"]]


def test_the_upgraded_linkage_drains_and_goes_on(linkage: Linkage, upgraded: dict[str, str], token: Path) -> None:
    given = f"--token-file {shlex.quote(str(token))} --json"
    drained = json.loads(linkage.shell(f"shuangcheng upgrade drain {given}"))
    assert drained["paused"] == ["gz", "sz"]
    assert {"identity", "opportunities", "attendance", "bridge", "adapter_sz"} <= set(drained["drained"])
    assert json.loads(linkage.shell(f"shuangcheng upgrade resume {given}")) == {"resumed": ["gz", "sz"]}
