"""The AsyncAPI 3.0 document of the whole linkage: every channel, who sends, who receives, and with what headers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from contracts.messages import Message
from contracts.tools.schemas import schema_of, summary_of
from contracts.topics import INNER, TEMPLATES, TopicEntry

__all__ = ["document"]

_BINDING: Final = "0.5.0"
_EXAMPLES: Final = Path(__file__).parents[1] / "examples"
_PLACES: Final = "( [a-z0-9._-]+/[0-9]+:[0-9]+)*"
_HEADERS: Final[dict[str, Any]] = {
    "type": "object",
    "description": "CloudEvents 1.0 in Kafka binary mode. All values are UTF-8 text.",
    "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"],
    "properties": {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {
            "type": "string",
            "minLength": 1,
            "maxLength": 300,
            "description": "Unique within ce_source; the same id is the same message and takes effect once.",
        },
        "ce_source": {
            "type": "string",
            "pattern": "^urn:shuangcheng:(registry|service):[a-z][a-z0-9]*$",
            "description": "The sender, who must own the topic.",
        },
        "ce_type": {"type": "string"},
        "ce_subject": {"type": "string", "description": "The entity spoken of."},
        "ce_time": {"type": "string", "format": "date-time", "description": "When it happened or was asked for."},
        "ce_partitionkey": {"type": "string", "maxLength": 300, "description": "Equal to the record key."},
        "ce_correlationid": {"type": "string", "maxLength": 300, "description": "The id of the first message."},
        "ce_causationid": {"type": "string", "maxLength": 300, "description": "The id of the message before."},
        "ce_decidedat": {
            "type": "string",
            "pattern": "^[0-9]{1,20}$",
            "description": "When a service decided it: whole microseconds since 1970. Ignored by readers.",
        },
        "ce_passed": {
            "type": "string",
            "pattern": f"^[0-9]{{1,20}}( begins [0-9]{{1,20}}{_PLACES} then)?{_PLACES}$",
            "description": "Which messages a service decided without a word since the moment that stands first, as the"
            " next offset of each partition. Ignored by readers.",
        },
        "ce_traceparent": {"type": "string", "maxLength": 300, "description": "W3C Trace Context."},
        "traceparent": {"type": "string", "maxLength": 300, "description": "The same for tools that know no prefix."},
        "content-type": {"type": "string", "const": "application/json"},
    },
}


def document() -> dict[str, Any]:
    """Give the whole document. Every ``$ref`` stays inside it."""
    entries = (*TEMPLATES, *INNER)
    messages = [message for entry in entries for message in entry.messages]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Shuangcheng 双城",
            "version": "1",
            "description": "The linkage between volunteer registries. Versions are in the type names and topic names.",
        },
        "defaultContentType": "application/json",
        "channels": {_channel_id(entry): _channel(entry) for entry in entries},
        "operations": {name: operation for entry in entries for name, operation in _operations(entry)},
        "components": {
            "messages": {message.TYPE: _message(entry, message) for entry in entries for message in entry.messages},
            "schemas": {"CloudEventsHeaders": _HEADERS, **_schemas(messages)},
        },
    }


def _channel_id(entry: TopicEntry) -> str:
    return entry.name.replace("{registry}.", "")


def _channel(entry: TopicEntry) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": entry.name,
        "title": _channel_id(entry),
        "description": f"{entry.meaning}. Key: {entry.key}.",
        "messages": {message.TYPE: {"$ref": f"#/components/messages/{message.TYPE}"} for message in entry.messages},
        "bindings": {
            "kafka": {
                "partitions": entry.partitions,
                # AsyncAPI's binding has no name for message.timestamp.type: it stands in x-timestamp.
                "topicConfiguration": {
                    "cleanup.policy": ["delete"],
                    "retention.ms": -1 if entry.retention_ms is None else entry.retention_ms,
                    "max.message.bytes": entry.max_message_bytes,
                },
                "bindingVersion": _BINDING,
            }
        },
        "x-ordered-by-key": entry.ordered,
        "x-timestamp": "LogAppendTime" if entry.log_time else "CreateTime",
        "x-personal-data": entry.personal_data,
    }
    if "{registry}" in entry.name:
        channel["parameters"] = {"registry": {"description": "The code of a registry's seat.", "examples": ["gz"]}}
    return channel


def _operations(entry: TopicEntry) -> Iterator[tuple[str, dict[str, Any]]]:
    channel = f"#/channels/{_channel_id(entry)}"
    parties = [("send", entry.writer), *(("receive", reader) for reader in entry.readers)]
    for action, party in parties:
        yield (
            f"{party}.{action}.{_channel_id(entry)}",
            {
                "action": action,
                "title": f"{party}: {action} {_channel_id(entry)}",
                "channel": {"$ref": channel},
                "messages": [{"$ref": f"{channel}/messages/{message.TYPE}"} for message in entry.messages],
                "x-party": party,
            },
        )


def _message(entry: TopicEntry, message: type[Message]) -> dict[str, Any]:
    return {
        "name": message.TYPE,
        "title": message.__name__,
        "summary": summary_of(message),
        "contentType": "application/json",
        "headers": {
            "allOf": [
                {"$ref": "#/components/schemas/CloudEventsHeaders"},
                {"type": "object", "properties": {"ce_type": {"const": message.TYPE}}},
            ]
        },
        "correlationId": {"location": "$message.header#/ce_correlationid"},
        "payload": {"$ref": f"#/components/schemas/{message.TYPE}"},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": f"{entry.key}, in UTF-8", "maxLength": 300},
                "bindingVersion": _BINDING,
            }
        },
        "examples": [_example(path) for path in sorted((_EXAMPLES / message.TYPE).glob("valid-*.json"))],
    }


def _example(path: Path) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(path.read_text("utf-8"))
    payload = event.pop("data")
    headers = {"content-type": event.pop("datacontenttype"), **{f"ce_{name}": text for name, text in event.items()}}
    return {"name": path.stem.removeprefix("valid-"), "headers": headers, "payload": payload}


def _schemas(messages: list[type[Message]]) -> dict[str, Any]:
    """Every message under its type name and every shared part under its class name, which must be one thing."""
    found: dict[str, Any] = {}
    for message in messages:
        schema = schema_of(message, ref_template="#/components/schemas/{model}")
        parts = {**schema.pop("$defs", {}), message.TYPE: schema}
        for standard in ("$schema", "$id"):
            del schema[standard]
        for name, part in parts.items():
            if found.setdefault(name, part) != part:
                raise ValueError(f"two different parts of messages are called {name}")
    return dict(sorted(found.items()))
