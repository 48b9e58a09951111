"""``operations.events.v1``: what operators did that changed a service's database. Key: service."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from contracts.messages.base import Instant, Message, ReasonCode, RegistryCode, Text


class OperatorActed(Message):
    """An operator changed what a service's database holds; written in the transaction of the act.

    Nothing else says it again: no message of the log causes an act. A database that is restored from an older backup
    lacks it until an operator does it again. Why it was done stays in the database, since that is free text.
    """

    service: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$", description="Whose database it is.")]
    registry: Annotated[RegistryCode | None, Field(description="Of an adapter: the seat that it stands for.")] = None
    act: Annotated[
        ReasonCode,
        Field(description="release, discard, pause, resume, settle_credited, settle_refused, forget_positions; open."),
    ]
    about: Annotated[
        Text,
        Field(
            min_length=1,
            max_length=300,
            description="What was acted on: <topic>/<partition>/<offset> of a message set aside, a registry's "
            "code, a transfer, or a topic.",
        ),
    ]
    operator: Annotated[
        Text, Field(min_length=1, max_length=100, description="The name beside the token; command: there was no token.")
    ]
    at: Instant

    @property
    def key(self) -> str:
        """The service."""
        return self.service

    @property
    def subject(self) -> str:
        """What was acted on."""
        return self.about
