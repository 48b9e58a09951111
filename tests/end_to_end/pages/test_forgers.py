"""Forgers at every form and every interface: the applications say which there are, and a new one is tried as well."""

from __future__ import annotations

import httpx
import pytest

from deploy.linkage import OPERATOR
from tests.support.pages import ORGANISER, Stage
from tests.support.routes import Route, faces, of_pages, of_services
from tests.support.secret_forms import SecretForms

pytestmark = pytest.mark.whole

FOR_ANYBODY = {"/health/live", "/health/ready", "/metrics"}
FOR_REGISTRIES = {
    ("opportunities", "/search"),
    ("opportunities", "/shifts/{host}/{project_ref}/{shift_ref}"),
    ("opportunities", "/campaigns"),
    ("bridge", "/timeline"),
    ("identity", "/codes/{code_hash}"),
}
"""What a registry's token may ask. All else is an operator's."""
FORMS_FROM_ELSEWHERE = {"/visit", "/visit/open"}
"""Forms of somebody without a session: another city's page sends the first, whose code is the proof, and the second
carries the secret of the arrival."""
FOREIGN = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}


async def ask(stage: Stage, route: Route, token: str | None, **what: object) -> httpx.Response:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    url = stage.stack.url(route.process) + route.at()
    return await stage.http.request(route.method, url, headers=headers, **what)  # type: ignore[arg-type]


async def test_a_service_answers_nobody_whom_it_does_not_know(stage: Stage) -> None:
    routes = await of_services(stage)
    unknown = [Route(one.process, method, "/nowhere", False) for one in routes for method in ("GET", "POST")]
    described = [Route(one.process, "GET", "/openapi.json", False) for one in routes]
    assert {route.path for route in routes} >= FOR_ANYBODY
    for route in (*routes, *unknown, *described):
        for token in (None, "x", "x" * 32, stage.stack.tokens["operator"][:-1]):
            status = (await ask(stage, route, token)).status_code
            assert (status == 401) is (route.path not in FOR_ANYBODY), (route, token, status)


async def test_a_registry_is_answered_what_registries_may_ask_and_no_more(stage: Stage) -> None:
    allowed = set()
    for route in await of_services(stage):
        if route.path not in FOR_ANYBODY:
            status = (await ask(stage, route, stage.stack.tokens["registry:gz"], json={})).status_code
            if status != 403:
                allowed.add((route.process, route.path))
    assert allowed == FOR_REGISTRIES
    headers = {"authorization": f"Bearer {stage.stack.tokens['registry:gz']}"}
    code = f"/codes/{'0' * 64}?home=gz&home_ref=x1&host"
    for process, asked in (("bridge", "/timeline?ref=x1&registry"), ("identity", code)):
        url = stage.stack.url(process) + asked
        statuses = [(await stage.http.get(f"{url}={whose}", headers=headers)).status_code for whose in ("gz", "sz")]
        assert statuses in ([200, 403], [404, 403]), process  # of its own people and codes only


async def signed_in(stage: Stage, process: str) -> SecretForms:
    """Whoever may do most there."""
    caller = SecretForms(stage.stack.url(process))
    await caller.open("/sign-in")
    if process == OPERATOR:
        await caller.send("/sign-in", token=stage.stack.tokens["operator"])
        await caller.open("/")
    else:
        code = process.removeprefix("sandbox_")
        await caller.send("/sign-in", ref=ORGANISER[code], passcode=stage.stack.passcode or "")
        await caller.open("/organiser")
    assert caller.csrf
    return caller


@pytest.mark.parametrize("process", [OPERATOR, "sandbox_gz", "sandbox_sz"])
async def test_a_form_counts_only_from_its_own_page_in_its_own_session(stage: Stage, process: str) -> None:
    forms = [route for route in of_pages(stage, "POST") if route.process == process]
    pages = {route.path for route in of_pages(stage, "GET") if route.process == process}
    assert forms
    async with await signed_in(stage, process) as caller, await signed_in(stage, process) as other:
        for route in forms:
            url = stage.stack.url(process) + route.at()
            if route.path not in FORMS_FROM_ELSEWHERE:
                assert (await stage.http.post(url, data={"csrf": caller.csrf})).status_code == 403, route
                for secret in ("", "x" * 32, other.csrf):
                    assert (await caller.http.post(url, data={"csrf": secret})).status_code == 403, route
                assert (await caller.http.post(url, data={"x": "y"})).status_code == 403, route
                forged = await caller.http.post(url, data={"csrf": caller.csrf}, headers=FOREIGN)
                assert forged.status_code == 403, route
            for kind in ("text/plain", "application/json", "multipart/form-data; boundary=x", ""):
                sent = f"csrf={caller.csrf}".encode()
                answer = await caller.http.post(url, content=sent, headers={"content-type": kind})
                assert (answer.status_code, answer.headers["content-type"]) == (415, HTML), (route, kind)
            if route.path not in pages:
                answer = await caller.http.get(url)
                assert (answer.status_code, answer.headers["content-type"]) == (405, HTML), route
                assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert (await caller.http.get("/")).status_code in (200, 303)


HTML = "text/html; charset=utf-8"


async def test_what_machines_ask_of_a_sandbox_needs_credentials_and_tells_no_map(stage: Stage) -> None:
    machines = [route for route in faces(stage) if not route.page and route.path not in FOR_ANYBODY]
    answered = {route.path for route in machines if (await ask(stage, route, None)).status_code not in (401, 403)}
    assert answered == set()
    for process in (OPERATOR, "sandbox_gz", "sandbox_sz"):
        for path in ("/openapi.json", "/docs", "/redoc", "/docs/oauth2-redirect", "/nowhere", "/static/nothing.css"):
            answer = await stage.http.get(stage.stack.url(process) + path)
            assert (answer.status_code, answer.headers["content-type"]) == (404, HTML), (process, path)
        answer = await stage.http.post(stage.stack.url(process) + "/nowhere")
        assert (answer.status_code, answer.headers["content-type"]) == (404, HTML)


async def test_no_interface_takes_what_a_foreign_page_can_send(stage: Stage) -> None:
    """A browser sends these content types anywhere, with nobody's leave."""
    machines = [route for route in faces(stage) if not route.page and route.method == "POST"]
    assert machines
    for route in machines:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            url = stage.stack.url(route.process) + route.at()
            answer = await stage.http.post(url, content=b"{}", headers=FOREIGN | {"content-type": kind})
            assert 400 <= answer.status_code < 500, (route, kind)
