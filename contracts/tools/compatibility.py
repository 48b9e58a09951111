"""The gate within a version: only optional fields may be added (DESIGN §8).

Usage: ``python -m contracts.tools.compatibility [--against REVISION_OR_FOLDER ...]``. Without an argument the contracts
are compared with what was published at the newest release tag (v*), at HEAD~1 and at HEAD, as far as these exist.
Exit 1 names every break, 2 what cannot be compared. Widening breaks too: an old reader refuses what a new writer sends.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from contracts.messages import RETIRED, message_types
from contracts.tools.publish import topic_list
from contracts.tools.schemas import schema_of

__all__ = ["Published", "breaks", "compare", "current", "from_folder", "main", "schema_breaks", "topic_breaks"]

_ROOT: Final = Path(__file__).parents[2]
_FOLDER: Final = "contracts/published"
_SAYS_NOTHING: Final = frozenset({"title", "description", "examples", "$defs"})
_MUST_EQUAL: Final = frozenset(
    {
        "$schema", "$id", "type", "const", "default", "format", "pattern", "minimum", "maximum", "exclusiveMinimum",
        "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems",
    }
)  # fmt: skip
_SETS: Final = frozenset({"required", "enum"})
_NESTED: Final = frozenset({"properties", "items", "anyOf", "$ref"})
_UNDERSTOOD: Final = _SAYS_NOTHING | _MUST_EQUAL | _SETS | _NESTED
_TOPIC_FIXED: Final = ("key", "partitions", "partitioner", "ordered", "personal_data", "writer")

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Published:
    """What stood in the published folder at one time: schemas by type name, and topic entries."""

    schemas: Mapping[str, Schema]
    topics: tuple[Mapping[str, Any], ...]


def current() -> Published:
    """What the code says now."""
    schemas = {name: schema_of(message) for name, message in message_types().items()}
    return Published(schemas, tuple(topic_list()))


def from_folder(folder: Path) -> Published:
    """Read a published folder. Raises ``FileNotFoundError`` when it is none."""
    topics = json.loads((folder / "topics.json").read_text("utf-8"))
    files = sorted((folder / "schemas").glob("*.json"))
    return Published({path.stem: json.loads(path.read_text("utf-8")) for path in files}, tuple(topics))


def compare(old: Published, new: Published, retired: frozenset[str] = RETIRED) -> list[str]:
    """Every break between two states of the contracts, one line each."""
    found = [f"{name}: retired, and may not come back under this name" for name in retired & new.schemas.keys()]
    for name, schema in old.schemas.items():
        if name in new.schemas:
            found += [f"{name}{at}" for at in schema_breaks(schema, new.schemas[name])]
        elif name not in retired:
            found.append(f"{name}: removed; name it in RETIRED once nobody holds one any more")
    for name in new.schemas.keys() - old.schemas.keys():
        found += [f"{name}{at}" for at in schema_breaks(new.schemas[name], new.schemas[name])]
    return sorted(found + list(topic_breaks(old.topics, new.topics, retired)))


def schema_breaks(old: Schema, new: Schema) -> list[str]:
    """Breaks between two schemas of one message, each with its place. Equal schemas can only fail to be understood."""
    return list(breaks(old, new, old, new, ""))


def breaks(old: Schema, new: Schema, old_root: Schema, new_root: Schema, at: str) -> Iterator[str]:
    """Walk both; ``*_root`` are where ``$ref`` points. Messages do not contain themselves, so this ends."""
    old, new = _resolved(old, old_root), _resolved(new, new_root)
    for keyword in sorted((old.keys() | new.keys()) - _UNDERSTOOD):
        yield f"{at}: the gate does not understand {keyword!r}"
    for keyword in sorted(_MUST_EQUAL & (old.keys() | new.keys())):
        if _text(old, keyword) != _text(new, keyword):
            yield f"{at}: {keyword} was {_text(old, keyword)}, is {_text(new, keyword)}"
    for keyword in sorted(_SETS & (old.keys() | new.keys())):
        if _members(old, keyword) != _members(new, keyword):
            yield f"{at}: {keyword} was {_text(old, keyword)}, is {_text(new, keyword)}"
    yield from _property_breaks(old, new, old_root, new_root, at)
    for keyword in ("items", "anyOf"):
        before, after = _parts(old, keyword), _parts(new, keyword)
        if len(before) != len(after):
            yield f"{at}: {keyword} was {_text(old, keyword)}, is {_text(new, keyword)}"
        for place, (one, other) in enumerate(zip(before, after, strict=False)):
            yield from breaks(one, other, old_root, new_root, f"{at}/{keyword}/{place}")


def topic_breaks(
    old: tuple[Mapping[str, Any], ...], new: tuple[Mapping[str, Any], ...], retired: frozenset[str] = RETIRED
) -> Iterator[str]:
    """A topic keeps its key, partitions and writer; it may get more messages and readers."""
    now = {topic["name"]: topic for topic in new}
    for before in old:
        after = now.get(before["name"])
        if after is None:
            if not set(before["messages"]) <= retired:
                yield f"{before['name']}: topic removed"
            continue
        for field in _TOPIC_FIXED:
            if before[field] != after[field]:
                yield f"{before['name']}: {field} was {before[field]!r}, is {after[field]!r}"
        for message in set(before["messages"]) - set(after["messages"]) - retired:
            yield f"{before['name']}: {message} no longer travels here"


def _property_breaks(old: Schema, new: Schema, old_root: Schema, new_root: Schema, at: str) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name, schema in before.items():
        if name in after:
            yield from breaks(schema, after[name], old_root, new_root, f"{at}/{name}")
        else:
            yield f"{at}/{name}: field removed"
    for name in after.keys() - before.keys():
        # An added field is compared with itself: whatever the gate does not understand in it is found.
        yield from breaks(after[name], after[name], new_root, new_root, f"{at}/{name}")


def _resolved(schema: Schema, root: Schema) -> Schema:
    if not isinstance(schema, Mapping):
        return {f"schema {schema!r}": schema}
    if "$ref" not in schema:
        return schema
    prefix, _, name = str(schema["$ref"]).rpartition("/")
    if prefix != "#/$defs" or name not in root.get("$defs", {}):
        return {"$ref outside the schema": schema["$ref"]}
    return {**root["$defs"][name], **{key: value for key, value in schema.items() if key != "$ref"}}


def _parts(schema: Schema, keyword: str) -> list[Schema]:
    value = schema.get(keyword, [])
    return value if isinstance(value, list) else [value]


def _members(schema: Schema, keyword: str) -> list[str] | None:
    return sorted(map(json.dumps, schema[keyword])) if keyword in schema else None


def _text(schema: Schema, keyword: str) -> str:
    """The value as JSON, where 1, 1.0 and true are three things and null is not absent."""
    return json.dumps(schema[keyword], ensure_ascii=False, sort_keys=True) if keyword in schema else "absent"


def _git(*arguments: str) -> bytes | None:
    """Give what git prints, or None when it fails or is not there."""
    try:
        done = subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def _from_revision(revision: str) -> Published | None:
    archive = _git("archive", "--format=tar", revision, _FOLDER)
    if archive is None:
        return None
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = [(Path(member.name), tar.extractfile(member)) for member in tar if member.name.endswith(".json")]
        read = {path: json.loads(file.read()) for path, file in files if file}
    schemas = {path.stem: schema for path, schema in read.items() if path.parent.name == "schemas"}
    return Published(schemas, tuple(read.get(Path(_FOLDER) / "topics.json", ())))


def _bases() -> list[str]:
    tag = _git("describe", "--tags", "--abbrev=0", "--match", "v*")
    return [*([tag.decode().strip()] if tag else []), "HEAD~1", "HEAD"]


def _read(base: str) -> Published | None:
    return from_folder(Path(base)) if Path(base).is_dir() else _from_revision(base)


def main(arguments: list[str] | None = None) -> int:
    """Run the gate. 0: compatible; 1: breaks; 2: a base that was asked for is not there."""
    parser = argparse.ArgumentParser(prog="python -m contracts.tools.compatibility", description=__doc__)
    parser.add_argument("--against", action="append", metavar="REVISION_OR_FOLDER")
    asked: list[str] | None = parser.parse_args(arguments).against
    now, failed = current(), False
    for base in asked or _bases():
        try:
            then = _read(base)
        except (OSError, ValueError) as error:
            print(f"{base}: cannot be read: {error}", file=sys.stderr)
            return 2
        if then is None:
            print(f"{base}: nothing published there")
            if asked:
                return 2
            continue
        found = compare(then, now)
        failed = failed or bool(found)
        print(f"{base}: {len(then.schemas)} messages, {f'{len(found)} breaks' if found else 'compatible'}")
        for line in found:
            print(f"  {line}")
    if failed:
        print(
            "A break is a new message with the next version beside the old one (contracts/README.md).", file=sys.stderr
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
