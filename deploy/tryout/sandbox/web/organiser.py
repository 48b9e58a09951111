"""The organiser's pages: shifts, rosters, the check-in code, and service records to attest or correct."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import segno
from fastapi import Response

from contracts.messages.service import SHANGHAI
from deploy.tryout.sandbox.web import codes, offered, views
from deploy.tryout.sandbox.web.offered import Attest
from deploy.tryout.sandbox.web.site import Site, Visit
from deploy.web.frame import Size
from deploy.web.trouble import Forbidden

__all__ = ["organiser_pages"]

_FORM_TIME: Final = "%Y-%m-%dT%H:%M"
_ROSTER: Final = Size(256 * 1024, 5 * views.MOST_ON_A_ROSTER + 1)
"""Five fields a row. A row with the longest numbers has 400 bytes."""


def organiser_pages(site: Site) -> None:
    """Enter the routes of these pages."""
    site.get("/organiser", shifts)
    site.get("/organiser/{project_ref}/{shift_ref}", roster)
    site.post("/organiser/{project_ref}/{shift_ref}", attest, size=_ROSTER)
    site.get("/organiser/{project_ref}/{shift_ref}/code", code)
    site.get("/organiser/{project_ref}/{shift_ref}/code.svg", code_picture)


async def shifts(visit: Visit) -> Response:
    """The organiser's shifts."""
    account = visit.of_kind("organiser")
    found = await views.organised(visit.site.pool, visit.site.seat.code, account.ref)
    return visit.page("organiser.html", shifts=found)


async def _own(visit: Visit) -> dict[str, Any]:
    found = await visit.own_shift()
    if found["organiser_ref"] != visit.of_kind("organiser").ref:
        raise Forbidden("not_yours")
    return found


async def roster(visit: Visit, said: str | None = None, problem: str | None = None, status: int = 200) -> Response:
    """The people who have a post, with the times to attest."""
    shift = await _own(visit)
    rows = await views.roster(visit.site.pool, visit.site.seat.code, shift["project_ref"], shift["shift_ref"])
    for row in rows:
        begin, end = offered.times(row, shift, datetime.now(UTC))
        row["from"], row["to"] = (at.astimezone(SHANGHAI).strftime(_FORM_TIME) for at in (begin, end))
    template = "_roster.html" if visit.fragment else "roster.html"
    return visit.page(template, status, shift=shift, rows=rows, said=said, problem=problem)


async def attest(visit: Visit) -> Response:
    """Attest the chosen people's service, many at once. Where there is a record, it is corrected."""
    shift = await _own(visit)
    known = await views.roster(visit.site.pool, visit.site.seat.code, shift["project_ref"], shift["shift_ref"])
    rows = {row["key"]: row for row in known}
    said: list[Attest] = []
    problem = None
    for key in visit.form.getlist("who"):
        if not isinstance(key, str) or key not in rows:
            raise Forbidden("not_yours")
        try:
            said += _said(visit, rows[key])
        except (ValueError, OverflowError) as error:
            problem = visit.words("bad_times", ref=rows[key]["ref"], why=str(error))
    if problem is not None:
        return await roster(visit, problem=problem, status=422)
    try:
        new = await visit.site.desk.attest(
            visit.of_kind("organiser").ref, shift["project_ref"], shift["shift_ref"], said
        )
    except ValueError as error:
        return await roster(visit, problem=visit.words("bad_times", ref="", why=_why(error)), status=422)
    told = visit.words("attested_n", n=new) if new else visit.words("nothing_new")
    return await roster(visit, said=told)


def _said(visit: Visit, known: dict[str, Any]) -> list[Attest]:
    """What the row says that is new. A night that has no record yet becomes one record for each day."""
    key = known["key"]
    begin, end = (
        datetime.strptime(visit.text(f"{name}-{key}"), _FORM_TIME).replace(tzinfo=SHANGHAI) for name in ("from", "to")
    )
    version = int(visit.text(f"version-{key}")[:9] or 0)  # a longer number is no version of ours
    supported, revoked = offered.evidence_class(known["came_by"]), visit.text(f"revoked-{key}") == "1"
    spans = [(begin, end)] if known["version"] else offered.nights(begin, end)
    said = [Attest(known["ref"], known["record_ref"], version, *span, supported, revoked) for span in spans]
    return [one for one in said if _is_new(one, known)]


def _is_new(said: Attest, known: dict[str, Any]) -> bool:
    """Whether the row differs from the record: an unchanged row that is sent again is no correction."""
    if known["version"] is None:
        return True
    span = (known["started_at"], known["ended_at"], known["revoked"])
    return said.version == known["version"] and (said.started_at, said.ended_at, said.revoked) != span


def _why(error: ValueError) -> str:
    """The contract's own words, without the typed text."""
    errors = getattr(error, "errors", None)
    return str(errors(include_url=False, include_input=False)[0]["msg"]) if errors else str(error)


async def code(visit: Visit) -> Response:
    """The code of this half minute, large enough to be read across a room."""
    shift = await _own(visit)
    digits = await codes.current(visit.site.pool, shift["project_ref"], shift["shift_ref"])
    return visit.page("_code.html" if visit.fragment else "code.html", shift=shift, digits=digits)


async def code_picture(visit: Visit) -> Response:
    """The same as a QR code, which opens the check-in page with the code filled in."""
    shift = await _own(visit)
    digits = await codes.current(visit.site.pool, shift["project_ref"], shift["shift_ref"])
    place = f"check-in/{shift['project_ref']}/{shift['shift_ref']}?code={digits}"
    drawn = segno.make(f"{visit.request.base_url}{place}", error="m").svg_inline(scale=6, border=2)
    if "xmlns=" not in drawn:
        drawn = drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return Response(drawn, media_type="image/svg+xml")
