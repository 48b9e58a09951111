"""JSON Schema of a message, as strangers read it."""

from __future__ import annotations

import inspect
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema

from contracts.messages import Message

__all__ = ["DIALECT", "identifier", "schema_of", "summary_of"]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class _Plain(GenerateJsonSchema):
    """Without a title per field: "Volunteer Ref" says nothing that ``volunteer_ref`` does not."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def identifier(type_name: str) -> str:
    """The ``$id`` of a message's schema."""
    return f"urn:shuangcheng:schema:{type_name}"


def schema_of(message: type[Message], ref_template: str = "#/$defs/{model}") -> dict[str, Any]:
    """One schema for writers and readers alike; unknown fields are open, as readers ignore them.

    Raises ``ValueError`` when what is written is not what is read: then one schema could not say both.
    """
    read = message.model_json_schema(ref_template=ref_template, schema_generator=_Plain, mode="validation")
    written = message.model_json_schema(ref_template=ref_template, schema_generator=_Plain, mode="serialization")
    if read != written:
        raise ValueError(f"{message.TYPE} is written otherwise than it is read")
    return {"$schema": DIALECT, "$id": identifier(message.TYPE), **read}


def summary_of(message: type[Message]) -> str:
    """The first paragraph of the docstring in one line."""
    first, _, _ = inspect.cleandoc(message.__doc__ or "").partition("\n\n")
    return " ".join(first.split())
