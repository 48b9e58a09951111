"""``registry.<code>.refusals.v1``: everything that the border turned away, back to its sender."""

from typing import Annotated

from pydantic import Field

from contracts.messages.base import EventId, Key, Message, ReasonCode, Text, Version


class MessageRefused(Message):
    """To the sender: this message took no effect. Final for its id; try again under a new one.

    ``pointer`` is a JSON pointer into the refused body (RFC 6901). ``refused_key`` is that message's key, or ``-`` when
    it could not be read, had another key than its body says, or an id that another message had: such a key may be
    anything, a document number too.
    """

    message_id: EventId
    message_type: Annotated[Text, Field(max_length=300)] | None = None
    reason: ReasonCode
    pointer: Annotated[Text, Field(max_length=300)] | None = None
    detail: Annotated[Text, Field(max_length=500)] | None = None
    refused_key: Key
    standing_version: Annotated[
        Version | None,
        Field(
            description="With the reason stale_consent: the highest version of consent that was seen. A giving counts"
            " under a higher version only."
        ),
    ] = None

    @property
    def key(self) -> str:
        """The refused message's key."""
        return self.refused_key

    @property
    def subject(self) -> str:
        """The refused message."""
        return self.message_id
