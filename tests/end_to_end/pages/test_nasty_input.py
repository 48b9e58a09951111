"""Nothing that a stranger can write into a request is a fault of ours: every route, every parameter, no 5xx."""

from __future__ import annotations

import base64
import itertools
import random
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from deploy.linkage import OPERATOR
from tests.end_to_end.pages.test_forgers import HTML, signed_in
from tests.support.pages import Stage
from tests.support.routes import Route, faces, of_pages, of_services
from tests.support.secret_forms import SecretForms

pytestmark = pytest.mark.whole


def cursor(content: str) -> str:
    return base64.urlsafe_b64encode(content.encode()).decode()


NASTY = [
    *("%00", "a%00b", "%ED%A0%80", "%FF%FE", "%0D%0AX:%20y", "%2E%2E%2F%2E%2E%2Fetc%2Fpasswd", "%25", "%F0%9D%9F%99"),
    *map(quote, ("-1", "0", "9" * 18, "9" * 5000, str(2**31), str(2**63), "1e400", "NaN", "{", "'\";--", "x" * 3000)),
    *map(quote, ("0001-01-01", "9999-12-31", "2026-02-30", "0000-00-00", "0001-01-01T00:00", "9999-12-31T23:59")),
    *map(quote, ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1e18", "-1e18")),
    quote("0001-01-01T00:00:00+14:00/9999-12-31T23:59:59-14:00"),
    *map(cursor, ("[" * 20_000, '["2026-01-01T00:00:00Z","gz","p","\\u0000"]', "null", "1e999", '[{},[],{},"s"]')),
    *map(cursor, ('["9999-12-31T23:59:59-14:00","gz","p","s"]', '["2026-01-01T00:00:00Z","gz","p","\\ud800"]')),
]  # fmt: skip
"""As they stand in an address."""
BODIES: list[bytes] = [
    *(b"", b"null", b"[]", b"{", b"[" * 20_000, b'{"a":' * 9_000, b"\xff\xfe", b'"\\ud800"', b"9" * 5000, b"NaN"),
    *(b'{"\\ud800": 1}', b'{"sequences": ["\\ud800"]}', b'{"sequences": [99999999999999999999999999]}'),
    *(b'{"sequences": [1], "why": "\\u0000"}', b'{"sequences": [1], "why": "\\ud800"}', b'{"why": "\\u0000"}'),
    *(b'{"why": "\\ud800"}', b'{"sequences": [NaN], "why": 1e999}', b'{"refuse": {"reason": "\\ud800"}}'),
    *(f'{{"{name}": {what}}}'.encode() for name in ("通知", "报送") for what in (
        "1", "null", '"x"', '{"a": 1}', '[null, 1, "x", {}, [[]]]', '[{"消息号": "\\u0000"}]',
    )),
]  # fmt: skip
DRAWN = 20
"""How many are taken where all would be too many: by the route's name, so that they are the same in every run."""
OF_A_SANDBOX = ("text", "date", "after", "host", "district", "category", "campaign", "fits", "code", "to")
QUESTIONS = {OPERATOR: ("after", "reason", "still"), "sandbox_gz": OF_A_SANDBOX, "sandbox_sz": OF_A_SANDBOX}
MORE_QUESTIONS = ("序号", "志愿者编号", "project_ref")
FIELDS = ("ref", "passcode", "form", "registry", "home", "code", "to", "language", "why", "token", "sequence", "who")
OF_A_ROW = ("from", "to", "version", "revoked")
OF_FORMS = {"content-type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is at a process, so that one nasty part of a request is met behind parts that are right."""

    places: dict[str, str] = field(default_factory=dict)
    who: str = ""

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of what forms ask."""
        return (*FIELDS, "as", "a%00b", *(f"{name}-{self.who}" for name in OF_A_ROW if self.who))


async def scene(stage: Stage, process: str) -> Scene:
    """At a sandbox: a shift, and on its roster a volunteer who can sign in."""
    if process == OPERATOR:
        return Scene({"service": "bridge", "code": "gz", "id": str(uuid.uuid4())})
    code = process.removeprefix("sandbox_")
    shift, ref = await stage.shift(code), await stage.person(code)
    place = {"host": code, "project_ref": shift.project_ref, "shift_ref": shift.shift_ref}
    await stage.books[code].execute(
        "INSERT INTO signup (signup_id, signup_ref, asker, ref, host, project_ref, shift_ref, state) "
        "VALUES ($1, $2, $3, $4, $3, $5, $6, 'withdrawn')",
        *(uuid.uuid4(), f"{ref}-s", code, ref, shift.project_ref, shift.shift_ref),
    )
    return Scene(place | {"registry": "sz" if code == "gz" else "gz"}, ref)


@asynccontextmanager
async def callers(stage: Stage, process: str, there: Scene) -> AsyncIterator[list[SecretForms]]:
    """Everybody who can sign in there: the operator; or an organiser and a volunteer."""
    async with await signed_in(stage, process) as first, SecretForms(stage.stack.url(process)) as second:
        if not there.who:
            yield [first]
            return
        await second.open("/sign-in")
        await second.send("/sign-in", ref=there.who, passcode=stage.stack.passcode or "")
        assert (await second.open("/mine")).status_code == 200
        yield [first, second]
        for one in (first, second):  # all the while they were who they are: no sign-in page
            assert (await one.http.get("/mine")).status_code in (200, 403)


def of_system(stage: Stage, process: str) -> dict[str, str]:
    """What the adapter of this sandbox brings."""
    token = stage.stack.tokens.get(f"system:{process.removeprefix('sandbox_')}")
    return {"authorization": f"Bearer {token}"}


def drawn(route: Route, names: Sequence[str]) -> list[tuple[str, str]]:
    """Some of these names, each with a nasty value."""
    pairs = list(itertools.product(names, NASTY))
    return random.Random(f"{route.method} {route.path}").sample(pairs, min(DRAWN, len(pairs)))


def questions(route: Route, names: tuple[str, ...], right: dict[str, str]) -> Iterator[str]:
    """The route's address with each value in each of its places and in all parameters, and with some in one of them."""
    for value in NASTY:
        for place in route.places:
            yield route.at(**right | {place: value})
        yield f"{route.at(**right)}?{'&'.join(f'{quote(name)}={value}' for name in names)}"[:30_000]
    for name, value in drawn(route, names):
        yield f"{route.at(**right)}?{quote(name)}={value}"


def forms(route: Route, there: Scene) -> Iterator[tuple[str, str]]:
    """Where a form is sent, and what beside its secret: nasty in a place, in all fields, or in one of them."""
    asked, who = route.at(**there.places), f"&who={there.who}"
    for place, value in drawn(route, route.places):
        yield route.at(**there.places | {place: value}), "&why=x"
    for _, value in drawn(route, ["all of them"]):
        yield asked, (who + "".join(f"&{name}={value}" for name in there.fields))[:60_000]
    for name, value in drawn(route, there.fields):
        yield asked, f"{who}&{name}={value}"


def check(route: Route, asked: str, answer: httpx.Response) -> None:
    what = (route.process, route.method, asked[:200], answer.status_code, answer.text[:300])
    if answer.status_code == 503 and not route.page:  # more is asked at present than is answered: no fault
        assert answer.json()["error"] in ("busy", "too_slow"), what
        return
    assert answer.status_code < 500, what
    if route.page and answer.status_code >= 400:
        assert answer.headers["content-type"] == HTML, what
        assert "default-src 'none'" in answer.headers["content-security-policy"], what


@pytest.fixture
def traces(stage: Stage) -> Iterator[None]:
    """No trace in any log that is written meanwhile."""
    logs = {path: path.stat().st_size for path in Path(stage.stack.folder / "logs").iterdir()}
    yield
    for path, size in logs.items():
        with path.open("rb") as file:
            file.seek(size)
            assert b"Traceback" not in file.read(), path.name


@pytest.mark.usefixtures("traces")
async def test_no_question_to_a_service_is_a_fault(stage: Stage) -> None:
    bearer = {"authorization": f"Bearer {stage.stack.tokens['operator']}"}
    for route in await of_services(stage):
        for asked in questions(route, route.parameters, {"code": "gz"}):
            url = stage.stack.url(route.process) + asked
            check(route, asked, await stage.http.request(route.method, url, headers=bearer))
        if route.method == "POST":
            for body in BODIES:
                url = stage.stack.url(route.process) + route.at(code="gz")
                headers = bearer | {"content-type": "application/json"}
                check(route, repr(body[:80]), await stage.http.post(url, content=body, headers=headers))


async def whose(route: Route, there: Scene, known: list[SecretForms]) -> SecretForms:
    """Whoever may look at this page."""
    for caller in known[:-1]:
        if (await caller.http.get(route.at(**there.places))).status_code != 403:
            return caller
    return known[-1]


@pytest.mark.parametrize("process", [OPERATOR, "sandbox_gz"])  # the pages of both sandboxes are the same
@pytest.mark.usefixtures("traces")
async def test_no_question_to_a_page_is_a_fault(stage: Stage, process: str) -> None:
    there, pages = await scene(stage, process), [one for one in of_pages(stage, "GET") if one.process == process]
    async with SecretForms(stage.stack.url(process)) as stranger, callers(stage, process, there) as known:
        for route in pages:
            caller = await whose(route, there, known)
            for asked in questions(route, QUESTIONS[process], there.places):
                check(route, asked, await caller.http.get(asked))
            check(route, route.at(), await stranger.http.get(route.at()))


@pytest.mark.parametrize("process", [OPERATOR, "sandbox_sz"])
@pytest.mark.usefixtures("traces")
async def test_no_form_is_a_fault(stage: Stage, process: str) -> None:
    there, taken = await scene(stage, process), [one for one in of_pages(stage, "POST") if one.process == process]
    async with callers(stage, process, there) as known:
        for route, caller in itertools.product(taken, known):
            for asked, form in forms(route, there) if route.path != "/sign-out" else ():
                sent = f"csrf={caller.csrf}{form}"
                check(route, asked + sent, await caller.http.post(asked, content=sent, headers=OF_FORMS))


@pytest.mark.parametrize(
    "process", [OPERATOR, "sandbox_sz"]
)  # this sandbox is asked all that the other one is, and more
@pytest.mark.usefixtures("traces")
async def test_no_question_and_no_body_of_a_machine_is_a_fault(stage: Stage, process: str) -> None:
    http, url = stage.http, stage.stack.url(process)
    headers = of_system(stage, process) | {"content-type": "application/json"}
    for route in faces(stage):
        if route.process == process and not route.page:
            for asked in questions(route, MORE_QUESTIONS, {}) if route.method == "GET" else ():
                check(route, asked, await http.get(url + asked, headers=headers))
            for body in BODIES if route.method == "POST" else ():
                check(route, repr(body[:80]), await http.post(url + route.at(), content=body, headers=headers))
