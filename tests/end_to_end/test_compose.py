"""`deploy/compose.yaml` on a real engine: healthy by itself, the weekend credited, closed where it should be closed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import httpx
import pytest

from deploy.linkage import ADAPTERS, SERVICES
from tests.support.compose import (
    ATTESTED,
    OTHER,
    PROCESSES,
    WEEKEND,
    ComposeFailed,
    Linkage,
    lines,
    running,
)  # fmt: skip
from tests.support.waiting import eventually

pytestmark = [pytest.mark.compose, pytest.mark.whole, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def linkage(request: pytest.FixtureRequest) -> Iterator[Linkage]:
    with running(request.session) as linkage:
        yield linkage


def registry(event: dict[str, Any]) -> str:
    return str(event["source"]).rpartition(":")[2]


def attested(events: list[dict[str, Any]], host: str) -> set[str]:
    return {e["data"]["record_ref"] for e in events if e["type"] == ATTESTED and registry(e) == host}


def served(linkage: Linkage, host: str) -> dict[str, tuple[int, str, int, str]]:
    """By record: version, home, minutes and status, as the host's own database has them."""
    rows = linkage.query(f"sandbox_{host}", "SELECT record_ref, version, home, minutes, status FROM audit_served")
    return {ref: (int(version), home, int(minutes), status) for ref, version, home, minutes, status in rows}


def confirmed(linkage: Linkage, host: str) -> int:
    rows = served(linkage, host).values()
    return sum(minutes for _, home, minutes, status in rows if home == OTHER[host] and status == "confirmed")


def credited(linkage: Linkage, home: str) -> int:
    return int(linkage.query(f"sandbox_{home}", "SELECT coalesce(sum(minutes), 0) FROM audit_credits")[0][0])


def settled(linkage: Linkage, host: str, records: set[str]) -> int:
    """Minutes that the host confirmed and the home credited. Fails while they differ or a record is not decided."""
    rows = served(linkage, host)
    assert set(rows) == records
    assert all(status in ("confirmed", "held") for _, _, _, status in rows.values()), rows
    minutes = confirmed(linkage, host)
    assert minutes == credited(linkage, OTHER[host])
    return minutes


@pytest.fixture(scope="module")
async def sent(linkage: Linkage) -> dict[str, int]:
    """The weekend, sent and settled: minutes by host."""
    linkage.send(lines(WEEKEND))
    return {
        host: await eventually(lambda: settled(linkage, host, attested(WEEKEND, host)), every=0.5)  # noqa: B023
        for host in OTHER
    }


def test_the_weekend_is_credited_in_both_directions(sent: dict[str, int]) -> None:
    assert sent["gz"] > 0
    assert sent["sz"] > 0


def test_the_bridge_tells_an_operator_the_same_minutes(linkage: Linkage, sent: dict[str, int]) -> None:
    token = linkage.token
    request = Request(
        f"http://127.0.0.1:{linkage.ports['BRIDGE']}/figures", headers={"Authorization": f"Bearer {token}"}
    )
    with urlopen(request, timeout=10) as answer:
        directions = json.load(answer)["directions"]
    for host, minutes in sent.items():
        told = directions[f"{host}->{OTHER[host]}"]["minutes"]
        assert told["confirmed"] == told["credited"] == minutes


async def test_a_service_that_is_killed_restarts_and_the_correction_sent_meanwhile_is_credited(
    linkage: Linkage, sent: dict[str, int]
) -> None:
    last = [e for e in WEEKEND if e["type"] == ATTESTED and registry(e) == "gz"][-1]
    data = last["data"] | {"version": last["data"]["version"] + 1, "break_minutes": last["data"]["break_minutes"] + 7}
    # within its container a process reaches all others but the first, which is the engine's own init
    linkage.compose("exec", "-T", "bridge", "python", "-c", "import os; os.kill(-1, 9)")
    linkage.send(lines([last | {"id": last["id"] + "-corrected", "data": data}]))

    def corrected() -> bool:
        assert served(linkage, "gz")[data["record_ref"]][0] == data["version"]
        return settled(linkage, "gz", attested(WEEKEND, "gz")) == sent["gz"] - 7

    assert await eventually(corrected, every=0.5)
    assert credited(linkage, "gz") == sent["sz"]
    assert linkage.inspect("bridge")["RestartCount"] == 1


def test_an_audit_of_the_weekend_holds(linkage: Linkage, sent: dict[str, int]) -> None:
    assert json.loads(linkage.compose("run", "--rm", "-T", "audit", "--json"))["verdict"] == "held"


@pytest.mark.parametrize(("code", "port"), [("gz", "SANDBOX_GZ"), ("sz", "SANDBOX_SZ")])
def test_both_cities_have_pages_on_which_shifts_can_be_found(linkage: Linkage, code: str, port: str) -> None:
    passcode = linkage.compose("run", "--rm", "-T", "secrets", "cat", f"/secrets/operator/passcode_{code}").strip()
    with httpx.Client(base_url=f"http://127.0.0.1:{linkage.ports[port]}", trust_env=False) as http:
        secret = http.get("/sign-in").text.split('name="csrf" value="')[1].split('"')[0]
        ref = {"gz": "gz-20400101", "sz": "sz-20500102"}[code]
        signed_in = http.post("/sign-in", data={"csrf": secret, "ref": ref, "passcode": passcode})
        assert signed_in.headers["location"] == "/"
        other = OTHER[code]
        carried = http.get(f"/serve/{other}").text
        assert f"/serve/{other}" in carried
        assert http.get("/find").status_code == 200  # the linkage answers its token
        assert (
            f"127.0.0.1:{linkage.ports[f'SANDBOX_{other.upper()}']}" in http.get("/").headers["content-security-policy"]
        )


def test_the_operators_page_shows_every_service_ready_and_holds_no_secret(linkage: Linkage) -> None:
    token = linkage.token
    with httpx.Client(base_url=f"http://127.0.0.1:{linkage.ports['OPERATOR']}", trust_env=False) as http:
        secret = http.get("/sign-in").text.split('name="csrf" value="')[1].split('"')[0]
        assert http.post("/sign-in", data={"csrf": secret, "token": token}).headers["location"] == "/"
        page = http.get("/").text
    for name in (*SERVICES, "adapter_sz"):
        assert f'<th scope="row">{name}</th>' in page
    assert page.count("正常") == len(SERVICES) + 1
    assert "志愿时" in page
    found = linkage.inspect("operator")
    assert [mount["Destination"] for mount in found["Mounts"]] == ["/etc/shuangcheng/registries"]
    assert found["HostConfig"]["ReadonlyRootfs"]
    assert token not in json.dumps(found)


def test_our_containers_have_no_root_no_rights_and_cannot_write(linkage: Linkage) -> None:
    for name in PROCESSES:
        found = linkage.inspect(name)
        host = found["HostConfig"]
        assert found["Config"]["User"] == "10001:10001"
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert not host["CapAdd"]
        assert not host["Privileged"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert found["Config"]["StopTimeout"] >= 30
        assert host["LogConfig"]["Config"]["max-size"]
        with pytest.raises(ComposeFailed, match="Read-only file system"):
            linkage.compose("exec", "-T", name, "touch", "/opt/shuangcheng/new")


def test_every_published_port_is_on_loopback_and_postgresql_has_none(linkage: Linkage) -> None:
    for name in (*PROCESSES, "kafka"):
        bound = [one for given in linkage.inspect(name)["HostConfig"]["PortBindings"].values() for one in given]
        assert [one["HostIp"] for one in bound] == ["127.0.0.1"], name
    assert not linkage.inspect("postgres")["HostConfig"]["PortBindings"]


def test_a_service_sees_its_own_secrets_only_and_no_password_is_in_its_environment(linkage: Linkage) -> None:
    passwords: set[str] = set()
    for name in PROCESSES:
        files = linkage.compose("exec", "-T", name, "find", "/run/shuangcheng", "/secrets", "-type", "f").split()
        of_pages = ["shuangcheng_passcode", "shuangcheng_token"]
        tokens = of_pages if name.startswith("sandbox") else ["tokens.yaml", "shuangcheng_naming_secret"]
        between = ["shuangcheng_system_token"] if name.startswith(("sandbox", "adapter")) else []
        own = "/run/shuangcheng/adapter_sz" if name == ADAPTERS else "/run/shuangcheng"
        expected = {f"{own}/{file}" for file in ["password", "shuangcheng_database", *tokens, *between]}
        assert set(files) == expected
        password = linkage.compose("exec", "-T", name, "cat", f"{own}/password")
        assert len(password) >= 40
        assert password not in json.dumps(linkage.inspect(name))
        passwords.add(password)
    assert len(passwords) == len(PROCESSES)


def test_a_role_reaches_its_own_database_only(linkage: Linkage) -> None:
    ask = (
        "import asyncio, asyncpg, pathlib, sys;"
        "dsn = pathlib.Path('/run/shuangcheng/shuangcheng_database').read_text();"
        "asyncio.run(asyncpg.connect(dsn, database=sys.argv[1]))"
    )
    linkage.compose("exec", "-T", "identity", "python", "-c", ask, "identity")
    for other in ("bridge", "sandbox_gz", "postgres"):
        with pytest.raises(ComposeFailed, match="permission denied for database"):
            linkage.compose("exec", "-T", "identity", "python", "-c", ask, other)


def test_databases_sort_the_same_on_every_machine(linkage: Linkage) -> None:
    rows = linkage.query("postgres", "SELECT datname, datlocprovider, datlocale FROM pg_database")
    assert {row[0] for row in rows} >= {*SERVICES, "sandbox_gz", "sandbox_sz", "adapter_sz"}
    assert {tuple(row[1:]) for row in rows} == {("b", "C.UTF-8")}


def test_a_twin_is_scaled_beside_a_service_and_each_process_has_a_number_of_its_own(linkage: Linkage) -> None:
    """Two processes of one service both took number 0, and threw each other out for ever."""
    held = """SELECT objid FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
        WHERE locktype = 'advisory' AND classid = 23557 AND objsubid = 2 AND granted AND datname = 'attendance'
        ORDER BY objid"""
    linkage.compose("up", "--detach", "--wait", "--wait-timeout", "280", "--scale", "attendance-twin=2", seconds=300)
    assert linkage.query("attendance", held) == [["0"], ["1"], ["2"]]
    assert linkage.inspect("attendance")["State"]["Health"]["Status"] == "healthy"
    linkage.compose("up", "--detach", "--wait", "--wait-timeout", "280", seconds=300)
    assert linkage.compose("ps", "--quiet", "attendance-twin").split() == []


def test_stopped_in_order_and_started_again_everything_is_as_it_was(linkage: Linkage, sent: dict[str, int]) -> None:
    def all_there_is() -> list[object]:
        books = [linkage.query(f"sandbox_{code}", "SELECT * FROM audit_credits ORDER BY 1") for code in OTHER]
        return [books, linkage.token]

    before = all_there_is()
    linkage.compose("stop")
    # a service that had to be killed has 137, one that lost its way 1
    assert {name: linkage.inspect(name)["State"]["ExitCode"] for name in SERVICES} == dict.fromkeys(SERVICES, 0)
    linkage.up()
    assert all_there_is() == before
