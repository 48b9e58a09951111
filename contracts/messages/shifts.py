"""``registry.<code>.opportunities.v1``: what a host offers. Each message carries the whole state. Key: project_ref."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from contracts.messages.base import Instant, Message, Ref, Title, Value, Version


class Category(StrEnum):
    """Project categories that all registries share: the six areas of the linkage."""

    CITY_SAFETY = "city_safety"
    ECOLOGY = "ecology"
    COMMUNITY = "community"
    TALENT = "talent"
    DEMO_PROJECT = "demo_project"
    CULTURE = "culture"


# Rule 58.
class Place(Value):
    """Where a shift is: GB/T 2260 division code and words; never coordinates."""

    division_code: Annotated[str, Field(pattern=r"^[0-9]{6}$")]
    text: Annotated[Title, Field(min_length=1, max_length=200)]


class Campaign(Value):
    """A zone that gathers projects, such as a summer campaign."""

    ref: Ref
    title: Annotated[Title, Field(min_length=1, max_length=100)]


class ProjectPublished(Message):
    """A host's project as it stands now."""

    project_ref: Ref
    version: Version
    title: Annotated[Title, Field(min_length=1, max_length=200)]
    category: Category
    campaign: Campaign | None = None
    organiser_ref: Ref
    state: Literal["open", "closed"] = "open"

    @property
    def key(self) -> str:
        """The project."""
        return self.project_ref


class ShiftPublished(Message):
    """A host's shift as it stands now. ``posts`` is what the host allots to the linkage.

    The window of a shift does not change between versions: a host cancels and publishes another one, because
    people have been promised their time.
    """

    project_ref: Ref
    shift_ref: Ref
    version: Version
    starts_at: Instant
    ends_at: Instant
    signup_opens_at: Instant
    signup_closes_at: Instant
    posts: Annotated[int, Field(ge=0, le=100_000)]
    waitlist_posts: Annotated[int, Field(ge=0, le=100_000)] = 0
    minimum_age: Annotated[
        int, Field(ge=0, le=18, description="In years. At most 18: of an adult the linkage knows no other age.")
    ] = 0
    place: Place
    state: Literal["open", "cancelled"] = "open"

    @model_validator(mode="after")
    def _windows_are_in_order(self) -> Self:
        if self.ends_at <= self.starts_at:
            raise ValueError("ends_at must be after starts_at")
        if self.signup_closes_at <= self.signup_opens_at:
            raise ValueError("signup_closes_at must be after signup_opens_at")
        return self

    @property
    def key(self) -> str:
        """The project: one project is one ordered stream."""
        return self.project_ref

    @property
    def subject(self) -> str:
        """The shift."""
        return self.shift_ref
