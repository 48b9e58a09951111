"""What every message has: a type name with a version, a key, a subject; and the value types they share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import md5
from typing import Annotated, Any, ClassVar, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

__all__ = [
    "AgeBand",
    "Consent",
    "Count",
    "Delta",
    "EventId",
    "EvidenceClass",
    "Instant",
    "Key",
    "Message",
    "Minutes",
    "Origin",
    "ReasonCode",
    "Ref",
    "RegistryCode",
    "Sha256",
    "Text",
    "Title",
    "Value",
    "Version",
    "instant",
    "message_types",
    "named_before",
]

_CLOCK: Final = "([01][0-9]|2[0-3]):[0-5][0-9]"
_RFC_3339: Final = rf"20[0-9]{{2}}-[0-9]{{2}}-[0-9]{{2}}T{_CLOCK}:[0-5][0-9](\.[0-9]{{1,9}})?(Z|[+-]{_CLOCK})"
_INSTANT: Final = re.compile(_RFC_3339)


def instant(text: object) -> object:
    """Read RFC 3339 strictly; a value that is no text passes. Bare seconds and local times raise ``ValueError``."""
    return _read(text) if isinstance(text, str) else text


@lru_cache(maxsize=4096)  # services of many people begin and end at the same moments
def _read(text: str) -> datetime:
    if _INSTANT.fullmatch(text) is None:
        raise ValueError("must be RFC 3339 with an offset, from 2000 to 2099")
    return datetime.fromisoformat(text)


RegistryCode = Annotated[
    str,
    Field(pattern=r"^[a-z][a-z0-9]{1,7}$", description="A registry's seat in the linkage, not the software in it."),
]
Ref = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,63}$",
        description="An identifier inside one registry, opaque to everyone else.",
    ),
]
Version = Annotated[int, Field(ge=1, le=1_000_000)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Minutes = Annotated[int, Field(ge=0, le=1440)]
Delta = Annotated[int, Field(ge=-1440, le=1440, description="Signed whole minutes.")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ReasonCode = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""An open word: ``contracts.reasons`` lists the known reasons. A reader goes on with a reason that it does not know."""
Text = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
"""One line for people: no control characters, which would break a database (NUL) or forge a log line (CR, LF).
A field bounds its length."""

_UNSEEN: Final = (
    r"\x00-\x20\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f"
    r"\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
Title = Annotated[str, Field(pattern=rf"^[^\x00-\x1f\x7f-\x9f]*[^{_UNSEEN}][^\x00-\x1f\x7f-\x9f]*$")]
"""One line for people with at least one visible character: nobody can make a link of blanks."""

LONGEST_ID: Final = 300
"""Characters of an event's id."""
EventId = Annotated[
    Text, Field(min_length=1, max_length=LONGEST_ID, description="The CloudEvents id, a stranger's own text.")
]
Key = Annotated[Text, Field(max_length=300)]
Instant = Annotated[
    AwareDatetime,
    Field(
        ge=datetime(2000, 1, 1, tzinfo=UTC),
        lt=datetime(2100, 1, 1, tzinfo=UTC),
        description="RFC 3339 with an offset, from 2000 to 2099.",
        json_schema_extra={"pattern": f"^{_RFC_3339}$"},
    ),
    BeforeValidator(instant),
]


# Rule 37 (RULES.md). What is published cites nothing, so citations stand in comments and not in docstrings.
class AgeBand(StrEnum):
    """Age at home in bands; the birth date never crosses."""

    UNDER_14 = "under_14"
    FROM_14 = "14_to_15"
    FROM_16 = "16_to_17"
    ADULT = "adult"

    @property
    def youngest(self) -> int:
        """Lower bound of the band in years."""
        return {"under_14": 0, "14_to_15": 14, "16_to_17": 16, "adult": 18}[self.value]

    @property
    def oldest(self) -> int | None:
        """Upper bound of the band in whole years; None where it has none."""
        return {"under_14": 13, "14_to_15": 15, "16_to_17": 17, "adult": None}[self.value]


# Rule 66.
class EvidenceClass(StrEnum):
    """How a service was evidenced; only ``scan`` is meant to count without a person's decision."""

    SCAN = "scan"
    SELF_LOCATION = "self_location"
    ROSTER = "roster"
    SUPPLEMENT = "supplement"


class Value(BaseModel):
    """A part of a message. Frozen; a consumer ignores fields that it does not know."""

    # Every process loads all messages and uses few of them, so pydantic builds each class at its first use. Field
    # holds the description of a field: pydantic would look for docstrings in the source of each class, at each start.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


# Rules 38-40.
class Consent(Value):
    """Permission to share with a named registry for a named purpose; versions only grow."""

    version: Version
    purpose: Literal["service_linkage"] = "service_linkage"
    given_at: Instant
    valid_until: Instant | None = None

    def valid_at(self, moment: datetime) -> bool:
        """Whether it covers this moment."""
        return self.given_at <= moment and (self.valid_until is None or moment < self.valid_until)


def named_before(said: str) -> UUID:
    """The id that stands for a registry's own message id, in commands from before the border had ids of its own. The
    migrations make the same of rows."""
    digest = md5(said.encode("utf-8", "surrogatepass"), usedforsecurity=False)
    return UUID(digest.hexdigest())


class Origin(Value):
    """The registry's message from which a command follows, so that a refusal finds its sender.

    ``message`` is the border's own id for that message. The id that the registry gave it, its type and its key are left
    out: they are a stranger's words, and a volunteer's ref may be among them, which only identity and the border may
    know.
    """

    registry: RegistryCode
    message: UUID

    # Commands of before stand on the log, and in what is set aside: they say the registry's own id.
    @model_validator(mode="before")
    @classmethod
    def _of_before(cls, body: Any) -> Any:
        if not isinstance(body, Mapping) or "message" in body or not isinstance(said := body.get("message_id"), str):
            return body
        return {"registry": body.get("registry"), "message": named_before(said)}


class Message(Value):
    """Base of all messages. Events are named in the past tense, commands in the imperative.

    ``TYPE`` is ``shuangcheng.<context>.<name>.v<major>``; the context is the file it stands in.
    Subclasses say their ``key`` (what orders the stream) and ``subject`` (the entity spoken of).
    A registry's system may leave unread what is ``OPTIONAL``: nothing that comes later builds on it.
    """

    TYPE: ClassVar[str] = ""
    MAJOR: ClassVar[int] = 1
    OPTIONAL: ClassVar[bool] = False

    def __init_subclass__(cls, *, abstract: bool = False, **rest: object) -> None:
        """Give the class its type name and enter it in the catalogue."""
        super().__init_subclass__(**rest)  # type: ignore[arg-type]
        if not abstract:
            context = cls.__module__.rpartition(".")[2]
            name = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
            cls.TYPE = f"shuangcheng.{context}.{name}.v{cls.MAJOR}"
            _CATALOGUE[cls.TYPE] = cls

    @property
    def key(self) -> str:
        """The partition key, a function of the body alone."""
        raise NotImplementedError

    @property
    def subject(self) -> str:
        """The entity that the message speaks of (CloudEvents ``subject``)."""
        return self.key


_CATALOGUE: dict[str, type[Message]] = {}


def message_types() -> dict[str, type[Message]]:
    """Every message class by its type name. Import ``contracts.messages`` first, or use ``contracts.topics``."""
    return dict(_CATALOGUE)
