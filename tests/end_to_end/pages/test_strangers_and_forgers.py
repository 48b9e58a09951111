"""What nobody may do on the pages: each is refused or comes to nothing. Asked without a browser, as a forger would."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.pages import ORGANISER, Stage
from tests.support.secret_forms import SecretForms

pytestmark = pytest.mark.whole


FORGER = {"X-Forwarded-For": "203.0.113.4"}
"""An address of its own: codes of other tests that were no good do not count against it."""


class Caller(SecretForms):
    """A client at a city's pages, signed in or not."""

    def __init__(self, stage: Stage, code: str) -> None:
        super().__init__(stage.url(code))
        self.stage, self.code = stage, code

    async def sign_in(self, ref: str) -> httpx.Response:
        await self.open("/sign-in")
        answer = await self.send("/sign-in", ref=ref, passcode=self.stage.stack.passcode or "")
        await self.open("/hours" if ref not in ORGANISER.values() else "/organiser")
        return answer


@pytest.fixture
async def her(stage: Stage) -> AsyncIterator[Caller]:
    caller = Caller(stage, "sz")
    await caller.sign_in(await stage.person("sz"))
    yield caller
    await caller.http.aclose()


@pytest.fixture
async def organiser(stage: Stage) -> AsyncIterator[Caller]:
    caller = Caller(stage, "gz")
    await caller.sign_in(ORGANISER["gz"])
    yield caller
    await caller.http.aclose()


async def test_a_form_without_its_secret_or_with_another_sessions_is_refused(stage: Stage, her: Caller) -> None:
    other = Caller(stage, "sz")
    await other.sign_in(await stage.person("sz"))
    for secret in ("", other.csrf, "x" * 32):
        assert (await her.send("/serve/gz", form="f" * 22, csrf=secret)).status_code == 403
        assert (await her.send("/sign-out", csrf=secret)).status_code == 403
    assert (await her.http.get("/hours")).status_code == 200
    assert await stage.books["sz"].fetchval("SELECT count(*) FROM offer WHERE form = $1", "f" * 22) == 0
    await other.http.aclose()


async def test_a_session_from_before_the_sign_in_is_not_one_after_it(stage: Stage) -> None:
    caller = Caller(stage, "sz")
    await caller.open("/sign-in")
    planted = caller.http.cookies["session_sz"]
    await caller.sign_in(await stage.person("sz"))
    assert caller.http.cookies["session_sz"] != planted
    stale = await stage.http.get(stage.url("sz", "/hours"), headers={"cookie": f"session_sz={planted}"})
    assert stale.status_code == 303
    assert stale.headers["location"] == "/sign-in?to=/hours"
    await caller.http.aclose()


async def test_nobody_is_signed_in_with_a_wrong_passcode_and_guessing_ends(stage: Stage) -> None:
    caller = Caller(stage, "gz")
    await caller.open("/sign-in")
    ref = await stage.person("gz")
    seen = [(await caller.send("/sign-in", ref=ref, passcode=f"wrong-{number}")).status_code for number in range(11)]
    assert seen == [403] * 10 + [429]
    right = await caller.send("/sign-in", ref=ref, passcode=stage.stack.passcode or "")
    assert right.status_code == 429
    await caller.http.aclose()


async def test_pages_of_others_are_refused(stage: Stage, her: Caller, organiser: Caller) -> None:
    theirs = await stage.shift("gz")
    other = Caller(stage, "gz")
    await other.sign_in("gz-org-0800")
    assert (await other.open(theirs.roster)).status_code == 403
    assert (await other.send(theirs.roster, who="anyone")).status_code == 403
    assert (await other.open(f"{theirs.roster}/code")).status_code == 403
    assert (await her.open("/organiser")).status_code == 403
    assert (await organiser.open("/hours")).status_code == 403
    assert (await organiser.send("/serve/sz", form="f" * 22)).status_code == 403
    await other.http.aclose()


async def test_forged_fields_come_to_nothing(stage: Stage, her: Caller, organiser: Caller) -> None:
    shift = await stage.shift("gz")
    stranger = await stage.person("gz")
    forged = {"who": stranger, f"from-{stranger}": "2026-01-01T08:00", f"to-{stranger}": "2026-01-01T18:00"}
    assert (await organiser.send(shift.roster, **forged)).status_code == 403
    first = await her.send("/serve/gz", form="forged-form-of-hers-0001")
    assert first.status_code == 200
    other = Caller(stage, "sz")
    await other.sign_in(await stage.person("sz"))
    assert (await other.send("/serve/gz", form="forged-form-of-hers-0001")).status_code == 409
    for path in ("/shifts/zz/none/none/join", "/shifts/gz/none/none/join", "/serve/zz", "/check-in/none/none"):
        assert (await her.send(path, code="000000", form="f" * 22)).status_code == 404, path
    assert await stage.books["gz"].fetchval("SELECT count(*) FROM attestation WHERE ref = $1", stranger) == 0
    await other.http.aclose()


async def test_somebody_elses_number_with_a_code_of_ones_own_opens_no_account(stage: Stage) -> None:
    victim = await stage.person("sz")
    real, forger = Caller(stage, "sz"), Caller(stage, "gz")
    await real.sign_in(victim)
    carried = (await real.send("/serve/gz", form="the-victims-own-form-1")).text
    assert re.search(r'name="code" value="([^"]+)"', carried) is not None
    before = await stage.books["gz"].fetchval("SELECT count(*) FROM account")
    answer = await forger.http.post(
        "/visit", data={"home": "sz", "ref": victim, "code": "A" * 43}, headers=FORGER, timeout=60
    )
    assert answer.status_code == 404
    assert "set-cookie" not in answer.headers
    for path in ("/visit", "/welcome", "/hours"):
        assert (await forger.open(path)).status_code in (303, 404)
    assert (await forger.http.post("/visit/open", data={"csrf": "x" * 32})).status_code == 404
    assert await stage.books["gz"].fetchval("SELECT count(*) FROM account") == before
    for caller in (forger, real):
        await caller.http.aclose()


async def test_script_in_a_title_is_text(stage: Stage, her: Caller) -> None:
    shift = await stage.shift("gz", title="<script>alert(1)</script>&\"'")
    page = await her.open(shift.path)
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    assert "'unsafe" not in page.headers["content-security-policy"]
    assert re.findall(r"<script[^>]*>", page.text) == ['<script src="/static/htmx.min.js" defer>']
    assert not re.search(r"\son[a-z]+=|javascript:|style=", page.text)


async def test_the_language_form_leads_nowhere_else(her: Caller) -> None:
    for to in ("https://evil.example", "//evil.example", "/\\evil.example", "hours"):
        assert (await her.send("/language", language="en", to=to)).headers["location"] == "/"
    assert (await her.send("/language", language="en", to="/hours")).headers["location"] == "/hours"


async def test_neither_passcodes_nor_codes_are_in_any_log(stage: Stage, her: Caller) -> None:
    carried = (await her.send("/serve/gz", form="a-form-for-the-logs-01")).text
    code = re.search(r'name="code" value="([^"]+)"', carried)
    assert code is not None
    own = re.search(r'name="ref" value="([^"]+)"', carried)
    assert own is not None
    for ref in ("sz-nobody", own[1]):
        await stage.http.post(stage.url("gz", "/visit"), data={"home": "sz", "ref": ref, "code": code[1]}, timeout=60)
    secrets = [code[1], stage.stack.passcode or "", *stage.stack.tokens.values(), her.http.cookies["session_sz"]]

    def told() -> list[str]:
        logs = {path.name: path.read_text() for path in Path(stage.stack.folder / "logs").iterdir()}
        return [name for name, text in logs.items() for secret in secrets if secret in text]

    assert told() == []


@pytest.mark.parametrize("code", ["gz", "sz"])
@pytest.mark.parametrize("end", ["", "/calendar.ics"])
async def test_the_address_of_a_shift_leads_to_nothing_but_shifts(stage: Stage, code: str, end: str) -> None:
    """Whatever stood in it was asked of the linkage with the registry's own token, and what came back was a 500."""
    names = ["a/b/c", "gz/a%3fb/c%23d", "gz/%0a/x", "gz/x/" + "a" * 3000, "%ff/x/x", "gz/a%2fb/x"]
    elsewhere = ["%2e%2e/%2e%2e/campaigns", "%2e%2e/health/ready", "%2e%2e/%2e%2e/openapi.json", "gz/%2e%2e/x"]
    for name in (*names, *elsewhere):
        answer = await stage.http.get(stage.url(code, f"/shifts/{name}{end}"), headers={"accept-language": "en"})
        assert answer.status_code == 404, name
        assert "text/html" in answer.headers["content-type"]
