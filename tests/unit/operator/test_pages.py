"""The operators' page before services that answer strangely; how it is with real ones, the end-to-end tests say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from deploy.asking import Asking
from deploy.operator.app import build
from deploy.operator.linkage import Linkage
from deploy.operator.settings import OperatorSettings
from tests.support.secret_forms import SecretForms

SEAT = {
    "names": {"zh": "甲", "en": "One"},
    "state": "active",
    "capability": "queryable",
    "system": "some",
    "paused": None,
    "open": None,
}
OPEN = {"host": "aa", "state": "sent", "reason": "", "transfers": 2, "minutes": 90, "since": "2026-07-05T10:00:00Z"}
LEFT = SEAT | {"names": {"zh": "cc", "en": "cc"}, "state": "left", "capability": None, "system": None, "open": [OPEN]}
TRANSFER = "3ba79ecd-aabd-5ab0-ab9f-204b50e3d388"
BREAK = {
    "transfer_id": TRANSFER, "host": "aa", "home": "cc", "record_ref": "R1", "version": 1, "total": 60, "delta": 60,
    "state": "uncertain", "reason": "no_receipt", "attempts": 1, "since": "2026-07-05T10:00:00Z",
}  # fmt: skip
ANSWERS: dict[str, Any] = {
    "/operations/set-aside": {"summary": {}, "messages": [], "next": None},
    "/registries": {"aa": SEAT, "bb": SEAT | {"state": "closed"}, "cc": LEFT},
    "/flows": {"at": "2026-07-05T10:00:00Z", "open": [], "ended": [], "by_minute": []},
    "/differences": {"total": 0, "uncertain": [], "conflicts": []},
    "/health/ready": {"ready": True, "lag": 0, "outbox_rows": 0, "outbox_oldest_seconds": 0.0, "set_aside": {}},
}
Answer = Callable[[httpx.Request], httpx.Response | None]


@asynccontextmanager
async def page(odd: Answer = lambda request: None) -> AsyncIterator[SecretForms]:
    """A page whose services answer as they should, but where ``odd`` has another answer."""

    def answer(request: httpx.Request) -> httpx.Response:
        return odd(request) or httpx.Response(200, json=ANSWERS.get(request.url.path, {}))

    settings = OperatorSettings(services={"bridge": "http://bridge", "other": "http://other"})
    app = build(settings)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        app.state.console.linkage = Linkage(Asking(client, 5), settings)
        async with SecretForms("http://page", httpx.ASGITransport(app)) as caller:
            yield caller


async def sign_in(caller: SecretForms) -> None:
    await caller.open("/sign-in")
    assert (await caller.send("/sign-in", token="an-operators-token")).headers["location"] == "/"


def fails(path: str, **what: Any) -> Answer:
    return lambda request: httpx.Response(**what) if request.url.path == path else None


@pytest.mark.parametrize(
    "said",
    [
        {"ready": False, "lag": 7, "database": "no connection"},
        {"ready": False},
        ["no", "object"],
        "text",
    ],
)
async def test_a_service_that_says_little_of_itself_is_shown_as_far_as_it_does(said: Any) -> None:
    async with page(fails("/health/ready", status_code=503, json=said)) as caller:
        await sign_in(caller)
        shown = await caller.open("/")
    assert shown.status_code == 200
    assert ("未就绪" if isinstance(said, dict) else "无应答") in shown.text


@pytest.mark.parametrize("status", [404, 500, 503])
async def test_a_bridge_that_is_ill_or_older_than_the_page_is_said_to_be_silent(status: int) -> None:
    async with page(fails("/flows", status_code=status, json={})) as caller:
        await sign_in(caller)
        shown = await caller.open("/")
    assert shown.status_code == 200
    assert "桥接服务没有应答" in shown.text


async def test_a_token_that_is_one_no_longer_ends_the_session() -> None:
    known = True

    def odd(request: httpx.Request) -> httpx.Response | None:
        return None if known or request.url.path == "/health/ready" else httpx.Response(401, json={})

    async with page(odd) as caller:
        await sign_in(caller)
        known = False
        assert (await caller.open("/")).headers["location"] == "/sign-in"
        known = True
        assert (await caller.open("/")).headers["location"] == "/sign-in"


async def test_a_part_that_is_renewed_after_the_session_leads_the_whole_page_to_the_sign_in() -> None:
    async with page() as caller:
        answer = await caller.http.get("/", headers={"hx-request": "true"})
        assert (answer.status_code, answer.headers["hx-redirect"], answer.text) == (200, "/sign-in", "")
        await sign_in(caller)
        part = await caller.http.get("/", headers={"hx-request": "true"})
    assert part.text.lstrip().startswith('<div id="overview" hx-get')


async def test_whoever_wants_it_still_has_a_page_that_does_not_renew_itself() -> None:
    async with page() as caller:
        await sign_in(caller)
        assert "hx-get" not in (await caller.open("/?still=1")).text


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (httpx.ReadTimeout("late"), "可能已经照办"),
        (httpx.ConnectError("gone"), "没有改动任何东西"),
        (None, "可能已经照办"),
    ],
)
async def test_an_order_whose_answer_does_not_come_may_have_been_followed(fault: Exception | None, told: str) -> None:
    def odd(request: httpx.Request) -> httpx.Response | None:
        if request.method == "GET":
            return None
        if fault is not None:
            raise fault
        return httpx.Response(503, json={})

    async with page(odd) as caller:
        await sign_in(caller)
        await caller.open("/registries/aa")
        answer = await caller.send("/registries/aa/pause", why="x")
    assert answer.status_code == 503
    assert told in answer.text


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/nowhere", 404, "没有这个页面"),
        ("/set-aside", 404, "没有这个页面"),
        ("/registries/aa/pause", 405, "它只接收从页面上提交的内容"),
    ],
)
async def test_an_address_that_is_none_has_a_page_too_with_all_headers(path: str, status: int, told: str) -> None:
    async with page() as caller:
        answer = await caller.open(path)
    assert answer.status_code == status
    assert told in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_the_language_after_a_form_that_failed_leads_to_a_page() -> None:
    async with page() as caller:
        await sign_in(caller)
        failed = await caller.send("/registries/zz/pause", why="x", csrf=caller.csrf)
        assert failed.status_code in (403, 404)
        assert 'name="to" value="/"' in failed.text


async def test_strange_questions_are_refused_like_any_strangers() -> None:
    async with page() as caller:
        for asked in ("?after=" + "9" * 5000, "?after=x"):
            assert (await caller.open("/set-aside/bridge" + asked)).headers["location"].startswith("/sign-in")
        refused = await caller.open("/set-aside/bridge?reason=%00")
        assert (refused.status_code, "无法读取" in refused.text) == (422, True)


async def test_a_registry_that_its_file_closed_is_changed_there() -> None:
    async with page() as caller:
        await sign_in(caller)
        shown = (await caller.open("/registries/bb")).text
    assert "已关闭" in shown
    assert "<form" not in shown.split("<main")[1]


async def test_a_registry_that_left_shows_what_is_open_for_it_and_cannot_be_paused() -> None:
    async with page() as caller:
        await sign_in(caller)
        shown = (await caller.open("/registries/cc")).text.split("<main")[1]
    assert "已离开" in shown
    assert "1 小时 30 分" in shown
    assert "<form" not in shown


def differences(request: httpx.Request) -> httpx.Response | None:
    """A bridge with one transfer that nobody is sure of."""
    if request.url.path == "/differences":
        return httpx.Response(200, json={"total": 1, "uncertain": [BREAK], "conflicts": []})
    return None


async def test_what_the_home_did_is_told_to_the_bridge_in_the_operators_name() -> None:
    told: list[tuple[str, bytes]] = []

    def bridge(request: httpx.Request) -> httpx.Response | None:
        if request.method == "POST":
            told.append((request.url.path, request.content))
        return differences(request)

    async with page(bridge) as caller:
        await sign_in(caller)
        assert TRANSFER in (await caller.open("/differences")).text
        answer = await caller.send(f"/transfers/{TRANSFER}/settle", **{"as": "credited", "why": "seen there"})
        assert answer.headers["location"] == "/differences"
        assert "已收下" in (await caller.open("/differences")).text
        await caller.send(f"/transfers/{TRANSFER}/settle", **{"as": "credited", "why": ""})
        assert (await caller.send("/transfers/no-uuid/settle", why="x")).status_code == 404
    assert told == [(f"/transfers/{TRANSFER}/settle", b'{"as":"credited","why":"seen there"}')]


async def test_a_word_that_the_bridge_does_not_take_is_told_in_plain_words() -> None:
    def bridge(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(409, json={"error": "not_possible"}) if request.method == "POST" else differences(request)

    async with page(bridge) as caller:
        await sign_in(caller)
        await caller.open("/differences")
        await caller.send(f"/transfers/{TRANSFER}/settle", **{"as": "refused", "why": "not there"})
        assert "没有收下" in (await caller.open("/differences")).text


@pytest.mark.parametrize(
    ("variable", "value"),
    [("SERVICES", "{}"), ("SERVICES", '{"bridge": "bridge:8080"}'), ("LOG_LEVEL", "verbose"), ("HTTP_PORT", "x")],
)
def test_a_setting_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv("SHUANGCHENG_SERVICES", '{"bridge": "http://bridge"}')
    monkeypatch.setenv(f"SHUANGCHENG_{variable}", value)
    with pytest.raises(ValueError, match=variable.lower()):
        OperatorSettings()


@pytest.mark.parametrize(("reason", "words"), [("no_receipt", "没有回执"), ("brand_new", "其他原因，代码 brand_new")])
async def test_a_reason_is_told_in_the_words_of_the_list_and_a_new_one_as_its_code(reason: str, words: str) -> None:
    told = {"total": 1, "uncertain": [BREAK | {"reason": reason}], "conflicts": []}
    async with page(fails("/differences", status_code=200, json=told)) as caller:
        await sign_in(caller)
        shown = await caller.open("/differences")
    assert shown.status_code == 200
    assert f" · {words}</p>" in shown.text
