"""A sandbox as its own process: what it says where it cannot start, in one line and with exit code 2."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest

from deploy.tryout.local.processes import own_environment
from tests.conftest import NewDatabase

ROOT = Path(__file__).parents[3]
KINDS = ("kafka_native", "rest_api")
SEAT = {"SHUANGCHENG_REGISTRY": "gz", "SHUANGCHENG_SYSTEM_TOKEN": "secret-of-the-system"}


async def ends(kind: str, settings: dict[str, str], *arguments: str) -> tuple[int | None, str]:
    """Its exit code, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"deploy.tryout.sandbox.{kind}", *arguments),
        env=own_environment({"PATH": os.environ["PATH"], **settings}),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, errors = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, errors.decode()


async def test_a_registry_without_a_token_for_its_interface_does_not_begin() -> None:
    code, said = await ends("rest_api", {"SHUANGCHENG_REGISTRY": "gz"})
    assert (code, said.count("\n")) == (2, 1), said
    assert "set SHUANGCHENG_SYSTEM_TOKEN" in said


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("settings", "arguments", "complaint"),
    [
        ({}, [], "SHUANGCHENG_REGISTRY: Field required"),
        ({"SHUANGCHENG_REGISTRY": "Guangzhou!"}, [], "SHUANGCHENG_REGISTRY: "),
        (SEAT, ["migrat"], "unknown argument 'migrat'"),
        (SEAT | {"SHUANGCHENG_SYSTEM_TOKEN": "secret"}, [], "SHUANGCHENG_SYSTEM_TOKEN: "),
        (SEAT | {"SHUANGCHENG_HTTP_PORT": "99999"}, [], "SHUANGCHENG_HTTP_PORT: "),
        (SEAT | {"SHUANGCHENG_REGISTRIES": "/nowhere"}, [], "/nowhere/gz.yaml"),
        (SEAT | {"SHUANGCHENG_DATABASE": "mysql://u:secret@127.0.0.1/x"}, [], "SHUANGCHENG_DATABASE: does not begin"),
        (SEAT | {"SHUANGCHENG_DATABASE": "postgresql://u:secret@127.0.0.1:1/x"}, [], "SHUANGCHENG_DATABASE: "),
        (SEAT | {"SHUANGCHENG_DATABASE": "postgresql://u:secret@127.0.0.1:1/x"}, ["migrate"], "SHUANGCHENG_DATABASE: "),
    ],
)
async def test_with_a_setting_missing_or_wrong_it_says_which_in_one_line(
    kind: str, settings: dict[str, str], arguments: list[str], complaint: str
) -> None:
    code, said = await ends(kind, settings, *arguments)
    assert (code, said.count("\n")) == (2, 1), said
    assert said.startswith("deploy.tryout.sandbox: ")
    assert complaint in said
    assert "secret" not in said


@pytest.mark.parametrize("kind", KINDS)
async def test_it_says_which_database_is_not_there_or_not_migrated_and_which_port_is_taken(
    new_database: NewDatabase, kind: str
) -> None:
    dsn = await new_database()
    settings = SEAT | {"SHUANGCHENG_DATABASE": dsn}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings["SHUANGCHENG_HTTP_PORT"] = port = str(taken.getsockname()[1])
        for change, arguments, expected, complaint in [
            ({"SHUANGCHENG_DATABASE": f"{dsn}_elsewhere"}, [], 2, "does not exist"),
            ({}, [], 2, "lacks 0001_books.sql"),
            ({}, ["migrate"], 0, ""),
            ({}, [], 2, f"SHUANGCHENG_HTTP_PORT {port}: "),
        ]:
            code, said = await ends(kind, settings | change, *arguments)
            assert code == expected, said
            assert complaint in said
            assert said.count("\n") == (1 if expected else 0)
