"""``registry.<code>.refusals.v1``: refusals, back to the senders of the refused messages."""

from typing import Annotated

from pydantic import Field

from contracts.messages.base import EventId, Key, Message, ReasonCode, Text, Version


class MessageRefused(Message):
    """To the sender: this message took no effect. Final for its id; try again under a new one.

    ``pointer`` is a JSON pointer into the refused body (RFC 6901). ``refused_key`` is the refused message's key. It is
    ``-`` if the message could not be read, had another key than its body says, or had the id of another message: such
    a key may be anything, also a document number.
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
