"""What a stranger, a page of another origin and a browser's cookie get from the interfaces for machines: nothing."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest

from tests.support.sandboxes import SYSTEM_TOKEN, Sandbox, kafka_native, rest_api

Run = Callable[..., AbstractAsyncContextManager[Sandbox]]
EVERYWHERE = [
    ("GET", "/misbehave"),
    ("POST", "/misbehave"),
    ("GET", "/books/volunteers/H-1"),
    ("GET", "/books/shifts"),
    ("GET", "/books/returned"),
    ("GET", "/sums"),
    ("GET", "/sums/signups"),
    ("GET", "/sums/records"),
    ("GET", "/sums/postings"),
    ("GET", "/sums/booked?record_ref=R-1"),
]
INTERFACE = [
    ("POST", "/接口/入账"),
    ("GET", f"/接口/入账/{uuid.UUID(int=1)}"),
    ("GET", "/接口/上报?序号=0"),
    ("POST", "/接口/通知"),
    ("POST", "/接口/报送"),
]
STRANGERS: list[dict[str, str]] = [
    {"authorization": ""},
    {"authorization": "Bearer"},
    {"authorization": "Bearer x"},
    {"authorization": f"Bearer {SYSTEM_TOKEN[:-1]}"},
    {"authorization": f"Bearer {SYSTEM_TOKEN}x"},
    {"authorization": "Bearer ключ"},
    {"authorization": f"Basic {SYSTEM_TOKEN}"},
    {"authorization": "", "cookie": f"session_sz={SYSTEM_TOKEN}; token={SYSTEM_TOKEN}"},
]
CREDIT = {
    "流水号": str(uuid.UUID(int=1)),
    "志愿者编号": "H-1",
    "服务方": "gz",
    "分钟": 1440,
    "累计分钟": 1440,
    "记录编号": "R-1",
    "版本": 1,
}


@pytest.mark.parametrize(
    ("run", "settings", "routes"),
    [
        (rest_api, {}, EVERYWHERE + INTERFACE),
        (kafka_native, {"kafka": "127.0.0.1:1"}, [*EVERYWHERE, ("GET", "/books/under-way")]),
        (kafka_native, {"kafka": "127.0.0.1:1", "system_token": None}, [*EVERYWHERE, ("GET", "/books/under-way")]),
    ],
    ids=["rest_api", "kafka_native", "kafka_native without a token"],
)
async def test_without_the_token_nothing_is_told_and_nothing_is_taken(
    database: str, run: Run, settings: dict[str, Any], routes: list[tuple[str, str]]
) -> None:
    async with run(database, ready=False, **settings) as sandbox:
        for method, path in routes:
            for headers in STRANGERS:
                raw = {name.encode(): value.encode() for name, value in headers.items()}
                answer = await sandbox.http.request(method, path, json=CREDIT, headers=raw)
                assert (answer.status_code, answer.headers.get("www-authenticate")) == (401, "Bearer"), (path, headers)
                assert "H-1" not in answer.text
        assert await sandbox.rows("SELECT count(*) FROM posting") == [(0,)]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "text/json"]
)
async def test_what_a_simple_form_of_another_page_can_send_is_not_read(database: str, kind: str) -> None:
    async with rest_api(database) as sandbox:
        await sandbox.execute("INSERT INTO volunteer (ref, known_since) VALUES ('H-1', now())")
        for path in ("/接口/入账", "/接口/通知", "/接口/报送", "/misbehave"):
            body = httpx.Request("POST", "http://x", json=CREDIT).content
            answer = await sandbox.http.post(path, content=body, headers={"content-type": kind})
            assert answer.status_code == 415, path
        assert await sandbox.rows("SELECT count(*) FROM posting") == [(0,)]
        kept = await sandbox.http.post(
            "/接口/入账", json=CREDIT, headers={"content-type": "Application/JSON; charset=utf-8"}
        )
        assert kept.status_code == 200


async def test_who_has_no_token_is_turned_away_before_anything_of_the_body_is_read(database: str) -> None:
    async with rest_api(database) as sandbox:
        for path in (b"/%E6%8E%A5%E5%8F%A3/%E5%85%A5%E8%B4%A6", b"/misbehave"):
            reader, writer = await asyncio.open_connection(*sandbox.url.removeprefix("http://").split(":"))
            writer.write(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
            writer.write(b"Content-Length: 104857600\r\n\r\n{")
            assert (await reader.readline()).split()[1] == b"401"
            writer.close()


async def test_nothing_describes_the_interface_to_strangers_and_misbehaving_ends_in_production(database: str) -> None:
    async with rest_api(database, profile="production") as sandbox:
        for path in ("/docs", "/redoc", "/openapi.json", "/misbehave"):
            assert (await sandbox.http.get(path)).status_code == 404, path
        assert (await sandbox.http.post("/misbehave", json={})).status_code == 404
