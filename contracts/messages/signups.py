"""``registry.<code>.signups.v1``: who wants which post, as asked at home or at the host. Key: volunteer_ref."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from contracts.messages.base import Instant, Message, Ref, RegistryCode


class _OfSignup(Message, abstract=True):
    signup_ref: Ref
    volunteer_ref: Ref
    host: RegistryCode
    project_ref: Ref
    shift_ref: Ref

    @property
    def key(self) -> str:
        return self.volunteer_ref

    @property
    def subject(self) -> str:
        return self.signup_ref


class SignupRequested(_OfSignup):
    """Home or host: one click. The sender may be either registry; ``volunteer_ref`` is the sender's own.

    ``at_least`` is the home's word on her age, for a shift whose minimum age lies within her age band. Only the home
    may give it.
    """

    at_least: Annotated[
        int | None, Field(ge=1, le=18, description="She is at least this old, in whole years. No birth date crosses.")
    ] = None


class SignupWithdrawn(_OfSignup):
    """Home or host: she gives the post or her place in the waitlist back. Refused once the shift has begun."""


class SignupReported(_OfSignup):
    """Home about its own shift (host = home): a linked volunteer is busy then. It takes no post of the linkage."""

    starts_at: Instant
    ends_at: Instant
    state: Literal["active", "withdrawn"] = "active"

    @model_validator(mode="after")
    def _window_is_in_order(self) -> Self:
        if self.ends_at <= self.starts_at:
            raise ValueError("ends_at must be after starts_at")
        return self
