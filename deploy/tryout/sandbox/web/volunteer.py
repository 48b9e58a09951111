"""The volunteer's pages: her own page, find, join, check in, and her hours."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import anyio
from fastapi import Response

from contracts.messages.base import AgeBand
from deploy.tryout.sandbox.web import codes, views
from deploy.tryout.sandbox.web.accounts import Account
from deploy.tryout.sandbox.web.calendar import calendar
from deploy.tryout.sandbox.web.desk import STANDS, Window
from deploy.tryout.sandbox.web.hours import hours_of
from deploy.tryout.sandbox.web.site import Site, Visit
from deploy.tryout.sandbox.web.views import Place
from deploy.tryout.sandbox.web.words import CATEGORIES, DISTRICTS
from deploy.web.frame import go
from deploy.web.trouble import NotFound, NotPossible, NotReached

__all__ = ["volunteer_pages"]

_ASKED: Final = ("host", "district", "category", "campaign", "text", "after")
_PAGE: Final = 20
_TO_AGREE: Final = ("withdrawn", "expired")
"""States of consent in which she must agree again."""


def volunteer_pages(site: Site) -> None:
    """Enter the routes of these pages."""
    site.get("/", me)
    site.get("/find", find)
    site.get("/shifts/{host}/{project_ref}/{shift_ref}", shift)
    site.post("/shifts/{host}/{project_ref}/{shift_ref}/join", join)
    site.post("/shifts/{host}/{project_ref}/{shift_ref}/leave", leave)
    site.get("/shifts/{host}/{project_ref}/{shift_ref}/calendar.ics", ics)
    site.get("/mine", mine)
    site.get("/check-in/{project_ref}/{shift_ref}", check_in_page)
    site.post("/check-in/{project_ref}/{shift_ref}", check_in)
    site.get("/hours", hours)
    site.get("/hours/live", hours)


async def me(visit: Visit) -> Response:
    """Her total, her links with other cities, and her next shifts."""
    account = visit.account
    if account.kind == "organiser":
        return go("/organiser")
    pool, code = visit.site.pool, visit.site.seat.code
    signups = await _with_titles(visit, await views.signups(pool, code, account.ref))
    now = datetime.now(UTC)
    coming = [one for one in signups if one["state"] in STANDS and one["ends"] and one["ends"] > now]
    links = await views.links(pool, account.ref)
    ran_out: dict[str, int] = {}
    if account.kind == "volunteer" and links:
        with contextlib.suppress(NotReached):  # then the page has what our books have, and they do not know of it
            ran_out = await visit.site.linkage.ran_out(code, account.ref)
    return visit.page(
        "me.html",
        minutes=visit.site.seat.shown(await views.minutes_at_home(pool, account.ref)),
        links=links,
        coming=coming[:3],
        ran_out=ran_out,
    )


# -- shifts ----------------------------------------------------------------------------------------------------------


async def find(visit: Visit) -> Response:
    """Shifts of both cities that have a post or a place in line, also those whose sign-up opens later."""
    asked = {name: visit.request.query_params.get(name, "")[:100] for name in _ASKED}
    fits, date = visit.request.query_params.get("fits") == "1", visit.request.query_params.get("date", "")[:10]
    parameters: dict[str, Any] = asked | {"limit": _PAGE, "include_line": True}
    found: dict[str, Any] = {"shifts": [], "next": None}
    problem, campaigns = None, await visit.site.linkage.campaigns()
    try:
        parameters |= _day(date)
        busy = await _fitting(visit, parameters) if fits else []
        found = await visit.site.linkage.search(parameters, busy)
    except (ValueError, OverflowError):
        problem = visit.words("not_searched")
    zones = {one["ref"]: one["title"] for one in campaigns}
    query = {name: value for name, value in asked.items() if value and name != "after"}
    query |= {"date": date} if date else {}
    query |= {"fits": "1"} if fits else {}
    return visit.page(
        "find.html", found=found, asked=asked | {"date": date}, fits=fits, zones=zones, query=query,
        districts=DISTRICTS, categories=CATEGORIES, problem=problem,
    )  # fmt: skip


def _day(date: str) -> dict[str, str]:
    """The span in which shifts of this Shanghai day begin. Raises ``ValueError``; ``OverflowError`` at the first and
    last days that there are."""
    if not date:
        return {}
    begin = datetime.fromisoformat(f"{date}T00:00:00+08:00").astimezone(UTC)
    return {"since": begin.isoformat(), "until": (begin + timedelta(days=1)).isoformat()}


async def _fitting(visit: Visit, parameters: dict[str, Any]) -> list[str]:
    """The shifts for which she is old enough, outside the windows of her sign-ups."""
    session = visit.session
    if session is None or session.account is None:
        return []
    if session.account.age_band is not None:
        parameters["age_band"] = AgeBand(session.account.age_band).value
    taken = await views.signups(visit.site.pool, visit.site.seat.code, session.account.ref)
    standing = [one for one in taken if one["state"] in STANDS and one["begins"] and one["ends"]]
    return [f"{one['begins'].isoformat()}/{one['ends'].isoformat()}" for one in standing[:100]]


def _place(visit: Visit) -> Place:
    path = visit.request.path_params
    return path["host"], path["project_ref"], path["shift_ref"]


async def _shift_there(visit: Visit) -> dict[str, Any]:
    """The shift that the address names, of any registry, as the linkage has it."""
    found = await visit.site.linkage.shift(*_place(visit))
    if found is None:
        raise NotFound("no_shift")
    return found


async def shift(visit: Visit) -> Response:
    """One shift and the state of her sign-up. If it was refused, also other shifts that fit."""
    host, _, shift_ref = place = _place(visit)
    found = await _shift_there(visit)
    account = None if visit.session is None else visit.session.account
    mine = None if account is None else await views.signup_at(visit.site.pool, account.ref, place)
    others: list[dict[str, Any]] = []
    if mine is not None and mine["state"] == "refused":
        parameters: dict[str, Any] = {"host": host, "limit": 4, "open_now": True}
        busy = await _fitting(visit, parameters)
        answer = await visit.site.linkage.search(parameters, busy)
        free = [one for one in answer["shifts"] if one["signup_now"] == "post"]
        others = [one for one in free if one["shift_ref"] != shift_ref][:3]
    links = [] if account is None else await views.links(visit.site.pool, account.ref)
    linked = host == visit.site.seat.code or any(t["registry"] == host and t["established"] for t in links)
    template = "_signup.html" if visit.fragment else "shift.html"
    begun = datetime.fromisoformat(found["starts_at"]) <= datetime.now(UTC)
    return visit.page(template, shift=found, mine=mine, others=others, linked=linked, begun=begun)


async def join(visit: Visit) -> Response:
    """Sign up by one click."""
    return await _after(visit, visit.site.desk.join)


async def leave(visit: Visit) -> Response:
    """Give the post back, for somebody else."""
    return await _after(visit, visit.site.desk.leave)


async def _after(visit: Visit, done: Callable[[Account, Place, Window], Awaitable[None]]) -> Response:
    account, place, found = visit.of_kind("volunteer", "visitor"), _place(visit), await _shift_there(visit)
    await done(account, place, (datetime.fromisoformat(found["starts_at"]), datetime.fromisoformat(found["ends_at"])))
    return go("/shifts/{}/{}/{}".format(*place))


async def ics(visit: Visit) -> Response:
    """The shift for a calendar (RFC 5545)."""
    return Response(calendar(await _shift_there(visit)), media_type="text/calendar; charset=utf-8")


async def _with_titles(visit: Visit, signups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Only the linkage knows the words of the other city's shifts. Without it they are shown by their numbers."""
    lacking = [one for one in signups if one["title"] is None][:20]

    async def fill(one: dict[str, Any]) -> None:
        try:
            found = await visit.site.linkage.shift(one["host"], one["project_ref"], one["shift_ref"])
        except NotReached:
            return
        if found is not None:
            one |= {"title": found["title"], "place": found["place"]["text"]}
            one["begins"] = one["begins"] or datetime.fromisoformat(found["starts_at"])
            one["ends"] = one["ends"] or datetime.fromisoformat(found["ends_at"])

    async with anyio.create_task_group() as group:
        for one in lacking:
            group.start_soon(fill, one)
    return signups


async def mine(visit: Visit) -> Response:
    """All her sign-ups."""
    account = visit.of_kind("volunteer", "visitor")
    signups = await views.signups(visit.site.pool, visit.site.seat.code, account.ref)
    return visit.page("mine.html", signups=await _with_titles(visit, signups))


# -- service ---------------------------------------------------------------------------------------------------------


async def check_in_page(visit: Visit) -> Response:
    """The page on which she types the organiser's code, when she comes and when she goes. A QR code fills the code
    in."""
    account, code = visit.of_kind("volunteer", "visitor"), visit.request.query_params.get("code", "")[:6]
    return await _presence(visit, account, await visit.own_shift(), code=code)


async def check_in(visit: Visit) -> Response:
    """Check her in, or out."""
    account, shift = visit.of_kind("volunteer", "visitor"), await visit.own_shift()
    at, leaves = (shift["project_ref"], shift["shift_ref"]), visit.text("leaves") == "1"
    known = await views.signup_at(visit.site.pool, account.ref, (visit.site.seat.code, *at))
    if known is None or known["state"] not in ("confirmed", "promoted", "reported"):
        raise NotPossible("no_signup")
    said, status = "checked_in", 200
    if visit.site.tries.spent(account.ref):
        said, status = "too_many_tries", 429
    elif not await codes.is_right(visit.site.pool, *at, visit.text("code")):
        visit.site.tries.wrong(account.ref)
        said, status = "wrong_code_now", 403
    else:
        await visit.site.desk.is_there(account.ref, *at, leaves=leaves)
        if leaves:
            said, status = "checked_out", 200
    return await _presence(visit, account, shift, said, status)


async def _presence(
    visit: Visit, account: Account, shift: dict[str, Any], said: str | None = None, status: int = 200, code: str = ""
) -> Response:
    stay = await views.stay_of(visit.site.pool, account.ref, shift["project_ref"], shift["shift_ref"])
    return visit.page("check_in.html", status, shift=shift, code=code, said=said, here_since=stay.came_at)


async def hours(visit: Visit) -> Response:
    """All her services: how far each has come on its way, and who must act next."""
    account = visit.of_kind("volunteer", "visitor")
    told, reached = None, True
    try:
        told = await visit.site.linkage.timeline(visit.site.seat.code, account.ref)
    except NotReached:
        reached = False
    minutes = visit.site.seat.shown(await views.minutes_at_home(visit.site.pool, account.ref))
    live = visit.request.url.path.endswith("/live")
    services = [] if told is None else hours_of(told["services"])
    own = [] if told is None or account.kind == "visitor" else told["links"]
    withheld = [link for link in own if link["services_withheld"] and link["consent"] in _TO_AGREE]
    template = "_hours.html" if live else "hours.html"
    return visit.page(template, services=services, withheld=withheld, minutes=minutes, reached=reached)
