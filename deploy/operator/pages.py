"""The operator's pages: the overview, messages set aside, differences, and pausing of registries."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from fastapi import Response

from deploy.operator.console import Console, Visit
from deploy.operator.overview import overview
from deploy.operator.settings import BRIDGE
from deploy.web.frame import go
from deploy.web.trouble import NotFound, NotPossible

__all__ = ["pages"]

_IN_LINE: Final = ("waiting", "behind", "ready")
"""Reasons of messages that are decided without an operator: they cannot be released."""
_AT_ONCE: Final = 100


def pages(console: Console) -> None:
    """Add the routes of these pages."""
    console.get("/sign-in", sign_in_page)
    console.post("/sign-in", sign_in)
    console.post("/sign-out", sign_out)
    console.post("/language", console.speak)
    console.get("/", first)
    console.get("/hour", hour)
    console.get("/set-aside/{service}", set_aside)
    console.post("/set-aside/{service}/release", release)
    console.get("/differences", differences)
    console.get("/registries/{code}", registry)
    console.post("/transfers/{id}/settle", settle)
    console.post("/registries/{code}/pause", pause)
    console.post("/registries/{code}/resume", resume)


# -- sign-in ---------------------------------------------------------------------------------------------------------


async def sign_in_page(visit: Visit, wrong: str | None = None, status: int = 200) -> Response:
    """Ask for an operator's token. It is in no address and no log."""
    if visit.session is None:
        visit.session = visit.console.sessions.open()
    response = visit.page("sign_in.html", status, wrong=wrong)
    visit.console.keep(visit, visit.session.token, response)
    return response


async def sign_in(visit: Visit) -> Response:
    """Sign in with an operator's token. The services judge the token; this page does not."""
    # Tries are not counted: a token cannot be guessed, and operators often share an address.
    console, bearer = visit.console, visit.text("token")
    if not bearer or not await console.linkage.is_operator(bearer):
        return await sign_in_page(visit, "wrong_token", 403)
    console.sessions.end(visit.session)
    session = console.sessions.open(bearer)
    response = go("/")
    console.keep(visit, session.token, response)
    return response


async def sign_out(visit: Visit) -> Response:
    """End the session, and forget its token."""
    visit.console.sessions.end(visit.session)
    response = go("/sign-in")
    visit.console.forget(response)
    return response


# -- looking ---------------------------------------------------------------------------------------------------------


async def first(visit: Visit) -> Response:
    """The overview. The part below the heading is loaded again by itself."""
    visit.signed_in()  # before services are asked how they are for a stranger
    found = await overview(visit.console.linkage, visit.ask)
    still = visit.request.query_params.get("still") == "1"
    return visit.page("_overview.html" if visit.fragment else "overview.html", o=found, still=still)


async def hour(visit: Visit) -> Response:
    """The last hour minute by minute, as figures."""
    return visit.page("hour.html", rows=(await visit.ask(BRIDGE, "/flows"))["by_minute"])


async def set_aside(visit: Visit) -> Response:
    """A service's messages that are set aside: the place of each in the log, and the reason."""
    service, query = visit.request.path_params["service"], visit.request.query_params
    after = int(query["after"]) if _is_sequence(query.get("after", "")) else None
    reason = query.get("reason", "").replace("\0", "")[:40] or None
    found = await visit.ask(service, "/operations/set-aside", reason=reason, after=after, limit=_AT_ONCE)
    names = sorted(visit.console.linkage.services)
    return visit.page("set_aside.html", service=service, names=names, found=found, reason=reason, in_line=_IN_LINE)


def _is_sequence(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


async def differences(visit: Visit) -> Response:
    """Transfers in which the ledgers of home and border may differ."""
    return visit.page("differences.html", found=await visit.ask(BRIDGE, "/differences"))


async def _seat(visit: Visit) -> tuple[str, dict[str, Any]]:
    code: str = visit.request.path_params["code"]
    seat = (await visit.ask(BRIDGE, "/registries")).get(code)
    if seat is None:
        raise NotFound("not_found")
    return code, seat


async def registry(visit: Visit) -> Response:
    """One registry, and what a pause of it would mean."""
    code, seat = await _seat(visit)
    return visit.page("registry.html", code=code, seat=seat)


# -- doing -----------------------------------------------------------------------------------------------------------


async def release(visit: Visit) -> Response:
    """Release the chosen messages: they are decided again, in order."""
    service = visit.request.path_params["service"]
    chosen = [value for value in visit.form.getlist("sequence") if isinstance(value, str)]
    if not all(map(_is_sequence, chosen)):
        raise NotPossible("not_taken")
    if not chosen:
        visit.note(visit.words("nothing_chosen"))
        return go(f"/set-aside/{service}")
    body = {"sequences": sorted(map(int, chosen))[:_AT_ONCE]}
    told = await visit.tell(service, "/operations/set-aside/release", body)
    done = len(told["released"]) + len(told["repeats"])
    visit.note(visit.words("released_n", n=done), "good" if done else "")
    for kept in told["kept"]:
        visit.note(visit.words("kept_one", seq=kept["seq"], why=kept["detail"]))
    return go(f"/set-aside/{service}")


async def settle(visit: Visit) -> Response:
    """Settle a transfer: the operator found in its home's ledger whether it was booked."""
    try:
        transfer = UUID(visit.request.path_params["id"])
    except ValueError:
        raise NotFound("not_found") from None
    order = {"as": visit.text("as"), "why": visit.text("why")}
    if not order["why"]:
        visit.note(visit.words("why_needed"))
        return go("/differences")
    try:
        await visit.tell(BRIDGE, f"/transfers/{transfer}/settle", order)
    except NotPossible:
        visit.note(visit.words("settle_not"))
    else:
        visit.note(visit.words("settle_taken"), "good")
    return go("/differences")


async def pause(visit: Visit) -> Response:
    """Pause a registry: no more of it is read, and no credit is sent to it."""
    return await _change(visit, "pause", "paused_now")


async def resume(visit: Visit) -> Response:
    """Resume a registry."""
    return await _change(visit, "resume", "resumed_now")


async def _change(visit: Visit, what: str, told: str) -> Response:
    code, seat = await _seat(visit)
    why = visit.text("why")
    if not why:
        visit.note(visit.words("why_needed"))
        return go(f"/registries/{code}")
    await visit.tell(BRIDGE, f"/registries/{code}/{what}", {"why": why})
    visit.note(visit.words(told, name=seat["names"][visit.words.language]), "good")
    return go("/")
