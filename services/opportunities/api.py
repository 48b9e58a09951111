"""The read API: one-click search for any registry's app, campaigns, and the operators' figures."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException
from fastapi import Query as Parameter
from pydantic import BaseModel, BeforeValidator, Field

from contracts.messages.base import AgeBand, Ref, RegistryCode, Text
from contracts.messages.shifts import Campaign, Category, Place
from services.chassis.base.clock import Clock
from services.chassis.base.http import Operator, principal
from services.chassis.base.reading import Reads
from services.chassis.base.settings import Settings
from services.opportunities import search
from services.opportunities.search import CursorError, Moment, Query, Row

__all__ = ["CampaignFound", "Figures", "Page", "ShiftFound", "SignupNow", "api", "signup_now"]

SignupNow = Literal["post", "line", "full", "opens_later", "closed"]
"""What a shift has for somebody who asks now: a post, a place in line, or neither. ``opens_later``: sign-up is not open
yet. ``closed``: sign-up is over, or the shift was cancelled."""


def signup_now(row: Row, at: datetime) -> SignupNow:
    """What a request at this moment would meet, by a row of search. The age and the windows of the person are not
    looked at."""
    if row["state"] == "cancelled" or row["project_state"] == "closed":
        return "closed"
    if at >= min(row["signup_closes_at"], row["starts_at"]):
        return "closed"
    if at < row["signup_opens_at"]:
        return "opens_later"
    if row["free"] and not row["waitlisted"]:
        return "post"
    return "line" if row["waitlisted"] < row["waitlist_posts"] else "full"


class ShiftFound(BaseModel):
    """A shift with its project, as search shows it."""

    host: str
    project_ref: str
    shift_ref: str
    title: str
    category: Category
    campaign: Campaign | None
    organiser_ref: str
    starts_at: datetime
    ends_at: datetime
    signup_opens_at: datetime
    signup_closes_at: datetime
    posts: int
    free: int
    waitlist_posts: int
    waitlisted: int
    minimum_age: int
    place: Place
    state: Literal["open", "cancelled"]
    project_state: Literal["open", "closed"]
    """Shifts of a closed project take no new sign-ups."""
    signup_now: SignupNow

    @classmethod
    def of(cls, row: Row, at: datetime) -> ShiftFound:
        """From a row of search, as it stands at this moment."""
        campaign = row["campaign_ref"] and Campaign(ref=row["campaign_ref"], title=row["campaign_title"])
        place = Place(division_code=row["division_code"], text=row["place_text"])
        return cls.model_validate(row | {"campaign": campaign, "place": place, "signup_now": signup_now(row, at)})


class Page(BaseModel):
    """One page; ``next`` goes into ``after`` and is null on the last page."""

    shifts: list[ShiftFound]
    next: str | None


class CampaignFound(BaseModel):
    """A campaign as one host takes part in it: its open projects there."""

    host: str
    ref: str
    title: str
    projects: int
    shifts: int
    posts: int
    free: int


class Figures(BaseModel):
    """Counts over all rows.

    ``requested`` = ``confirmed`` + ``waitlisted`` (those of now) + ``withdrawn`` + all of ``refused``. ``campaigns``
    are counted by their ref over all hosts, as search finds them: two hosts with one ref take part in the same
    campaign. ``clashed``: windows that homes reported and that wait for another window to end. ``overbooked``: posts
    that were given above the allotment of that moment, corrected later or not (lowering posts below ``confirmed`` gives
    none); or, if that is more, sign-ups that are confirmed above the posts of their shift now.
    """

    projects: int
    campaigns: int
    shifts: int
    posts: int
    requested: int
    confirmed: int
    waitlisted: int
    promoted: int
    withdrawn: int
    refused: dict[str, int]
    reported: int
    clashed: int
    overbooked: int


def _interval(value: Any) -> Any:
    """Read ``start/end`` (ISO 8601)."""
    return tuple(value.split("/")) if isinstance(value, str) else value


class SearchParameters(BaseModel):
    """Conditions for a shift; a field that is not given is no condition."""

    host: RegistryCode | None = None
    district: Annotated[str, Field(pattern=r"^[0-9]{2,6}$")] | None = None
    """A division code or its beginning."""
    since: Moment | None = None
    until: Moment | None = None
    """The shift starts in [since, until)."""
    category: Category | None = None
    campaign: Annotated[Text, Field(max_length=300)] | None = None
    text: Annotated[Text, Field(max_length=100)] | None = None
    """Words, each of which must be in the title, the campaign or the place."""
    age_band: AgeBand | None = None
    """Only shifts for which somebody of this band may be old enough."""
    busy: Annotated[list[Annotated[tuple[Moment, Moment], BeforeValidator(_interval)]], Field(max_length=100)] = []
    """Windows ``start/end`` that must stay free."""
    include_full: bool = False
    """Also shifts without a free post."""
    include_line: bool = False
    """Also full shifts that have a place in line."""
    open_now: bool = False
    """Only shifts whose sign-up is open; otherwise also those whose sign-up opens later."""
    at: Moment | None = None
    """The moment for which shifts are judged; now, if not given."""
    after: Annotated[str, Field(max_length=1000)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20

    def query(self, now: datetime) -> Query:
        """The query for search. It asks for one row more than the page has, which says whether there is a next page."""
        return Query(
            at=self.at or now,
            limit=self.limit + 1,
            host=self.host,
            district=self.district,
            since=self.since,
            until=self.until,
            category=self.category.value if self.category else None,
            campaign=self.campaign,
            text=self.text,
            oldest_minimum_age=self.age_band.oldest if self.age_band else None,
            busy=self.busy,
            include_full=self.include_full,
            include_line=self.include_line,
            open_now=self.open_now,
            after=self.after,
        )


def api(reads: Reads, settings: Settings) -> APIRouter:
    """The routes. Any registry's token may search: a host offers its shifts to the volunteers of all registries."""
    clock = Clock(timedelta(seconds=settings.clock_offset))
    router = APIRouter(dependencies=[Depends(principal)])

    @router.get("/search")
    async def find(parameters: Annotated[SearchParameters, Parameter()]) -> Page:
        """Shifts that can be joined now or later, earliest first. ``signup_now`` says what each has at that moment."""
        query = parameters.query(clock.now())
        try:
            async with reads.question() as db:
                rows = await search.find(db, query)
        except CursorError as error:
            raise HTTPException(422, str(error)) from error
        page = rows[: parameters.limit]
        following = search.cursor_of(page[-1]) if len(rows) > len(page) else None
        return Page(shifts=[ShiftFound.of(row, query.at) for row in page], next=following)

    @router.get("/shifts/{host}/{project_ref}/{shift_ref}")
    async def shift(host: RegistryCode, project_ref: Ref, shift_ref: Ref, at: Moment | None = None) -> ShiftFound:
        """One shift, cancelled and full ones too. ``at``: the moment of ``signup_now``."""
        async with reads.question() as db:
            row = await search.shift(db, (host, project_ref, shift_ref))
        if row is None:
            raise HTTPException(404, "no such shift")
        return ShiftFound.of(row, at or clock.now())

    @router.get("/campaigns")
    async def campaigns() -> list[CampaignFound]:
        """Campaigns of all hosts."""
        async with reads.question() as db:
            return [CampaignFound.model_validate(row) for row in await search.campaigns(db)]

    @router.get("/figures")
    async def figures(_: Operator) -> Figures:
        """Counts, for operators."""
        async with reads.sums() as db:
            return Figures.model_validate(await search.figures(db))

    return router
